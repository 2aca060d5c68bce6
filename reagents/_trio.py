"""trio as a scheduler. Its tasks ask before a cancellation takes effect, which is just what is needed here; and
each arun() is a checkpoint, as trio expects."""

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import sniffio
import trio
from trio.lowlevel import Abort

from reagents.schedulers import Scheduler


class TrioSuspension:
    __slots__ = ("_came_early", "_task", "_token", "_waited", "_waits")

    def __init__(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._task = trio.lowlevel.current_task()
        self._waits = False
        self._waited = False
        self._came_early = False

    def resume(self) -> None:
        # Only while one of its tasks runs is trio known not to sleep, nor to be in the middle of its own lists: this
        # may be a signal's handler, or a destructor.
        if trio.lowlevel.in_trio_task() and trio.lowlevel.current_trio_token() is self._token:
            self._wake()
            return
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._wake)

    def _wake(self) -> None:
        if self._waits:
            self._waits = False
            trio.lowlevel.reschedule(self._task)
        else:
            self._came_early = True

    async def wait(self, withdraw: Callable[[], bool], seconds: float | None = None) -> None:
        if self._came_early:
            self._came_early = False
            return
        if seconds is None:
            await self._sleep(withdraw)
            return
        # Shielded, so that what cancels this scope is its own deadline. A cancellation from outside can wait so long.
        with trio.CancelScope(deadline=trio.current_time() + seconds, shield=True) as nap:
            await self._sleep(lambda: nap.cancel_called or withdraw())
        if nap.cancelled_caught and trio.current_effective_deadline() == -math.inf:
            if withdraw():
                await trio.lowlevel.checkpoint_if_cancelled()  # raises
            elif not self._came_early:
                await self._sleep(lambda: False)

    async def _sleep(self, may_be_cancelled: Callable[[], bool]) -> None:
        def abort(_: Any) -> Abort:
            if not may_be_cancelled():
                return Abort.FAILED  # trio goes on asking; resume() comes first
            self._waits = False
            return Abort.SUCCEEDED

        self._waits = self._waited = True
        await trio.lowlevel.wait_task_rescheduled(abort)

    async def enter(self) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()

    async def leave(self) -> None:
        if not self._waited:
            await trio.lowlevel.cancel_shielded_checkpoint()


class TrioScheduler:
    __slots__ = ()

    def suspension(self) -> TrioSuspension:
        return TrioSuspension()


_scheduler = TrioScheduler()


def running() -> Scheduler | None:
    # A task of trio may run an asyncio loop (trio-asyncio), and a loop may run trio as its guest: sniffio knows which
    # is the inner one.
    return _scheduler if trio.lowlevel.in_trio_task() and sniffio.thread_local.name == "trio" else None
