"""lockfree.sync keeps no reference and gives up none that it did not have; and works in subinterpreters."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

import test_refleaks
import test_subinterpreter
from lockfree import Queue
from lockfree.sync import (
    Barrier,
    BoundedSemaphore,
    Condition,
    CountDownLatch,
    Event,
    Lock,
    MVar,
    Promise,
    RLock,
    RWLock,
    Semaphore,
)
from racing import race, run_python
from reagents import attempt, const, guard, never, together
from test_refleaks import Failure, Token, blocks, expecting, fail_with


def locks(t: Token) -> None:
    for make in (Lock, RLock, Semaphore, lambda: BoundedSemaphore(1), lambda: RWLock().write):
        lock: Any = make()
        (
            const(t)
            >> guard(lambda _: True)
            >> const(None)
            >> together(lock.acquire, const(t))
            >> const(None)
            >> lock.release
        )()
        attempt(lock.acquire >> const(t) >> never, t)()
        ((lock.acquire >> const(t) >> guard(lambda _: False)) + const(t))()
        expecting(TypeError, lambda lock=lock: lock.acquire(timeout=t))
        with contextlib.suppress(Failure), lock:
            raise Failure(t)
        if make not in (Semaphore, Lock):
            expecting(Exception, lambda lock=lock: (const(None) >> lock.release)())
        repr(lock)
        if make is Lock:
            with lock:
                blocks(lock.acquire >> const(t))
                assert not lock.acquire(timeout=0)
                assert not lock.acquire(timeout=1e-6)
    expecting(TypeError, lambda: (const(t) >> Semaphore().acquire)())
    expecting(TypeError, lambda: Semaphore().release(t))
    rw = RWLock()
    with rw.read:
        rw.upgrade(), rw.downgrade(), rw.write.acquire(timeout=1e-6), repr(rw)
    expecting(RuntimeError, rw.upgrade)
    saved = RLock()
    saved.acquire()
    saved._acquire_restore(saved._release_save())
    expecting(TypeError, lambda: saved._acquire_restore((t, t)))  # type: ignore[arg-type]
    for times in (0, -1, 1 << 31, (1 << 62) - 1):
        expecting(TypeError, lambda times=times: saved._acquire_restore((times, 0)))
    saved.release()
    assert not saved.locked()


def conditions(t: Token) -> None:
    for lock in (None, Lock()):
        cond, queue = Condition(lock), Queue[Any]()
        with cond:
            cond.wait_for(lambda: t), cond.wait(1e-6), cond.wait(0), cond.notify(3), cond.notify_all()
            expecting(TypeError, lambda cond=cond: cond.wait(t))
            expecting(TypeError, lambda cond=cond: cond.notify(t))
            expecting(TypeError, lambda cond=cond: (const(t) >> cond.notify)())
            expecting(Failure, lambda cond=cond: cond.wait_for(fail_with(t)))
        for call in (cond.wait, cond.notify, cond.notify_all, const(2) >> cond.notify):
            expecting(RuntimeError, call)
        blocks(const(t) >> cond.wait >> const(t))
        queue.put(t)
        (cond.wait + queue.get)()
        with cond:
            (const(t) >> queue.put >> const(1) >> cond.notify)()
            expecting(OverflowError, lambda cond=cond: cond.wait(1e300))


def events_and_barriers(t: Token) -> None:
    event = Event()
    blocks(const(t) >> event.wait)
    event.wait(1e-6), event.wait(0), event.set(), event.wait(t), event.clear(), repr(event)  # type: ignore[arg-type]
    expecting(TypeError, lambda: event.wait(t))
    (const(t) >> event.set >> event.wait >> event.is_set >> const(t) >> event.clear)()
    barrier = Barrier(1, action=t)
    barrier.wait(), barrier.abort(), barrier.reset(), repr(barrier)
    expecting(Failure, Barrier(1, action=fail_with(t)).wait)
    expecting(RuntimeError, lambda: Barrier(2, action=t).wait(1e-6))
    latch = CountDownLatch(2)
    (const(2) >> latch.count_down >> const(t))()
    latch.wait(), repr(latch)


def values(t: Token) -> None:
    m: MVar[Any] = MVar(t)
    m.read(), m.try_put(t), m.take(), m.try_take(t), m.put(t), m.try_read(), repr(m)
    blocks(const(t) >> m.put)
    (m.take >> m.put >> m.read)()
    ((m.take >> never) + m.read)()
    p: Promise[Any] = Promise()
    blocks(p.get)
    p.set(t), p.get(), p.wait(), p.try_set(t), repr(p)
    expecting(RuntimeError, lambda: p.set(t))
    q: Promise[Any] = Promise()
    expecting(TypeError, lambda: q.set_exception(t))  # type: ignore[arg-type]
    q.set_exception(Failure(t))
    expecting(Failure, q.get)
    expecting(Failure, q.get)


def threads(t: Token) -> None:
    cond, items = Condition(), list[Any]()

    def put() -> None:
        for _ in range(5):
            with cond:
                items.append(t)
                cond.notify()

    def get() -> None:
        for _ in range(5):
            with cond:
                cond.wait_for(lambda: items)
                assert items.pop() is t

    race(put, get)


SCENARIOS = [locks, conditions, events_and_barriers, values, threads]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_references(scenario: Callable[[Token], None]) -> None:
    test_refleaks.test_no_reference_is_kept(scenario)
    test_refleaks.test_no_reference_is_given_up_that_was_not_held(scenario)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_repetition_does_not_grow(scenario: Callable[[Token], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_refleaks, "threads", threads)  # fewer repetitions of that
    test_refleaks.test_repetition_does_not_grow(scenario)


USE = """
import threading
from lockfree.sync import *
from reagents import attempt, const, stats, together

a, b, cond, sem, event, m, barrier = Lock(), RLock(), Condition(), Semaphore(2), Event(), MVar(1), Barrier(2)
together(a.acquire, b.acquire)(), a.release(), b.release()
items = []
def put():
    for n in range(50):
        with cond:
            items.append(n)
            (const(1) >> cond.notify)()
        with a, b, sem: pass
        m.put(m.take() + 1)
    barrier.wait()
    event.set()
def get():
    for _ in range(50):
        with cond:
            cond.wait_for(lambda: items)
            items.pop()
        with a, b, sem: pass
    barrier.wait()
threads = [threading.Thread(target=f) for f in (put, get)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert event.wait() and not items and m.take() == 51 and stats()["waiting"] == 0
attempt(cond.wait, None)()
try:
    cond.notify()
    raise AssertionError
except RuntimeError:
    pass
m.put((m, cond, a))        # cycles for the collector at the interpreter's end
"""


@test_subinterpreter.pytestmark
def test_in_subinterpreters() -> None:
    """Several, in turn, beside the main one and at once."""
    run_python(
        test_subinterpreter.PRELUDE
        + f"""
exec({USE!r}, {{}})
for _ in range(2): run({USE!r})
errors = []
def one():
    try: run({USE!r})
    except BaseException as error: errors.append(error)
threads = [threading.Thread(target=one) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert not errors, errors
exec({USE!r}, {{}})
"""
    )
