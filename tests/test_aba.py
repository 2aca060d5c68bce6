"""An address that comes back is not the value that was read: what a reaction has seen cannot be freed and reused.

In each test a reaction looks at something and keeps no other reference to it; then another thread takes that away
and puts something new in its place, at the same address if memory allows. The reaction must notice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lockfree import Queue, Stack
from racing import STRESS, elsewhere, settle
from reagents import Reagent, Ref, const, identity, lift


class Thing:
    pass


def replace_in_ref(ref: Ref[Any]) -> None:
    address = id(ref.get())
    ref.set(None)
    settle()
    # The allocator hands out the freed block again soon, if it was freed.
    things = [Thing() for _ in range(2_000)]
    ref.set(next((thing for thing in things if id(thing) == address), things[0]))


def replace_in_stack(stack: Stack[Any]) -> None:
    stack.pop()
    settle()
    stack.push("new")


def replace_in_queue(queue: Queue[Any]) -> None:
    queue.get()
    settle()
    queue.put("new")


def filled_queue() -> Queue[Any]:
    queue: Queue[Any] = Queue()
    queue.put(Thing())
    return queue


CASES: dict[str, tuple[Callable[[], Any], Callable[[Any], Reagent[Any, Any]], Callable[[Any], None]]] = {
    "ref": (lambda: Ref(Thing()), lambda ref: ref.read, replace_in_ref),
    "stack": (lambda: Stack([Thing()]), lambda stack: stack.peek, replace_in_stack),
    "stack, below the top": (
        lambda: Stack([Thing(), Thing()]),
        lambda stack: stack.pop >> stack.peek,
        replace_in_stack,
    ),
    "queue": (filled_queue, lambda queue: queue.peek, replace_in_queue),
    "queue, rotated": (filled_queue, lambda queue: queue.get >> queue.put, replace_in_queue),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_reused_address_is_noticed(name: str) -> None:
    make, look, replace = CASES[name]
    for _ in range(20 * STRESS):
        structure, log, tries = make(), Ref(None), []

        def meanwhile(x: Any, structure: Any = structure, tries: list[Any] = tries) -> Any:
            tries.append(x)
            if len(tries) == 1:
                elsewhere(replace, structure)
            return x

        reaction = look(structure) >> const("seen") >> lift(meanwhile) >> identity >> log.write
        assert reaction() == "seen"
        assert len(tries) == 2, "it committed what it had read of something that is no more"
