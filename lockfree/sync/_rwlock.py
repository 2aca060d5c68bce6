"""RWLock: many readers or one writer.

One word says who is in:  readers << 2 | writer << 1 | upgrading , and another how many writers are announced.
Invariant: while there is a writer there is no reader, and the last bit is set only while there is one. Every change
of state is one commit.

Policy: writers first (Courtois, Heymans and Parnas, CACM 1971, the second problem). Who waits to write by a call, by
`with` or by `async with` is announced, and no new reader comes in while somebody is; so readers that come and go do not
keep a writer out, but writers may keep readers out. A composed write.acquire is one step: it is not announced before
that step, so it waits for an instant without readers, and starves while there is none; so does a composed upgrade."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Final, NoReturn

from reagents import BLOCK, Reagent, Ref, attempt, const
from reagents._core import AtomicInt, _called_as

__all__ = ["RWLock"]

READER: Final = 4
WRITER: Final = 2
UPGRADING: Final = 1


def _enter_reading(state: int, _: object) -> Any:
    return BLOCK if state & (WRITER | UPGRADING) else (state + READER, True)


def _leave_reading(state: int, _: object) -> Any:
    if state < READER or state == READER | UPGRADING:
        raise RuntimeError("release of a lock that no reader holds")
    return state - READER, None


def _enter_writing(state: int, _: object) -> Any:
    return BLOCK if state else (WRITER, True)


def _leave_writing(state: int, _: object) -> Any:
    if state != WRITER:
        raise RuntimeError("release of a lock that no writer holds")
    return 0, None


def _downgrade(state: int, _: object) -> Any:
    if state != WRITER:
        raise RuntimeError("downgrade of a lock that no writer holds")
    return READER, None


def _upgrade(state: int, _: object) -> Any:
    if state < READER:
        raise RuntimeError("upgrade of a lock that no reader holds")
    if state & UPGRADING:
        raise RuntimeError("another reader is upgrading, and waits for this one to leave")
    return (WRITER, True) if state == READER else BLOCK


def _announce_upgrade(state: int, _: object) -> Any:
    if state < READER or state & UPGRADING:
        return _upgrade(state, None)  # raises
    return state | UPGRADING, None


def _finish_upgrade(state: int, _: object) -> Any:
    return (WRITER, True) if state == READER | UPGRADING else BLOCK


def _nobody_announced(announced: int, _: object) -> Any:
    return BLOCK if announced else (0, None)


class _TwoSteps:
    """announce, then enter; if that is interrupted, cancelled or does not happen in time, all is as before.

    How far it has come is written in the steps themselves: an interrupt may arrive when one has happened and the
    function has not gone on yet.
    """

    __slots__ = ("_announce", "_enter", "_undo")

    def __init__(
        self, announce: Reagent[Any, Any], enter: Reagent[Any, Any], forget: Reagent[Any, Any], leave: Reagent[Any, Any]
    ) -> None:
        self._announce, self._enter = announce >> const(1), enter >> const(2)
        self._undo = (None, forget, leave)

    def run(self, timeout: float | None) -> bool:
        how_far: Ref[int] = Ref(0)
        try:
            (self._announce >> how_far.write)()
            (self._enter >> how_far.write)(timeout=timeout)
            return True
        except BaseException:
            self._back(how_far)
            raise

    async def arun(self) -> bool:
        how_far: Ref[int] = Ref(0)
        try:
            (self._announce >> how_far.write)()
            await (self._enter >> how_far.write).arun()
            return True
        except BaseException:
            self._back(how_far)
            raise

    def _back(self, how_far: Ref[int]) -> None:
        undo = self._undo[how_far.get()]
        if undo:
            undo()


class _Side:
    """`rw.read` or `rw.write`: a lock."""

    __slots__ = ("_enter", "acquire", "release")

    acquire: Any
    release: Reagent[Any, None]

    def __init__(self, acquire: Any, release: Reagent[Any, None], enter: Callable[[], Awaitable[bool]]) -> None:
        self.acquire, self.release, self._enter = acquire, release, enter

    def __enter__(self) -> bool:
        return bool(self.acquire())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    async def __aenter__(self) -> bool:
        return await self._enter()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


def _acquiring(run: Callable[[float | None], bool], attempt_now: Callable[[], bool]) -> Callable[..., bool]:
    """acquire(blocking=True, timeout=-1) as of threading.Lock."""

    def acquire(blocking: bool = True, timeout: float = -1) -> bool:
        if not blocking:
            if timeout != -1:
                raise ValueError("can't specify a timeout for a non-blocking call")
            return attempt_now()
        if timeout != -1 and not timeout >= 0:
            raise ValueError("timeout value must be a non-negative number")
        try:
            return run(None if timeout == -1 else timeout)
        except TimeoutError:
            return False

    return acquire


class RWLock:
    """A lock for many readers or one writer. `rw.read` and `rw.write` are its two sides, each a lock.

    A side has acquire(blocking=True, timeout=-1) -> bool and release(), methods and reagents, and is a context manager,
    for `with` and `async with`. Releasing what is not held raises RuntimeError. Not re-entrant: who reads must not
    acquire again, for a writer may have come between. Writers go first: no new reader comes in while somebody waits to
    write by a call of `acquire`, by `with` or by `async with`. Composed, or by `arun`, write.acquire is one step and
    announces nothing: it waits for an instant without readers, so readers that overlap without end starve it. Lock-free
    but for the waiting.

    upgrade(timeout=None) -> bool goes from reader to writer when the other readers have left; while somebody waits so,
    no reader comes in, and another one's upgrade raises RuntimeError, for the two would wait for each other.
    downgrade() goes from writer to reader. Both are methods and reagents; a composed upgrade is one step, announces
    nothing, and can be starved likewise.
    (Courtois, Heymans and Parnas, CACM 1971.)

    >>> from lockfree.sync import RWLock
    >>> rw = RWLock()
    >>> with rw.read:
    ...     rw.read.acquire(), rw.write.acquire(blocking=False)
    (True, False)
    >>> rw.upgrade()
    True
    >>> rw.downgrade()
    >>> rw.read.release()
    """

    __module__ = "lockfree.sync"
    __slots__ = ("__weakref__", "_announced", "_state", "downgrade", "read", "upgrade", "write")

    read: _Side
    write: _Side
    downgrade: Reagent[Any, None]
    upgrade: Any

    def __init__(self) -> None:
        self._state, self._announced = state, announced = AtomicInt(), AtomicInt()
        read = announced.upd(_nobody_announced) >> state.upd(_enter_reading)
        write = state.upd(_enter_writing)
        announce_write, write_announced = const(1) >> announced.add, write >> const(-1) >> announced.add
        announce_upgrade, upgrade_announced = state.upd(_announce_upgrade), state.upd(_finish_upgrade)
        # What is undone after an interrupt: the announcement, or what was got since.
        forget_write, give_up_write = const(-1) >> announced.add, state.upd(_leave_writing)
        forget_upgrade, give_up_upgrade = const(-UPGRADING) >> state.add, state.upd(_downgrade)

        writing = _TwoSteps(announce_write, write_announced, forget_write, give_up_write)
        upgrading = _TwoSteps(announce_upgrade, upgrade_announced, forget_upgrade, give_up_upgrade)

        def run_write(timeout: float | None) -> bool:
            return try_write() or writing.run(timeout)

        async def enter_writing() -> bool:
            return await try_write.arun() or await writing.arun()

        def run_upgrade(timeout: float | None = None) -> bool:
            try:
                return upgrading.run(timeout)
            except TimeoutError:
                return False

        try_read, try_write = attempt(read, False), attempt(write, False)
        self.read = _Side(
            _called_as(read, _acquiring(lambda timeout: read(timeout=timeout), try_read)),
            state.upd(_leave_reading),
            read.arun,
        )
        self.write = _Side(
            _called_as(write, _acquiring(run_write, try_write)), state.upd(_leave_writing), enter_writing
        )
        # From reader to writer, in one step: waits until the other readers have left. Called, it is announced: no
        # reader comes in meanwhile, and the next who tries gets RuntimeError, for the two would wait for each other.
        self.upgrade = _called_as(state.upd(_upgrade), run_upgrade)
        # From writer to reader, in one step.
        self.downgrade = state.upd(_downgrade)

    def __repr__(self) -> str:
        state = self._state.get()
        how = "writing" if state & WRITER else f"readers={state >> 2}"
        return f"<{type(self).__module__}.{type(self).__qualname__} at {id(self):#x}: {how}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object: it is shared by the threads of one process")
