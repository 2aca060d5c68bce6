"""CPython's own tests of the types of `threading`, run against those of `lockfree.sync`.

What is left out or replaced, and why, is in docs/deviations.
"""

from __future__ import annotations

import re
import unittest
from typing import Any

import pytest

from lockfree import sync

# Some distributions ship Python without its tests; there is nothing to borrow then.
lock_tests = pytest.importorskip("test.lock_tests", reason="this interpreter came without its test suite")


class LockTests(lock_tests.LockTests):  # type: ignore[misc, name-defined]
    locktype = sync.Lock


class RLockTests(lock_tests.RLockTests):  # type: ignore[misc, name-defined]
    locktype = sync.RLock


class EventTests(lock_tests.EventTests):  # type: ignore[misc, name-defined]
    eventtype = sync.Event

    # It looks at the Condition inside of threading's Event; there is none in ours.
    test_at_fork_reinit = None
    test_reset_internal_locks = None

    # The pattern wants a module name without a dot.
    def test_repr(self) -> None:
        event = sync.Event()
        assert re.search(r"<lockfree\.sync\.Event at .*: unset>", repr(event))
        event.set()
        assert re.search(r"<lockfree\.sync\.Event at .*: set>", repr(event))


class ConditionTests(lock_tests.ConditionTests):  # type: ignore[misc, name-defined]
    condtype = sync.Condition

    # With our Lock in the place of threading's.
    def test_acquire(self) -> None:
        before = lock_tests.threading
        lock_tests.threading = sync
        try:
            super().test_acquire()
        finally:
            lock_tests.threading = before


class _SemaphoreRepr:
    """The pattern of test_repr wants a module name without a dot."""

    semtype: Any

    def test_repr(self) -> None:
        sem, bound = self.semtype(3), "/3" if self.semtype is sync.BoundedSemaphore else ""
        name = rf"<lockfree\.sync\.{self.semtype.__name__} at .*: value="
        assert re.search(f"{name}3{bound}>", repr(sem))
        sem.acquire()
        assert re.search(f"{name}2{bound}>", repr(sem))


class SemaphoreTests(_SemaphoreRepr, lock_tests.SemaphoreTests):  # type: ignore[misc, name-defined]
    semtype = sync.Semaphore


class BoundedSemaphoreTests(_SemaphoreRepr, lock_tests.BoundedSemaphoreTests):  # type: ignore[misc, name-defined]
    semtype = sync.BoundedSemaphore


class BarrierTests(lock_tests.BarrierTests):  # type: ignore[misc, name-defined]
    barriertype = sync.Barrier

    # The pattern wants a module name without a dot.
    def test_repr(self) -> None:
        barrier = self.barriertype(3)
        assert re.search(r"<lockfree\.sync\.Barrier at .*: waiters=0/3>", repr(barrier))

        def wait() -> None:
            barrier.wait()

        with lock_tests.Bunch(wait, 2) as bunch:
            # The Bunch of 3.11 waits only when told to.
            while barrier.n_waiting < 2:
                pass
            assert re.search(r"<lockfree\.sync\.Barrier at .*: waiters=2/3>", repr(barrier))
            barrier.wait()
            getattr(bunch, "wait_for_finished", lambda: None)()
        barrier.abort()
        assert re.search(r"<lockfree\.sync\.Barrier at .*: broken>", repr(barrier))


# Those with which the classes above are made run against threading's own types, or none.
del lock_tests.BaseTestCase
assert issubclass(LockTests, unittest.TestCase)
