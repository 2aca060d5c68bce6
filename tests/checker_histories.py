"""Histories that the checker must accept, and subtly wrong ones that it must refuse."""

from __future__ import annotations

from typing import Any

from reagents.testing import Operation, Spec, read_only
from specs import EMPTY, CounterSpec, QueueSpec, StackSpec, WordSpec

NEVER = None


def op(client: Any, name: str, *args: Any, gives: Any = None, at: tuple[float, float | None]) -> Operation:
    return Operation(client=client, name=name, args=args, result=gives, call=at[0], ret=at[1])


class ReprSpec(Spec):
    """A value, and how it is written."""

    initial = ""

    def set(self, state: str, value: Any) -> tuple[str, None]:
        return repr(value), None

    @read_only
    def get(self, state: str, place: int) -> tuple[str, str]:
        return state, state[place : place + 1]


RIGHT: dict[str, tuple[type[Spec], list[Operation]]] = {
    "nothing happened": (WordSpec, []),
    "one after another": (WordSpec, [op(0, "set", 1, at=(0, 1)), op(1, "get", gives=1, at=(2, 3))]),
    "a read during a write may see the old value": (
        WordSpec,
        [op(0, "set", 1, at=(0, 3)), op(1, "get", gives=0, at=(1, 2))],
    ),
    "or the new one, and then so do all later ones": (
        WordSpec,
        [op(0, "set", 1, at=(0, 9)), op(1, "get", gives=1, at=(1, 2)), op(1, "get", gives=1, at=(3, 4))],
    ),
    "equal times overlap": (WordSpec, [op(0, "set", 1, at=(0, 1)), op(1, "get", gives=0, at=(1, 2))]),
    "a write that never returned has happened": (
        WordSpec,
        [op(0, "set", 1, at=(0, NEVER)), op(1, "get", gives=0, at=(1, 2)), op(1, "get", gives=1, at=(3, 4))],
    ),
    "a write that never returned has not happened": (
        WordSpec,
        [op(0, "set", 1, at=(0, NEVER)), op(1, "get", gives=0, at=(1, 2)), op(1, "get", gives=0, at=(3, 4))],
    ),
    "a pop that never returned took the element": (
        StackSpec,
        [op(0, "push", 1, at=(0, 1)), op(1, "pop_nowait", at=(2, NEVER)), op(0, "pop_nowait", gives=EMPTY, at=(3, 4))],
    ),
    "a pop overtakes a push that began earlier": (
        StackSpec,
        [
            op(0, "push", 1, at=(0, 5)),
            op(1, "push", 2, at=(1, 2)),
            op(1, "pop_nowait", gives=1, at=(3, 4)),
            op(0, "pop_nowait", gives=2, at=(6, 7)),
        ],
    ),
    # The set first, then the failing one, is a dead end; so is the same the other way round, where the read comes last.
    "a dead end that is met twice is not the end": (
        WordSpec,
        [
            op(0, "set", 1, at=(0, 9)),
            op(1, "compare_and_set", 2, 0, gives=False, at=(1, 9)),
            op(2, "add", 0, gives=0, at=(2, 9)),
            op(3, "get", gives=1, at=(3, 9)),
        ],
    ),
    "what a pop that never returned answered is nobody's business": (
        StackSpec,
        [
            op(0, "push", 1, at=(0, 1)),
            op(1, "pop_nowait", gives=EMPTY, at=(2, NEVER)),
            op(0, "pop_nowait", gives=EMPTY, at=(3, 4)),
        ],
    ),
    "a write that never returned was seen, and overwritten": (
        WordSpec,
        [
            op(0, "set", 1, at=(0, NEVER)),
            op(1, "get", gives=1, at=(1, 2)),
            op(1, "set", 2, at=(3, 4)),
            op(1, "get", gives=2, at=(5, 6)),
        ],
    ),
    # The second add is first: its client goes on at the same tick, and that has to be before the other add.
    "of two operations that are alike the later one is first": (
        WordSpec,
        [
            op(0, "add", 1, gives=0, at=(0, 5)),
            op(1, "add", 1, gives=0, at=(0, 5)),
            op(1, "set", 0, at=(5, 6)),
            op(1, "get", gives=1, at=(7, 8)),
        ],
    ),
    # Both orders of the additions lead to one state, but only one of them lets the value be read on the way.
    **{
        f"{value} is read between two additions": (
            CounterSpec,
            [op(0, "add", 1, at=(0, 8)), op(1, "add", 2, at=(1, 9)), op(2, "value", gives=value, at=(2, 9))],
        )
        for value in (1, 2)
    },
    "what is equal is not always the same": (
        ReprSpec,
        [
            op(0, "set", 1, at=(0, 5)),
            op(1, "set", True, at=(0, 9)),
            op(2, "get", 0, gives="T", at=(1, 2)),
            op(2, "get", 0, gives="1", at=(6, 7)),
        ],
    ),
    "a read-only operation with arguments": (
        ReprSpec,
        [op(0, "set", 12, at=(0, 1)), op(0, "get", 1, gives="2", at=(2, 9)), op(1, "get", 0, gives="1", at=(2, 9))],
    ),
    "empty seen while the only element moves out and in": (
        QueueSpec,
        [
            op(0, "put", 1, at=(0, 1)),
            op(0, "get_nowait", gives=1, at=(2, 3)),
            op(1, "get_nowait", gives=EMPTY, at=(2.5, 6)),
            op(0, "put", 2, at=(4, 5)),
            op(0, "get_nowait", gives=2, at=(7, 8)),
        ],
    ),
}

