"""Lock, RLock, Semaphore, BoundedSemaphore, Event: the C types, and `async with`."""

from types import TracebackType
from typing import Any

from reagents import _core
from reagents._core import Event, RLock

__all__ = ["BoundedSemaphore", "Event", "Lock", "RLock", "Semaphore"]


class _InCoroutines:
    """`async with` of what has acquire and release."""

    __slots__ = ()

    acquire: Any
    release: Any

    async def __aenter__(self) -> bool:
        return bool(await self.acquire.arun())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


@_core._with_methods_of_its_own
class Lock(_core.Lock, _InCoroutines):
    """A lock as threading.Lock that composes: acquire and release are methods and reagents. Lock-free but for the
    waiting.

    `with` and `async with` take it and give it back; any thread or task may release it. A class, and may be subclassed.
    (Anderson's "lock" of one permit; composed as in Turon, PLDI 2012.)

    >>> from lockfree.sync import Lock
    >>> lock = Lock()
    >>> with lock:
    ...     lock.locked()
    True
    >>> (lock.acquire >> lock.release)()
    """

    __module__ = "lockfree.sync"
    __slots__ = ()


@_core._with_methods_of_its_own
class Semaphore(_core.Semaphore, _InCoroutines):
    """A counter of permits (Dijkstra, 1965) as threading.Semaphore that composes, and hands out n at once.

    acquire and release are methods and reagents, whose input is n. `with` and `async with` take one permit. Raises
    ValueError when value is less than 0. Lock-free but for the waiting.

    >>> from lockfree.sync import Semaphore
    >>> from reagents import attempt, const
    >>> slots = Semaphore(3)
    >>> (const(2) >> slots.acquire)()
    True
    >>> attempt(const(2) >> slots.acquire, "too many")()
    'too many'
    """

    __module__ = "lockfree.sync"
    __slots__ = ()


@_core._with_methods_of_its_own
class BoundedSemaphore(_core.BoundedSemaphore, _InCoroutines):
    """A Semaphore that refuses, with ValueError, to be released more often than it was acquired.

    >>> from lockfree.sync import BoundedSemaphore
    >>> BoundedSemaphore(1).release()
    Traceback (most recent call last):
    ...
    ValueError: Semaphore released too many times
    """

    __module__ = "lockfree.sync"
    __slots__ = ()
