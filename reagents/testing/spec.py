"""Sequential specifications: what a correct object does when only one client uses it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, TypeVar

from reagents.testing.history import Operation

Outcome = tuple[Any, Any]
Step = Callable[..., Any]  # an Outcome, or a list or iterator of them
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

    Where a correct object is free to do one thing or another, the method yields the pairs, or returns a list of them:
    each is an outcome that is right. None at all says that the operation cannot happen in this state.

    >>> class Bag(Spec):
    ...     initial = frozenset()
    ...     def add(self, state, item):
    ...         return state | {item}, None
    ...     def take(self, state):
    ...         for item in state:
    ...             yield state - {item}, item

    A history of many independent objects is checked much faster one object at a time. `partition` says
    which: operations with different keys must never influence each other. Each partition starts at
    `initial` and sees only its own operations.

    >>> class Registers(Register):
    ...     def partition(self, op):
    ...         return op.args[0]
    ...     def set(self, state, key, value):
    ...         return value, None

    An operation that works on several objects returns the frozenset of their keys. Objects that some operation
    connects, directly or through others, then are one partition, and its state has to tell them apart.

    >>> class Stacks(Spec):
    ...     initial = frozenset()  # of pairs (key, items)
    ...     def partition(self, op):
    ...         return frozenset(op.args) if op.name == "move" else op.args[0]
    ...     def push(self, state, key, item):
    ...         stacks = dict(state)
    ...         stacks[key] = (*stacks.get(key, ()), item)
    ...         return frozenset(stacks.items()), None
    ...     def move(self, state, source, target):
    ...         *rest, item = dict(state).get(source) or [None]
    ...         if item is None:
    ...             return state, False
    ...         stacks = dict(state)
    ...         stacks[source] = tuple(rest)
    ...         return self.push(frozenset(stacks.items()), target, item)[0], True
    """

    initial: Any = None

    def partition(self, op: Operation) -> Hashable:
        """The key of the object that `op` works on, or a frozenset of keys; one object unless overridden."""
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


def alternatives(step: Step, op: Operation, state: Any) -> Sequence[Outcome]:
    """What the specification allows for `op` in `state`: pairs of the next state and the answer."""
    try:
        outcome = step(state, *op.args)
        if type(outcome) is tuple and len(outcome) == 2:
            return (outcome,)
        outcomes = list(outcome) if isinstance(outcome, Iterator | list) else [outcome]
    except Exception as error:
        error.add_note(f"The specification raised this for {op}, in state {state!r}.")
        raise
    for one in outcomes:
        if type(one) is not tuple or len(one) != 2:
            raise TypeError(f"the specification returned {one!r} for {op}, not a pair (new state, result)")
    return outcomes


def fitting(op: Operation, outcomes: Sequence[Outcome]) -> list[Any]:
    """The states after those outcomes that have the operation's result; after all, if it never returned."""
    result = op.result
    return [state for state, answer in outcomes if answer is result or answer == result or op.ret is None]


def read(step: Step, op: Operation, state: Any) -> list[Any]:
    """What a read-only operation may answer in this state. ValueError if it is not read-only."""
    outcomes = alternatives(step, op, state)
    for after, _ in outcomes:
        if after is not state and not same(after, state):
            raise ValueError(f"declared read-only, but changes {state!r} to {after!r}: {op}")
    return [answer for _, answer in outcomes]


def same(answer: Any, result: Any) -> bool:
    """Whether two results are the same; a value equals itself even where, as NaN, it says otherwise."""
    return answer is result or bool(answer == result)