WRONG: dict[str, tuple[type[Spec], list[Operation]]] = {
    "a value from nowhere": (WordSpec, [op(0, "get", gives=7, at=(0, 1))]),
    "a stale read": (WordSpec, [op(0, "set", 1, at=(0, 1)), op(1, "get", gives=0, at=(2, 3))]),
    "two reads during a write in the wrong order": (
        WordSpec,
        [op(0, "set", 1, at=(0, 9)), op(1, "get", gives=1, at=(1, 2)), op(2, "get", gives=0, at=(3, 4))],
    ),
    "a lost update": (
        WordSpec,
        [op(0, "add", 1, gives=0, at=(0, 3)), op(1, "add", 1, gives=0, at=(1, 2)), op(0, "get", gives=1, at=(4, 5))],
    ),
    "two winners of one compare-and-set": (
        WordSpec,
        [op(n, "compare_and_set", 0, n, gives=True, at=(0, 9)) for n in (1, 2)],
    ),
    "no winner of compare-and-set": (
        WordSpec,
        [op(n, "compare_and_set", 0, n, gives=False, at=(0, 9)) for n in (1, 2)],
    ),
    "program order within one tick of a coarse clock": (
        WordSpec,
        [op(0, "set", 1, at=(1, 1)), op(0, "get", gives=0, at=(1, 1))],
    ),
    "a write that never returned was undone": (
        WordSpec,
        [
            op(0, "set", 1, at=(0, NEVER)),
            op(1, "get", gives=1, at=(1, 2)),
            op(1, "get", gives=0, at=(3, 4)),
        ],
    ),
    "an effect before the call of what never returned": (
        WordSpec,
        [op(1, "get", gives=1, at=(0, 1)), op(0, "set", 1, at=(2, NEVER))],
    ),
    "one element popped twice": (
        StackSpec,
        [
            op(0, "push", 1, at=(0, 1)),
            op(0, "pop_nowait", gives=1, at=(2, 5)),
            op(1, "pop_nowait", gives=1, at=(3, 4)),
        ],
    ),
    "first in, first out of a stack": (
        StackSpec,
        [
            op(0, "push", 1, at=(0, 1)),
            op(0, "push", 2, at=(2, 3)),
            op(1, "pop_nowait", gives=1, at=(4, 5)),
            op(1, "pop_nowait", gives=2, at=(6, 7)),
        ],
    ),
    "empty, though something was in all the time": (
        StackSpec,
        [
            op(0, "push", 1, at=(0, 1)),
            op(0, "push", 2, at=(2, 5)),
            op(1, "pop_nowait", gives=EMPTY, at=(3, 4)),
            op(0, "pop_nowait", gives=2, at=(6, 7)),
            op(0, "pop_nowait", gives=1, at=(8, 9)),
        ],
    ),
    "a queue that reorders what was put in sequence": (
        QueueSpec,
        [
            op(0, "put", 1, at=(0, 1)),
            op(0, "put", 2, at=(2, 3)),
            op(1, "put", 3, at=(0, 9)),
            op(2, "get_nowait", gives=3, at=(4, 5)),
            op(2, "get_nowait", gives=2, at=(6, 7)),
            op(2, "get_nowait", gives=1, at=(10, 11)),
        ],
    ),
    # Known of Herlihy and Wing's queue: each get alone is fine, the two together are not.
    "two gets that each overtake the other's put": (
        QueueSpec,
        [
            op(0, "put", 1, at=(0, 1)),
            op(1, "put", 2, at=(2, 3)),
            op(0, "get_nowait", gives=2, at=(4, 5)),
            op(1, "get_nowait", gives=1, at=(6, 7)),
        ],
    ),
    # Only the drain shows it: both pushes came back, one element is gone.
    "a push lost, seen by the drain alone": (
        StackSpec,
        [
            op(0, "push", 1, at=(0, 2)),
            op(1, "push", 2, at=(1, 3)),
            op("drain", "pop_nowait", gives=2, at=(4, 5)),
            op("drain", "pop_nowait", gives=EMPTY, at=(6, 7)),
        ],
    ),
}


class KeyedSpec(Spec):
    """Words by key."""

    initial = 0

    def partition(self, operation: Operation) -> Any:
        return operation.args[0]

    def set(self, state: int, key: str, value: int) -> tuple[Any, Any]:
        return value, None

    @read_only
    def get(self, state: int, key: str) -> tuple[Any, Any]:
        return state, state
