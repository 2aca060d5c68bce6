"""Any operation may be called from a destructor, a weakref callback or the collector, in the middle of any other."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from lockfree import Queue
from racing import STRESS, race, settle, soon
from reagents import Ref, attempt, const, post_commit
from world import World

ROUNDS = 2_000 * STRESS


class Noisy:
    """Its death does something with the very structures that it dies in."""

    depth = threading.local()

    def __init__(self, world: World) -> None:
        self.world = world

    def __del__(self) -> None:
        # What it does may end the life of the next one, and so on: one level is enough.
        if not getattr(self.depth, "inside", False):
            self.depth.inside = True
            try:
                self.world.act("from the destructor")
            finally:
                self.depth.inside = False


def test_destructors() -> None:
    world = World()

    def worker() -> None:
        for _ in range(ROUNDS):
            world.act(Noisy(world))

    worker()
    assert world.calls.get() > ROUNDS
    race(worker, worker)
    world.check()


def test_destructor_of_what_a_reaction_replaces() -> None:
    ref: Ref[Any] = Ref(None)
    queue: Queue[Any] = Queue()

    class Replaced:
        def __del__(self) -> None:
            queue.put(ref.get())
            (const("by the destructor") >> ref.write >> (lambda _: "again") >> queue.put)()

    ref.set(Replaced())
    (const(5) >> ref.write)()
    soon(lambda: settle() or queue.qsize() >= 2, "the destructor's two items")
    assert (queue.get(), queue.get(), ref.get()) == (5, "again", "by the destructor")


def test_weakref_callbacks() -> None:
    world = World()

    class Item:
        pass

    def worker() -> None:
        for _ in range(ROUNDS):
            item = Item()
            watch = weakref.ref(item, lambda _: world.act())
            world.ref.set(item)
            world.queue.put(item)
            del item
            world.ref.set(None)
            attempt(world.queue.get)()
            world.act(watch)

    race(worker, worker)
    assert world.calls.get() > 2 * ROUNDS
    world.check()


@pytest.fixture
def eager_collector() -> Iterator[None]:
    thresholds = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    yield
    gc.set_threshold(*thresholds)


def test_collector_in_the_middle(eager_collector: None) -> None:
    """Cycles whose members act when they die, and a callback at each collection."""
    world = World()

    class Circular:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            world.act()

    def callback(phase: str, info: dict[str, int]) -> None:
        world.act(phase)

    def worker() -> None:
        for _ in range(100 * STRESS):
            world.act([Circular()])
            world.queue.put([Circular(), world])
            attempt(world.queue.get)()

    gc.callbacks.append(callback)
    try:
        race(worker, worker)
        gc.collect()
    finally:
        gc.callbacks.remove(callback)
    assert world.calls.get() > 300 * STRESS
    world.check()


def test_user_functions_may_run_other_reagents() -> None:
    """Inside a reaction another one can be run, on other words and on the same ones."""
    ref, other = Ref(1), Ref(10)
    assert (ref.read >> (lambda x: x + (other.read >> (lambda y: y + ref.get()))()) >> ref.write)() == 12
    assert (ref.get(), other.get()) == (12, 10)


def test_post_commit_actions_may_run_the_same_reagent() -> None:
    ref = Ref(0)

    def again(n: int) -> None:
        if n < 100:
            count()

    count = ref.upd(lambda n, _: (n + 1, n + 1)) >> post_commit(again)
    assert count() == 1
    assert ref.get() == 100


def test_deep_recursion_of_runs_is_an_error_and_not_a_crash() -> None:
    ref = Ref(0)

    def deeper(x: int) -> int:
        return (const(x + 1) >> deeper >> ref.write)()

    with pytest.raises(RecursionError):
        deeper(0)
    assert ref.get() == 0
