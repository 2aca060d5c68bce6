"""asyncio as a scheduler.

Cancellation is an exception thrown into the wait. When the reaction has happened already, its result is
returned instead, and the task is cancelled anew once its present step is over: unless somebody has taken the
cancellation back by then, as asyncio.timeout() does when its block ends.
"""

import asyncio
from asyncio import events
from collections.abc import Callable

from reagents.schedulers import Scheduler


class AsyncioSuspension:
    __slots__ = ("_came_early", "_cancellations", "_future", "_loop", "_task")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._task = asyncio.current_task(loop)
        self._future: asyncio.Future[None] | None = None
        self._came_early = False
        self._cancellations = 0  # of the task, when the last one came too late

    def resume(self) -> None:
        if events._get_running_loop() is self._loop:
            self._wake()
            return
        try:
            self._loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            pass  # the loop is closed, and its coroutines with it

    def _wake(self) -> None:
        if self._future is None:
            self._came_early = True
        elif not self._future.done():
            self._future.set_result(None)

    async def wait(self, withdraw: Callable[[], bool], seconds: float | None = None) -> None:
        if self._came_early:
            self._came_early = False
            return
        self._future = self._loop.create_future()
        timer = None if seconds is None else self._loop.call_later(seconds, self._wake)
        try:
            await self._future
        except asyncio.CancelledError:
            resumed = self._future.done() and not self._future.cancelled()
            if withdraw():
                raise
            if self._task is not None:
                self._cancellations = max(self._task.cancelling(), 1)
            if not resumed:
                await self._resumed()
        finally:
            self._future = None
            if timer is not None:
                timer.cancel()

    async def _resumed(self) -> None:
        """It has happened; wait until that is told, come what may."""
        while not self._came_early:
            self._future = self._loop.create_future()
            try:
                await self._future
                return
            except asyncio.CancelledError:
                if self._future.done() and not self._future.cancelled():
                    return
        self._came_early = False

    async def enter(self) -> None:
        pass

    async def leave(self) -> None:
        if self._cancellations:
            self._loop.call_soon(self._cancel_anew)

    def _cancel_anew(self) -> None:
        task = self._task
        if task is not None and not task.done() and task.cancelling() >= self._cancellations:
            task.uncancel()
            task.cancel()


class AsyncioScheduler:
    __slots__ = ("_loop",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def suspension(self) -> AsyncioSuspension:
        return AsyncioSuspension(self._loop)


def running() -> Scheduler | None:
    loop = events._get_running_loop()
    return None if loop is None else AsyncioScheduler(loop)
