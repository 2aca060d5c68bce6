"""asyncio as a scheduler.

Cancellation is an exception thrown into the wait. When the reaction has happened already, its result is
returned instead, and the task is cancelled anew once its present step is over: unless somebody has taken the
cancellation back by then, as asyncio.timeout() does when its block ends.
"""

import asyncio
from asyncio import CancelledError, current_task
from asyncio.events import _get_running_loop
from collections.abc import Callable
from contextlib import suppress

from reagents.schedulers import Scheduler


class AsyncioSuspension:
    __slots__ = ("_came_early", "_future", "_held", "_late", "_loop", "_task", "_undisturbed")

    def __init__(self, loop: asyncio.AbstractEventLoop, held: "set[AsyncioSuspension]") -> None:
        self._loop = loop
        self._task = current_task(loop)
        self._held = held
        self._future: asyncio.Future[None] | None = None
        self._came_early = False
        self._undisturbed = 0  # requests to cancel the task that were none of this wait's business
        self._late: CancelledError | None = None

    def resume(self) -> None:
        loop = self._loop
        # While a task runs its loop does not sleep. Elsewhere in the loop's thread it may, or be about to: this may be
        # a signal's handler, or a destructor.
        if _get_running_loop() is loop and current_task(loop) is not None:
            self._wake()
            return
        with suppress(RuntimeError):  # the loop is closed, and its coroutines with it
            loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        future = self._future
        if future is None or future.cancelled():
            self._came_early = True  # where it was cancelled, _resumed() asks for this
        elif not future.done():
            future.set_result(None)

    async def wait(self, withdraw: Callable[[], bool], seconds: float | None = None) -> None:
        if self._came_early:
            self._came_early = False
            return
        task = self._task
        if task is not None:
            self._undisturbed = task.cancelling() - getattr(task, "_must_cancel", False)  # that one comes at the await
        self._future = future = self._loop.create_future()
        timer = None if seconds is None else self._loop.call_later(seconds, self._wake)
        self._held.add(self)
        try:
            await future
        except CancelledError as cancelled:
            if withdraw():
                raise
            self._late = cancelled
            if future.cancelled() or not future.done():
                await self._resumed()
        finally:
            self._held.discard(self)
            self._future = None
            if timer is not None:
                timer.cancel()

    async def _resumed(self) -> None:
        """It has happened; wait until that is told, come what may."""
        while not self._came_early:
            self._future = future = self._loop.create_future()
            try:
                await future
                return
            except CancelledError:
                if future.done() and not future.cancelled():
                    return
        self._came_early = False

    async def enter(self) -> None:
        pass

    async def leave(self) -> None:
        if self._late is not None:
            self._loop.call_soon(self._cancel_anew)

    def _cancel_anew(self) -> None:
        task, late, self._late = self._task, self._late, None
        if task is not None and late is not None and not task.done() and task.cancelling() > self._undisturbed:
            task.uncancel()
            task.cancel(*late.args[:1])


class AsyncioScheduler:
    """Of one loop, which owns it. It keeps the tasks that wait: asyncio does not, and structures do not either, or
    tasks that a closed loop has left behind would wait for ever."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: set[AsyncioSuspension] = set()

    def suspension(self) -> AsyncioSuspension:
        return AsyncioSuspension(asyncio.get_running_loop(), self._held)


def running() -> Scheduler | None:
    loop = _get_running_loop()
    if loop is None:
        return None
    try:
        found: AsyncioScheduler = loop._reagents_scheduler  # type: ignore[attr-defined]
    except AttributeError:
        found = loop._reagents_scheduler = AsyncioScheduler()  # type: ignore[attr-defined]
    return found
