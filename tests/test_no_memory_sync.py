"""Memory that runs out, at each allocation of an operation of lockfree.sync: it happens as it should, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lockfree.sync import BoundedSemaphore, Condition, Event, Lock, MVar, Promise, RLock, Semaphore
from no_memory import Case, check
from reagents import const, stats, together


def on(make: Callable[[], Any], operation: Callable[[Any], Any], look: Callable[[Any], Any]) -> Case:
    def case(token: Any) -> Any:
        it = make()
        return (lambda: operation(it)), lambda: (look(it), stats()["waiting"])

    return case


def value(sem: Any) -> Any:
    return sem.value


def locked(lock: Any) -> Any:
    return lock.locked()


def is_set(event: Any) -> Any:
    return event.is_set()


def waiters(cond: Any) -> Any:
    return cond._is_owned()


def taken(lock: Any) -> Any:
    lock.acquire()
    return lock


def wait_within(cond: Any) -> Any:
    with cond:
        return cond.wait(1e-6)


def notify_within(cond: Any) -> Any:
    with cond:
        return cond.notify()


BOTH = Lock()

CASES: dict[str, Case] = {
    "Lock()": on(Lock, lambda x: type(Lock()), locked),
    "Lock.acquire": on(Lock, lambda x: x.acquire(), locked),
    "Lock.acquire until the timeout": on(lambda: taken(Lock()), lambda x: x.acquire(timeout=1e-6), locked),
    "Lock.release": on(lambda: taken(Lock()), lambda x: x.release(), locked),
    "release of what is not held": on(Lock, lambda x: x.release(), locked),
    "through a Lock": on(Lock, lambda x: (x.acquire >> x.release >> x.acquire)(), locked),
    "two Locks": on(Lock, lambda x: together(x.acquire, BOTH.acquire >> BOTH.release)(), locked),
    "RLock.acquire": on(lambda: taken(RLock()), lambda x: x.acquire(), lambda x: x._recursion_count()),
    "RLock, wholly": on(lambda: taken(taken(RLock())), lambda x: x._release_save()[0], locked),
    "Semaphore(2)": on(lambda: Semaphore(2), lambda x: Semaphore(2).value, value),
    "Semaphore.acquire(n=2)": on(lambda: Semaphore(2), lambda x: x.acquire(n=2), value),
    "Semaphore.acquire(n=3)": on(lambda: Semaphore(2), lambda x: x.acquire(n=3, timeout=1e-6), value),
    "composed release": on(lambda: BoundedSemaphore(2), lambda x: (x.acquire >> x.release)(), value),
    "a release too many": on(lambda: BoundedSemaphore(2), lambda x: (const(1) >> x.release)(), value),
    "Event.set": on(Event, lambda x: x.set(), is_set),
    "Event.wait until the timeout": on(Event, lambda x: x.wait(1e-6), is_set),
    "wait until the timeout": on(Condition, wait_within, waiters),
    "notify": on(Condition, notify_within, waiters),
    "composed wait until the timeout": on(Condition, lambda x: (x.wait >> const(1))(timeout=1e-6), waiters),
    "MVar": on(lambda: MVar(1), lambda x: x.take(), lambda x: x.empty()),
    "Promise": on(Promise, lambda x: x.set(1), lambda x: x.done()),
}


@pytest.mark.parametrize("name", CASES)
def test_operation(name: str) -> None:
    check(CASES[name])
