"""What was seen: operations with the times of their call and return."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any


@dataclass(frozen=True, slots=True)
class Operation:
    """One call: who, what, with which arguments, what came back, and when.

    Times come from any one clock that all clients share; only their order counts. An operation was
    before another if it returned at an earlier time than the other was called. Equal times of two
    clients count as overlapping. `ret=None` says that the call never returned: it may have taken
    effect at any time after its call, or never, and its `result` is not looked at.

    >>> print(Operation(client=0, name="push", args=(1,), result=None, call=0.0, ret=1.0))
    client 0: push(1) -> None
    >>> print(Operation(client=1, name="pop", args=(), result=None, call=0.5, ret=None))
    client 1: pop() never returned
    """

    client: Hashable
    name: str
    args: tuple[Any, ...]
    result: Any
    call: float
    ret: float | None

    @property
    def text(self) -> str:
        """The call and its result without the client."""
        written = f"{self.name}({', '.join(map(repr, self.args))})"
        return f"{written} never returned" if self.ret is None else f"{written} -> {self.result!r}"

    def __str__(self) -> str:
        return f"client {self.client}: {self.text}"


def validated(history: Iterable[Operation]) -> list[Operation]:
    """The history in the order of calls; ValueError, naming the event, if it cannot have happened.

    Operations of one client keep their order even where the clock did not move between them, so that
    program order is never lost to a coarse clock.
    """
    operations = list(history)
    for number, op in enumerate(operations):
        if not isinstance(op, Operation):
            raise TypeError(f"element {number} of the history is no Operation: {op!r}")
        _check_times(number, op)
    # A stable sort: an operation that took no time comes before a longer one with the same call.
    ordered = sorted(operations, key=lambda op: (op.call, float("inf") if op.ret is None else op.ret))
    last: dict[Hashable, Operation] = {}
    for op in ordered:
        before = last.get(op.client)
        if before is not None and before.ret is None:
            raise ValueError(
                f"the call of {op} at {op.call} follows a call of the same client that never returned, {before.text}"
                f" from {before.call}: give what runs on after such a call another client"
            )
        if before is not None and before.ret is not None and op.call < before.ret:
            raise ValueError(
                f"the call of {op} at {op.call} overlaps a call of the same client, {before.text}"
                f" from {before.call} to {before.ret}"
            )
        last[op.client] = op
    return ordered


def _check_times(number: int, op: Operation) -> None:
    for event, time in (("call", op.call), ("return", op.ret)):
        if time is None and event == "return":
            continue
        if not isinstance(time, Real) or time != time:  # NaN differs from itself
            raise ValueError(f"the {event} of operation {number} ({op}) has no time: {time!r}")
    if op.ret is not None and op.ret < op.call:
        raise ValueError(f"the return of operation {number} ({op}) at {op.ret} is before its call at {op.call}")


def precedes(first: Operation, second: Operation) -> bool:
    """Whether real time alone puts `first` before `second`."""
    return first.ret is not None and first.ret < second.call


def timeline(operations: Sequence[Operation]) -> list[tuple[int, int | None]]:
    """For each operation the ranks of its call and its return among all events.

    At equal times calls rank before returns: that is what makes equal times overlap.
    """
    events: list[tuple[float, int, int]] = []
    for number, op in enumerate(operations):
        events.append((op.call, 0, number))
        if op.ret is not None:
            events.append((op.ret, 1, number))
    events.sort()
    calls = [0] * len(operations)
    returns: list[int | None] = [None] * len(operations)
    for rank, (_, kind, number) in enumerate(events):
        if kind == 0:
            calls[number] = rank
        else:
            returns[number] = rank
    return list(zip(calls, returns, strict=True))
