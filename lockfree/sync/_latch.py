"""CountDownLatch: wait until n things have happened."""

from __future__ import annotations

from operator import index
from typing import Any, NoReturn, SupportsIndex

from lockfree.sync._locks import Event
from reagents import Reagent, computed
from reagents._core import AtomicInt, const

__all__ = ["CountDownLatch"]

_nothing = const(None)


def _down(count: int, n: int | None) -> tuple[int, int]:
    n = 1 if n is None else index(n)
    if n < 1:
        raise ValueError("n must be one or more")
    left = max(count - n, 0)
    return left, left


class CountDownLatch:
    """A gate that opens, for good, when it was counted down to zero (java.util.concurrent.CountDownLatch).

    count: how often it is to be counted down; ValueError when less than 0. Who waits is woken once, at zero.

    >>> from lockfree.sync import CountDownLatch
    >>> done = CountDownLatch(2)
    >>> done.count_down()
    >>> done.wait(timeout=0), done.count
    (False, 1)
    >>> done.count_down()
    >>> done.wait()
    True
    """

    __module__ = "lockfree.sync"
    __slots__ = ("__weakref__", "_left", "_open", "count_down")

    count_down: Reagent[Any, None]

    def __init__(self, count: SupportsIndex) -> None:
        n = index(count)
        if n < 0:
            raise ValueError("count must not be negative")
        self._left = AtomicInt(n)
        self._open = Event()
        if not n:
            self._open.set()
        opens = self._open.set

        def then(left: int) -> Reagent[None, None]:
            return _nothing if left else opens

        # A method and a reagent: counts down by its input (None: 1), not below zero. Never blocks. Lock-free.
        self.count_down = self._left.upd(_down) >> computed(then)

    @property
    def wait(self) -> Any:
        """wait(timeout=None): wait until the count is zero, at most timeout seconds; returns whether it is.

        A method and a reagent, which blocks until then and whose result is True.

        >>> from lockfree.sync import CountDownLatch
        >>> CountDownLatch(0).wait()
        True
        """
        return self._open.wait

    @property
    def count(self) -> int:
        """How often it is still to be counted down, at this instant.

        >>> from lockfree.sync import CountDownLatch
        >>> CountDownLatch(3).count
        3
        """
        return self._left.get()

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__qualname__} at {id(self):#x}: count={self.count}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object: it is shared by the threads of one process")
