"""A child of a threaded process can go on at once, whatever the other threads were in the middle of."""

from __future__ import annotations

import gc
import os
import signal
import time
import warnings
from typing import Any

import pytest

from lockfree import AtomicInt, Counter, Queue, Stack
from racing import PATIENCE, STRESS, Background, Parked, race
from reagents import Ref, attempt, stats, together

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
    # The warning says that forking a threaded process may deadlock. That it does not is what is tested here.
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


def in_child(function: Any) -> None:
    """Fork; the child calls the function and leaves, without ever coming back into the test runner."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(int(PATIENCE))  # the default action ends a child that hangs
            function()
            status = 0
        except BaseException as error:
            os.write(2, f"in the child: {error!r}\n".encode())
        finally:
            os._exit(status)
    deadline = time.monotonic() + PATIENCE + 5
    _, status = os.waitpid(child, 0)
    assert time.monotonic() < deadline
    assert os.waitstatus_to_exitcode(status) == 0


class Load:
    """Structures under load from several threads, with something that stays true throughout."""

    def __init__(self) -> None:
        self.stack = Stack(range(20))
        self.queue: Queue[int] = Queue()
        self.refs = [Ref(0), Ref(0), Ref(0)]
        self.counter = Counter()
        self.number = AtomicInt()
        self.there = attempt(self.stack.pop >> self.queue.put)
        self.back = attempt(self.queue.get >> self.stack.push)
        self.write_all = together(*(ref.write for ref in self.refs))
        self.read_all = together(*(ref.read for ref in self.refs))

    def work(self) -> None:
        for i in range(50):
            self.there()
            self.write_all(i)
            self.back()
            self.counter.add()
            self.number.add(1)
            self.stack.push(self.stack.pop())

    def check(self) -> None:
        assert len(set(self.read_all())) == 1
        gc.collect()
        self.work()
        self.number.add(-self.number.get())
        assert self.number.get() == 0
        while self.back() is not None or not self.queue.empty():
            pass
        # An item may be in the hands of a thread that the child does not have: popped and not yet pushed again.
        items = sorted(self.stack.snapshot())
        assert len(set(items)) == len(items) >= 18
        assert set(items) <= set(range(20))
        before = self.counter.value()
        self.counter.add(5)
        assert self.counter.value() == before + 5


def test_under_load() -> None:
    load = Load()

    def forks() -> None:
        for _ in range(15 * STRESS):
            in_child(load.check)

    race(forks, meanwhile=[load.work, load.work])
    load.work()
    assert sorted(load.stack.snapshot()) == list(range(20))


def test_child_starts_threads_of_its_own() -> None:
    load = Load()

    def child() -> None:
        race(load.work, load.work)
        load.check()

    race(lambda: [in_child(child) for _ in range(3 * STRESS)], meanwhile=[load.work])


def test_while_others_are_blocked() -> None:
    """The child has none of the threads that were waiting: what it puts, it gets itself."""
    queue: Queue[Any] = Queue()
    parked = Parked()
    waiting = [Background(queue.get) for _ in range(3)]
    parked.wait_for(3)

    def child() -> None:
        for i in range(10):
            queue.put(i)
        assert [queue.get_nowait() for _ in range(10)] == list(range(10))
        with pytest.raises(TimeoutError):
            (queue.get >> (lambda x: x))(timeout=0.01)

        # And it can wait and be woken.
        mine = Parked()
        getting = Background(queue.get)
        mine.wait_for()
        queue.put("woken")
        assert getting.result() == "woken"

    in_child(child)
    assert all(each.running for each in waiting)
    for i in range(3):
        queue.put(i)
    assert sorted(each.result() for each in waiting) == [0, 1, 2]


def test_in_the_middle_of_a_reaction() -> None:
    """A user function forks: parent and child each finish a reaction of their own."""
    ref, children = Ref(0), []

    def fork(n: int) -> int:
        if not children:
            children.append(os.fork())
        return n + 1

    count = ref.read >> fork >> ref.write
    try:
        result = count()
    finally:
        # Whatever happens, the child must not go on as a second test run.
        if children and children[0] == 0:
            os._exit(0 if ref.get() == 1 else 1)
    _, status = os.waitpid(children[0], 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert (result, ref.get()) == (1, 1)


def test_stats_go_on() -> None:
    def child() -> None:
        before = stats()["commits"]
        ref = Ref(0)
        for _ in range(10):
            (ref.read >> ref.write)()
        assert stats()["commits"] >= before + 10

    in_child(child)


def test_generations() -> None:
    """A child's child works as well."""
    load = Load()
    in_child(lambda: in_child(load.check))
