"""What is looked at while it is taken is alive: whoever pops an item may let go of it at once."""

from __future__ import annotations

from typing import Any

import pytest

from lockfree import Queue, Stack
from racing import STRESS, race
from reagents import Ref, attempt

ROUNDS = 30_000 * STRESS
DEEP = 50


class Thing:
    """Says when it has gone: an object looked at too late is dead, if it is one at all."""

    alive = True

    def __del__(self) -> None:
        self.alive = False


@pytest.mark.parametrize("look", ["snapshot", "peek", "iteration"])
def test_stack(look: str) -> None:
    stack: Stack[Thing] = Stack(Thing() for _ in range(3 * DEEP))
    looks = {
        "snapshot": stack.snapshot,
        "peek": lambda: [thing for thing in [attempt(stack.peek)()] if thing],
        "iteration": lambda: list(stack),
    }

    def worker() -> None:
        """Below what an onlooker has begun to look at things go as well."""
        for _ in range(ROUNDS // DEEP):
            for _ in range(DEEP):
                stack.pop()
            for _ in range(DEEP):
                stack.push(Thing())

    def onlooker() -> None:
        for thing in looks[look]():
            assert type(thing) is Thing
            assert thing.alive

    race(worker, worker, meanwhile=[onlooker])


def test_queue() -> None:
    queue: Queue[Thing] = Queue()
    queue.put(Thing())
    peek: Any = attempt(queue.peek)

    def worker() -> None:
        for _ in range(ROUNDS):
            queue.put(Thing())
            queue.get()

    def onlooker() -> None:
        thing = peek()
        assert thing is None or (type(thing) is Thing and thing.alive)

    race(worker, worker, meanwhile=[onlooker])


def test_ref() -> None:
    ref = Ref(Thing())

    def worker() -> None:
        for _ in range(ROUNDS):
            ref.set(Thing())

    def onlooker() -> None:
        assert ref.get().alive

    race(worker, worker, meanwhile=[onlooker])
