"""Two tools to find out whether what threads share is right: `check` and `explore`.

`check` decides whether what was seen of a concurrent object is what a sequential one could have done.

A *history* says who called what, when, and what came back. It is linearizable if the calls can be put
into one order that keeps what was really before what, and in which a plain sequential object, the
*specification*, gives the same answers.

    >>> from reagents.testing import Operation, Spec, check
    >>> class StackSpec(Spec):
    ...     initial = ()
    ...     def push(self, state, x):
    ...         return state + (x,), None
    ...     def pop(self, state):
    ...         return (state[:-1], state[-1]) if state else (state, None)
    >>> history = [
    ...     Operation(client=0, name="push", args=(1,), result=None, call=0.0, ret=1.0),
    ...     Operation(client=1, name="pop", args=(), result=1, call=0.5, ret=2.0),
    ... ]
    >>> check(history, StackSpec).ok
    True
    >>> check(history[1:], StackSpec).ok  # nobody pushed the 1
    False

`explore` runs a small scenario under every interleaving of its threads, up to a bound: see its description.
"""

from reagents.testing.checker import check
from reagents.testing.explorer import Exploration, Failure, explore
from reagents.testing.history import Operation
from reagents.testing.spec import Spec, read_only
from reagents.testing.turns import Deadlock, NotDeterministic, StepLimit
from reagents.testing.verdict import Verdict

__all__ = [
    "Deadlock",
    "Exploration",
    "Failure",
    "NotDeterministic",
    "Operation",
    "Spec",
    "StepLimit",
    "Verdict",
    "check",
    "explore",
    "read_only",
]
