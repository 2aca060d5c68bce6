"""trio as a scheduler. Its tasks ask before a cancellation takes effect, which is just what is needed here; and
each arun() is a checkpoint, as trio expects."""

from collections.abc import Callable
from typing import Any

import trio

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
        try:
            if _token_here() is self._token:
                self._wake()
            else:
                self._token.run_sync_soon(self._wake)
        except trio.RunFinishedError:
            pass

    def _wake(self) -> None:
        if self._waits:
            self._waits = False
            trio.lowlevel.reschedule(self._task)
        else:
            self._came_early = True

    async def wait(self, withdraw: Callable[[], bool], seconds: float | None = None) -> None:
        self._waited = True
        if self._came_early:
            self._came_early = False
            return

        def abort(_: Any) -> Any:
            if not withdraw():
                return trio.lowlevel.Abort.FAILED
            self._waits = False
            return trio.lowlevel.Abort.SUCCEEDED

        if seconds is not None:  # nobody calls: look again; arun() takes it back if this is cancelled
            await trio.sleep(seconds)
            return
        self._waits = True
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


def _token_here() -> Any:
    try:
        return trio.lowlevel.current_trio_token()
    except RuntimeError:
        return None


def running() -> Scheduler | None:
    try:
        trio.lowlevel.current_task()
    except RuntimeError:
        return None
    return TrioScheduler()
