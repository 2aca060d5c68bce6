"""Sequential specifications: what a correct object does when only one client uses it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from reagents.testing.history import Operation

Step = Callable[..., tuple[Any, Any]]
_Method = TypeVar("_Method", bound=Callable[..., Any])

_READ_ONLY = "_reagents_testing_read_only"


class Spec:
    """The base of specifications: one method an operation, `(state, *args) -> (new state, result)`.

    States are hashable and never changed in place: use tuples and frozensets. `initial` is the state
    before the history begins.

    >>> class Register(Spec):
    ...     initial = 0
    ...     def set(self, state, value):
    ...         return value, None
    ...     @read_only
    ...     def get(self, state):
    ...         return state, state

    A history of many independent objects is checked much faster one object at a time. `partition` says
    which: operations with different keys must never influence each other. Each partition starts at
    `initial` and sees only its own operations.

    >>> class Registers(Register):
    ...     def partition(self, op):
    ...         return op.args[0]
    ...     def set(self, state, key, value):
    ...         return value, None
    """

    initial: Any = None

    def partition(self, op: Operation) -> Hashable:
        """The key of the independent object that `op` works on; one object unless overridden."""
        return None


def read_only(method: _Method) -> _Method:
    """Declares that a specification's method never changes any state, which makes checking faster.

    The checker then places such an operation as soon as its result fits, and tries nothing else in its
    place. That is sound because the operation changes nothing in *any* state: whatever order there
    is with it later, there is one with it now. (That it changed nothing in this state would not
    be enough.) A method so declared that returns another state is a ValueError.
    """
    vars(method)[_READ_ONLY] = True
    return method


def is_read_only(step: Step) -> bool:
    return bool(getattr(step, _READ_ONLY, False))


def step_of(spec: Spec, op: Operation) -> Step:
    """The method of `spec` that stands for `op`."""
    step = None if op.name.startswith("_") or hasattr(Spec, op.name) else getattr(spec, op.name, None)
    if not callable(step):
        raise ValueError(f"{type(spec).__name__} has no method for the operation {op}")
    return step  # type: ignore[no-any-return]


def take_step(step: Step, op: Operation, state: Any) -> tuple[Any, Any]:
    """What the specification does for `op` in `state`: the next state and its answer."""
    try:
        outcome = step(state, *op.args)
    except Exception as error:
        error.add_note(f"The specification raised this for {op}, in state {state!r}.")
        raise
    if type(outcome) is not tuple or len(outcome) != 2:
        raise TypeError(f"the specification returned {outcome!r} for {op}, not a pair (new state, result)")
    return outcome


def same(answer: Any, result: Any) -> bool:
    """Whether two results are the same; a value equals itself even where, as NaN, it says otherwise."""
    return answer is result or bool(answer == result)
