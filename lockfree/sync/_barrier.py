"""Barrier: n threads wait for each other, again and again.

Invariant. Each round has two words of its own: `arrived`, at most `parties`, and `end`, which changes once, from None
to PASSED or BROKEN. The barrier names the round that new ones arrive at. The last to arrive runs the action, and then
ends the round and starts the next in one reaction; so nobody of the next round is counted in this one, whenever those
of this one wake. Linearization: an arrival and each end are one commit."""

from __future__ import annotations

from collections.abc import Callable
from operator import index
from threading import BrokenBarrierError
from typing import Any, Final, NoReturn, SupportsIndex

from reagents import BLOCK, Ref, lift, reagent

__all__ = ["Barrier", "BrokenBarrierError"]

PASSED: Final = "passed"
BROKEN: Final = "broken"


def _how(end: str | None) -> Any:
    return BLOCK if end is None else end


class _Round:
    __slots__ = ("arrived", "end", "ended")

    def __init__(self) -> None:
        self.arrived, self.end = Ref(0), Ref[str | None](None)
        self.ended = self.end.read >> lift(_how)


class Barrier:
    """A barrier as threading.Barrier: `parties` threads wait until all have come, then all go on.

    action() is called by one of them before they go on; when it raises, the barrier breaks. timeout is that of wait()
    unless wait() is given one, in seconds. Raises ValueError when parties is less than 1. `wait` is a method and no
    reagent: arriving and going on are two steps. Built from reagents: arriving, ending a round, breaking and
    resetting are one reaction each.

    >>> from lockfree.sync import Barrier
    >>> alone = Barrier(1, action=lambda: print("all there"))
    >>> alone.wait()
    all there
    0
    """

    __module__ = "lockfree.sync"
    __slots__ = ("__weakref__", "_action", "_arrive", "_now", "_parties", "_timeout")

    def __init__(
        self, parties: SupportsIndex, action: Callable[[], object] | None = None, timeout: float | None = None
    ) -> None:
        self._parties = n = index(parties)
        if n < 1:
            raise ValueError("parties must be greater than 0")
        self._action, self._timeout = action, timeout
        self._now = now = Ref(_Round())

        @reagent
        def arrive(tx: Any, arrival: Ref[Any]) -> None:
            """Into `arrival`: the round, and the place in it, -1 if broken. Blocks while the last one's action runs."""
            here = tx.read(now)
            place = -1
            if tx.read(here.end) != BROKEN:
                place = tx.read(here.arrived)
                if place == n:
                    tx.block()
                tx.write(here.arrived, place + 1)
            tx.write(arrival, (here, place))

        self._arrive = arrive

    def wait(self, timeout: float | None = None) -> int:
        """Wait until all parties have come, at most timeout seconds; returns an index that differs for each of them.

        Raises BrokenBarrierError when the barrier is or becomes broken, or reset, and when the time is over, which
        breaks it. Who is interrupted has not come; the last one, for whom all others wait, breaks it then. Blocks.

        >>> from lockfree.sync import Barrier
        >>> Barrier(1).wait(timeout=1)
        0
        """
        if timeout is None:
            timeout = self._timeout
        arrival: Ref[Any] = Ref(None)  # an interrupt may come when we have arrived and do not know it yet
        try:
            self._arrive(arrival)
            here, place = arrival.get()
            if place == self._parties - 1:
                how = self._pass(here)
            elif place < 0:
                how = BROKEN
            else:
                how = self._ended(here, timeout)
        except BaseException:
            if arrival.get():
                self._go_away(*arrival.get())
            raise
        if how == BROKEN:
            raise BrokenBarrierError
        return int(place)

    def _pass(self, here: _Round) -> str:
        """All have come."""
        if self._action:
            self._action()
        following = _Round()

        @reagent
        def go_on(tx: Any, _: Any) -> Any:
            if tx.read(here.end) is None:
                tx.write(here.end, PASSED)
                tx.write(self._now, following)
            return tx.read(here.end)

        return str(go_on())  # BROKEN: aborted or reset meanwhile

    def _ended(self, here: _Round, timeout: float | None) -> str:
        try:
            return str(here.ended(timeout=None if timeout is None else max(timeout, 0)))
        except TimeoutError:
            return self._end(here, BROKEN)

    @staticmethod
    def _end(here: _Round, how: str) -> str:
        """How the round has ended: so, unless it had."""
        here.end.compare_and_set(None, how)
        return here.end.get() or how

    def _go_away(self, here: _Round, place: int) -> None:
        n = self._parties

        @reagent
        def go_away(tx: Any, _: Any) -> None:
            if place < 0 or tx.read(here.end) is not None:
                return
            if place == n - 1:
                tx.write(here.end, BROKEN)
            elif (arrived := tx.read(here.arrived)) < n:
                tx.write(here.arrived, arrived - 1)

        go_away()

    def abort(self) -> None:
        """Break the barrier: who waits, and who comes, gets BrokenBarrierError, until reset(). Never blocks. Lock-free.

        >>> from lockfree.sync import Barrier
        >>> b = Barrier(2)
        >>> b.abort()
        >>> b.broken
        True
        """
        following = _Round()
        following.end.set(BROKEN)

        @reagent
        def abort(tx: Any, _: Any) -> None:
            here = tx.read(self._now)
            if tx.read(here.end) is None:
                tx.write(here.end, BROKEN)
            else:
                tx.write(self._now, following)

        abort()

    def reset(self) -> None:
        """Make the barrier as new: who waits gets BrokenBarrierError. Never blocks. Lock-free.

        >>> from lockfree.sync import Barrier
        >>> b = Barrier(1)
        >>> b.abort()
        >>> b.reset()
        >>> b.wait()
        0
        """
        following = _Round()

        @reagent
        def reset(tx: Any, _: Any) -> None:
            here = tx.read(self._now)
            if tx.read(here.end) is None:
                tx.write(here.end, BROKEN)
            tx.write(self._now, following)

        reset()

    @property
    def parties(self) -> int:
        """How many threads it takes.

        >>> from lockfree.sync import Barrier
        >>> Barrier(2).parties
        2
        """
        return self._parties

    @property
    def n_waiting(self) -> int:
        """How many have come and wait, at this instant.

        >>> from lockfree.sync import Barrier
        >>> Barrier(2).n_waiting
        0
        """

        @reagent
        def look(tx: Any, _: Any) -> int:
            here = tx.read(self._now)
            return tx.read(here.arrived) if tx.read(here.end) is None else 0

        return look()

    @property
    def broken(self) -> bool:
        """Whether it is broken, at this instant.

        >>> from lockfree.sync import Barrier
        >>> Barrier(2).broken
        False
        """

        @reagent
        def look(tx: Any, _: Any) -> bool:
            return bool(tx.read(tx.read(self._now).end) == BROKEN)

        return look()

    def __repr__(self) -> str:
        how = "broken" if self.broken else f"waiters={self.n_waiting}/{self._parties}"
        return f"<{type(self).__module__}.{type(self).__qualname__} at {id(self):#x}: {how}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object: it is shared by the threads of one process")
