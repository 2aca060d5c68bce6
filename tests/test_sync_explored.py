"""lockfree.sync under every interleaving of small scenarios: no deadlock, no lost wake-up, nothing half done.

A thread that nobody can wake any more is a failure here (Deadlock), so a notify, release or set that is lost is found.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lockfree import Queue
from lockfree.sync import Barrier, Condition, CountDownLatch, Event, Lock, MVar, Promise, RLock, RWLock, Semaphore
from reagents import attempt, const, stats, together
from reagents.testing import explore

Scenario = Callable[[], tuple[list[Callable[[], Any]], Callable[[], None]]]
SCENARIOS: dict[str, tuple[Scenario, int]] = {}


def scenario(preemptions: int) -> Callable[[Scenario], Scenario]:
    def note(make: Scenario) -> Scenario:
        SCENARIOS[make.__name__] = make, preemptions
        return make

    return note


def nothing_waits() -> None:
    assert stats()["waiting"] == 0


@scenario(3)
def opposite_orders() -> Any:
    """Taken one after the other these two would deadlock."""
    a, b = Lock(), Lock()
    inside: list[int] = []

    def both(first: Lock, second: Lock) -> None:
        together(first.acquire, second.acquire)()
        inside.append(1)
        assert len(inside) == 1
        inside.pop()
        first.release()
        second.release()

    def after() -> None:
        assert not a.locked()
        assert not b.locked()
        nothing_waits()

    return [lambda: both(a, b), lambda: both(b, a)], after


@scenario(2)
def three_for_one_lock() -> Any:
    lock = Lock()
    inside: list[int] = []

    def use() -> None:
        with lock:
            inside.append(1)
            assert len(inside) == 1
            inside.pop()

    def after() -> None:
        assert not lock.locked()
        nothing_waits()

    return [use, use, use], after


@scenario(2)
def recursion() -> Any:
    lock = RLock()
    inside: list[int] = []

    def use() -> None:
        with lock, lock:
            inside.append(1)
            assert len(inside) == 1
            inside.pop()

    def compose() -> None:
        (lock.acquire >> lock.acquire >> lock.release)()
        inside.append(1)
        assert len(inside) == 1
        inside.pop()
        lock.release()

    def after() -> None:
        assert not lock.locked()
        nothing_waits()

    return [use, compose], after


@scenario(2)
def hand_over() -> Any:
    """Whoever looks sees the one lock held or the other, never none and never both."""
    a, b = Lock(), Lock()
    a.acquire()
    seen: list[Any] = []

    def watch() -> None:
        seen.append(attempt(a.acquire * b.acquire, "one is held")())

    def after() -> None:
        assert seen == ["one is held"] * 2
        assert (a.locked(), b.locked()) == (False, True)

    return [lambda: (a.release >> b.acquire)(), watch, watch], after


@scenario(2)
def permits_in_ones_and_twos() -> Any:
    sem = Semaphore(0)
    got: list[int] = []

    def take(n: int) -> None:
        sem.acquire(n=n)
        got.append(n)

    def give() -> None:
        sem.release()
        sem.release(2)

    def after() -> None:
        assert sorted(got) == [1, 2]
        assert sem.value == 0
        nothing_waits()

    return [lambda: take(2), lambda: take(1), give], after


@scenario(2)
def two_who_want_two() -> Any:
    sem = Semaphore(2)

    def use() -> None:
        (const(2) >> sem.acquire)()
        assert sem.value == 0
        sem.release(2)

    def after() -> None:
        assert sem.value == 2
        nothing_waits()

    return [use, use], after


def hand_an_item(make: Callable[[], Condition], consumers: int) -> Any:
    cond = make()
    items: list[int] = []
    got: list[int] = []

    def consume() -> None:
        with cond:
            while not items:
                cond.wait()
            got.append(items.pop())

    def produce() -> None:
        for n in range(consumers):
            with cond:
                items.append(n)
                cond.notify()

    def after() -> None:
        assert sorted(got) == list(range(consumers))
        assert repr(cond).endswith(", 0)>")
        nothing_waits()

    return [*[consume] * consumers, produce], after


@scenario(2)
def no_notify_is_lost() -> Any:
    return hand_an_item(Condition, 1)


@scenario(1)
def no_notify_is_lost_by_two() -> Any:
    return hand_an_item(lambda: Condition(Lock()), 2)


@scenario(2)
def a_notify_and_the_end_of_the_time() -> Any:
    """Whoever was told that it was notified was, and nobody else: with two waiters and one notify it is at most one."""
    cond = Condition(Lock())
    told: list[bool] = []

    def wait() -> None:
        with cond:
            told.append(cond.wait(1))

    def notify() -> None:
        with cond:
            cond.notify()

    def after() -> None:
        assert sum(told) <= 1
        assert repr(cond).endswith(", 0)>")
        nothing_waits()

    return [wait, wait, notify], after


@scenario(2)
def a_signal_is_for_who_waited() -> Any:
    """Who notifies and then waits itself does not take the signal of the one that waited before."""
    cond = Condition(Lock())
    told: list[bool] = []

    def first() -> None:
        with cond:
            cond.wait(1)

    def second() -> None:
        with cond:
            cond.notify()
            told.append(cond.wait(1))

    def after() -> None:
        assert told == [False]
        nothing_waits()

    return [first, second], after


@scenario(2)
def a_composed_wait_or_an_item() -> Any:
    cond, queue = Condition(Lock()), Queue[str]()
    got: list[Any] = []

    def wait() -> None:
        got.append((cond.wait + queue.get)())

    def notify() -> None:
        with cond:
            cond.notify()

    def after() -> None:
        assert got in ([True], ["item"])
        assert queue.qsize() == (got == [True])
        nothing_waits()

    return [wait, notify, lambda: queue.put("item")], after


@scenario(2)
def set_and_cleared() -> Any:
    """A direct wait returns although the event is cleared at once."""
    event = Event()

    def pulse() -> None:
        event.set()
        event.clear()

    def wait() -> None:
        if not event.wait(1):
            event.clear()

    return [wait, wait, pulse], nothing_waits


@scenario(1)
def barrier_twice() -> Any:
    barrier = Barrier(2)
    places: list[list[int]] = [[], []]

    def both() -> None:
        for round_ in places:
            round_.append(barrier.wait())

    def after() -> None:
        assert [sorted(round_) for round_ in places] == [[0, 1], [0, 1]]
        nothing_waits()

    return [both, both], after


@scenario(2)
def latch() -> Any:
    done = CountDownLatch(2)

    def wait() -> None:
        done.wait()
        assert done.count == 0

    return [wait, done.count_down, done.count_down], nothing_waits


@scenario(2)
def mvar() -> Any:
    m: MVar[int] = MVar()
    got: list[int] = []

    def take() -> None:
        got.append(m.take())

    def after() -> None:
        assert sorted(got) == [1, 2]
        assert m.empty()
        nothing_waits()

    return [take, take, lambda: [m.put(n) for n in (1, 2)]], after


@scenario(2)
def promise() -> Any:
    p: Promise[int] = Promise()
    got: tuple[list[int], dict[int, bool]] = [], {}

    def try_set(n: int) -> None:
        got[1][n] = p.try_set(n)

    def after() -> None:
        value, outcomes = got
        assert (value, outcomes) in [([1], {1: True, 2: False}), ([2], {1: False, 2: True})]
        nothing_waits()

    return [lambda: got[0].append(p.get()), lambda: try_set(1), lambda: try_set(2)], after


@scenario(1)
def readers_and_a_writer() -> Any:
    rw = RWLock()
    state = {"readers": 0, "writers": 0}

    def read() -> None:
        with rw.read:
            state["readers"] += 1
            assert not state["writers"]
            state["readers"] -= 1

    def write() -> None:
        with rw.write:
            state["writers"] += 1
            assert state == {"readers": 0, "writers": 1}
            state["writers"] -= 1

    def after() -> None:
        assert rw.write.acquire(blocking=False)
        nothing_waits()

    return [read, write, read], after


@scenario(1)
def two_upgrades() -> Any:
    rw = RWLock()
    outcomes: list[str] = []

    def upgrade() -> None:
        rw.read.acquire()
        try:
            rw.upgrade()
        except RuntimeError:
            rw.read.release()
            outcomes.append("refused")
        else:
            rw.write.release()
            outcomes.append("upgraded")

    def after() -> None:
        assert "upgraded" in outcomes
        assert rw.write.acquire(blocking=False)
        nothing_waits()

    return [upgrade, upgrade], after


@pytest.mark.parametrize("name", SCENARIOS)
def test_under_every_interleaving(name: str) -> None:
    make, preemptions = SCENARIOS[name]
    found = explore(make, preemptions=preemptions, max_schedules=2000)
    print(f"{name}: {found.schedules} schedules, complete: {found.complete}")
    assert found.failure is None, found.failure
    assert found.schedules > 5
