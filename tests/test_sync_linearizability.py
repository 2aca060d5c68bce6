"""Semaphores and locks, under real threads, are linearizable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st

from concurrent_programs import Subject, call, check_programs
from lockfree.sync import BoundedSemaphore, Event, Lock, MVar, RLock
from reagents import attempt, computed, const, lift, together
from reagents.testing import Spec, read_only
from subjects import WAIT, paused

PERMITS = 3
number = st.integers(1, 2)


class PermitsSpec(Spec):
    """Permits that are free, of a bounded semaphore."""

    initial = PERMITS

    def acquire(self, state: int, n: int) -> Any:
        return (state - n, True) if state >= n else (state, False)

    def release(self, state: int, n: int) -> Any:
        return (state + n, True) if state + n <= PERMITS else (state, False)

    def borrow(self, state: int, n: int) -> Any:
        """Taken and given back in one step: were there as many?"""
        return state, state >= n

    @read_only
    def value(self, state: int) -> Any:
        return state, state


def refused(function: Callable[[], Any]) -> bool:
    try:
        function()
    except (ValueError, RuntimeError):
        return False
    return True


class SemaphoreSubject(Subject):
    spec = PermitsSpec
    calls = st.one_of(
        call("acquire", number),
        call("acquire_composed", number),
        call("acquire_waiting", number),
        call("release", number),
        call("release_composed", number),
        call("borrow", number),
        call("value"),
    )

    def __init__(self) -> None:
        self._sem = BoundedSemaphore(PERMITS)
        self.acquire_composed = attempt(lift(paused) >> self._sem.acquire, False)
        self.borrow = attempt(paused_borrow(self._sem), False)

    def acquire(self, n: int) -> bool:
        return self._sem.acquire(blocking=False, n=n)

    def acquire_waiting(self, n: int) -> bool:
        return self._sem.acquire(timeout=WAIT, n=n)

    def release(self, n: int) -> bool:
        return refused(lambda: self._sem.release(n))

    def release_composed(self, n: int) -> bool:
        return refused(lambda: (const(n) >> paused >> self._sem.release)())

    def value(self) -> int:
        return self._sem.value

    def drain(self, run: Callable[..., Any]) -> None:
        run("value")


def paused_borrow(sem: BoundedSemaphore) -> Any:
    return computed(lambda n: const(n) >> sem.acquire >> paused >> const(n) >> sem.release >> const(True))


class LocksSpec(Spec):
    """Two locks and an event; an MVar that may hold a number."""

    initial: Any = (False, False, None)

    def acquire(self, state: Any) -> Any:
        a, b, m = state
        return (state, False) if a else ((True, b, m), True)

    def release(self, state: Any) -> Any:
        a, b, m = state
        return ((False, b, m), True) if a else (state, False)

    def both(self, state: Any) -> Any:
        a, b, m = state
        return ((True, True, m), True) if not a and not b else (state, False)

    def neither(self, state: Any) -> Any:
        a, b, m = state
        return ((False, False, m), True) if a and b else (state, False)

    def hand_over(self, state: Any) -> Any:
        """From the first to the second. None: the first is not held."""
        a, b, m = state
        if not a:
            return state, None
        return (state, False) if b else ((False, True, m), True)

    def put(self, state: Any, x: int) -> Any:
        a, b, m = state
        return ((a, b, x), True) if m is None else (state, False)

    def take(self, state: Any) -> Any:
        a, b, m = state
        return (a, b, None), m

    def take_with_lock(self, state: Any) -> Any:
        a, b, m = state
        return (state, None) if a or m is None else ((True, b, None), m)

    @read_only
    def locked(self, state: Any) -> Any:
        return state, state[0]


class LocksSubject(Subject):
    spec = LocksSpec
    calls = st.one_of(
        *map(call, ["acquire", "acquire_composed", "acquire_waiting", "release", "both", "neither", "hand_over"]),
        call("put", number),
        *map(call, ["take", "take_waiting", "take_with_lock", "locked"]),
    )

    def __init__(self) -> None:
        a, b, m = Lock(), Lock(), MVar[int]()
        self._a, self._m = a, m
        self.locked = a.locked
        self.acquire_composed = attempt(a.acquire >> paused, False)
        self.both = attempt(together(a.acquire, lift(paused) >> b.acquire) >> const(True), False)
        self._neither = together(a.release, lift(paused) >> b.release)
        self._hand_over = attempt(a.release >> lift(paused) >> b.acquire, False)
        self.put, self.take = m.try_put, m.try_take
        self.take_with_lock = attempt(a.acquire >> paused >> m.take, None)

    def acquire(self) -> bool:
        return self._a.acquire(blocking=False)

    def acquire_waiting(self) -> bool:
        return self._a.acquire(timeout=WAIT)

    def release(self) -> bool:
        return refused(self._a.release)

    def neither(self) -> bool:
        return refused(self._neither)

    def hand_over(self) -> bool | None:
        try:
            return self._hand_over()
        except RuntimeError:
            return None

    def take_waiting(self) -> int | None:
        try:
            return self._m.take(timeout=WAIT)
        except TimeoutError:
            return None

    def drain(self, run: Callable[..., Any]) -> None:
        for name in ("locked", "neither", "both", "take"):
            run(name)


@pytest.mark.parametrize("subject", [SemaphoreSubject, LocksSubject])
def test_linearizable(subject: type[Subject]) -> None:
    check_programs(subject)


def test_an_event_and_a_recursive_lock_say_one_thing_at_a_time() -> None:
    """Both sides of a step are seen, or neither."""
    event, lock = Event(), RLock()
    (event.set >> lock.acquire)()
    assert attempt(event.wait >> event.clear >> lock.release >> const("undone"))() == "undone"
    assert (event.is_set(), lock.locked()) == (False, False)
