"""Condition: wait until somebody says that something has changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Self, TypeVar

from lockfree.sync._locks import Lock, RLock
from reagents import Endpoint, Reagent, attempt, channel, const
from reagents._core import BaseCondition, _with_methods_of_its_own

__all__ = ["Condition"]

_T = TypeVar("_T")


def _composed() -> tuple[Endpoint[Any, Any], Reagent[Any, Any], Reagent[Any, Any], Reagent[Any, bool]]:
    """Where composed waits meet notifies: their end, its swap, meeting one of them, and whether there was one."""
    waiting, notifying = channel()
    met = attempt(const(True) >> notifying.swap >> const(True), False)
    return waiting, waiting.swap, met >> const(None), met


@_with_methods_of_its_own
class Condition(BaseCondition):
    """A condition variable as threading.Condition (Hoare, 1974; here as glibc's) whose parts compose.

    lock: a Lock or RLock of this module, an RLock of its own by default; TypeError for any other, because waiting
    releases it in the same step. A notify wakes those who wait at that instant and nobody else; none is lost, and
    there are no spurious wake-ups. wait, notify and notify_all raise RuntimeError when the lock is not held.
    Lock-free but for the waiting.

    Composed, `notify` is part of one step (c.notify >> c.release), and `wait` is one step together with the notify
    that it meets: it neither needs nor touches the lock, and may be a branch of a choice.

    >>> from lockfree.sync import Condition, Event
    >>> c, stop = Condition(), Event()
    >>> stop.set()
    >>> (c.wait + stop.wait)()
    True
    >>> with c:
    ...     c.wait_for(lambda: stop.is_set())
    True
    """

    __module__ = "lockfree.sync"
    __slots__ = ()

    def __new__(cls, lock: Lock | RLock | None = None) -> Self:
        return super().__new__(cls, RLock() if lock is None else lock, _composed)

    def wait_for(self, predicate: Callable[[], _T], timeout: float | None = None) -> _T:
        """Wait until predicate() is true, looking again after each notify, at most timeout seconds in all.

        Returns what predicate() said last. Called with the lock held, as is predicate. Blocks.

        >>> from lockfree.sync import Condition
        >>> c = Condition()
        >>> with c:
        ...     c.wait_for(lambda: False, timeout=0.01)
        False
        """
        end, left = None, timeout
        result = predicate()
        while not result:
            if left is not None:
                if end is None:  # without any patience too, others get the lock once
                    end = time.monotonic() + left
                elif (left := end - time.monotonic()) <= 0:
                    break
            self.wait(left)
            result = predicate()
        return result
