"""arun() under trio."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

import coroutine_cases as cases
from lockfree import Queue
from racing import Background, race, run_python
from reagents import Ref, channel, guard, stats

trio = pytest.importorskip("trio", reason="trio is not installed")
trio_testing = pytest.importorskip("trio.testing")

STORM = int(os.environ.get("REAGENTS_CANCELLED", "10000"))


class TrioTask:
    def __init__(self, nursery: Any, function: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        self.scope = trio.CancelScope()
        self.over = trio.Event()
        self.value: Any = cases.CANCELLED
        nursery.start_soon(self.run, function, args)

    async def run(self, function: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        with self.scope:
            try:
                self.value = await function(*args)
            except Exception as error:
                self.value = error
        self.over.set()

    def cancel(self) -> None:
        self.scope.cancel()

    async def outcome(self) -> Any:
        await self.over.wait()
        return self.value


class Trio:
    def __init__(self, nursery: Any) -> None:
        self.nursery = nursery

    def start(self, function: Callable[..., Awaitable[Any]], *args: Any) -> TrioTask:
        return TrioTask(self.nursery, function, args)

    async def tick(self) -> None:
        await trio.lowlevel.checkpoint()

    async def in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        return await trio.to_thread.run_sync(function, *args)

    @contextlib.asynccontextmanager
    async def within(self, seconds: float) -> AsyncIterator[None]:
        with trio.move_on_after(seconds) as scope:
            yield
        if scope.cancelled_caught:
            raise TimeoutError


def run(case: cases.Case) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            await case(Trio(nursery))

    trio.run(main)


@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.__name__)
def test_as_on_every_loop(case: cases.Case) -> None:
    run(case)


def test_the_storm() -> None:
    run(lambda loop: cases.storm(loop, STORM))


def test_every_arun_is_a_checkpoint() -> None:
    queue: Queue[int] = Queue()
    queue.put(1)

    async def main() -> None:
        with trio_testing.assert_checkpoints():
            await queue.get.arun()
        with trio.CancelScope() as scope:
            scope.cancel()
            queue.put(2)
            await queue.get.arun()
        assert scope.cancelled_caught
        assert queue.get_nowait() == 2

    trio.run(main)


def test_a_result_that_came_before_the_cancellation_is_kept_and_the_next_checkpoint_raises() -> None:
    left, right = channel()
    reached = []

    async def main() -> None:
        async def swap() -> None:
            with scope:
                reached.append(await left.swap.arun("mine"))
                await trio.lowlevel.checkpoint()
                reached.append("more")

        scope = trio.CancelScope()
        waits = stats()["waits"]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(swap)
            while stats()["waits"] == waits:
                await trio.lowlevel.checkpoint()
            # By another thread, while trio does not go on: the wake-up is on its way when the scope is cancelled.
            assert Background(right.swap, "yours").result() == "mine"
            scope.cancel()
        assert scope.cancelled_caught

    trio.run(main)
    assert reached == ["yours"]


def test_a_guest_of_asyncio() -> None:
    """trio runs in callbacks of an asyncio loop; both wait, and wake each other."""
    import asyncio

    to_trio: Queue[str] = Queue()
    to_asyncio: Queue[str] = Queue()

    async def guest() -> str:
        to_asyncio.put(await to_trio.get.arun() + ", answered")
        return await to_trio.get.arun()

    async def host() -> tuple[str, str]:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        trio.lowlevel.start_guest_run(
            guest, run_sync_soon_threadsafe=loop.call_soon_threadsafe, done_callback=done.set_result
        )
        waits = stats()["waits"]
        while stats()["waits"] == waits:
            await asyncio.sleep(0)
        to_trio.put("asked")
        answer = await to_asyncio.get.arun()
        to_trio.put("over")
        return answer, (await done).unwrap()

    assert asyncio.run(host()) == ("asked, answered", "over")


def test_loops_in_several_threads_exchange() -> None:
    left, right = channel()
    rounds = 300

    def exchange(endpoint: Any, who: int) -> list[Any]:
        async def main() -> list[Any]:
            return [await endpoint.swap.arun((who, n)) for n in range(rounds)]

        return list(trio.run(main))

    first, second = race(lambda: exchange(left, 0), lambda: exchange(right, 1))
    assert first == [(1, n) for n in range(rounds)]
    assert second == [(0, n) for n in range(rounds)]


def test_who_wakes_what_waited_in_a_run_that_is_over_is_not_disturbed() -> None:
    from reagents._trio import TrioSuspension

    async def main() -> TrioSuspension:
        return TrioSuspension()

    trio.run(main).resume()


def test_a_signal_handler_wakes_a_loop_that_sleeps() -> None:
    run_python(
        """
import signal, threading, trio
from lockfree import Queue
from reagents import stats

queue = Queue()
signal.signal(signal.SIGUSR1, lambda *_: queue.put("item"))

class Idle(trio.abc.Instrument):
    def before_io_wait(self, timeout):
        if timeout > 1 and stats()["waiting"]:
            signal.raise_signal(signal.SIGUSR1)

assert trio.run(queue.get.arun, instruments=[Idle()]) == "item"
"""
    )


def test_a_word_changed_while_it_is_looked_at_now_and_then() -> None:
    """A suspension may have to look again after some time, because another process calls nobody."""
    from reagents import schedulers

    ref = Ref(0)

    class Impatient:
        def suspension(self) -> Any:
            inner = schedulers.current.__globals__["_running"]["trio"]().suspension()
            wait = inner.wait

            class Suspension:
                resume, enter, leave = inner.resume, inner.enter, inner.leave

                async def wait(self, withdraw: Callable[[], bool], seconds: float | None = None) -> None:
                    await wait(withdraw, 0.001)

            return Suspension()

    async def main() -> None:
        await Ref(0).read.arun()
        left, right = channel()
        with schedulers.use(Impatient()):
            waits = stats()["waits"]
            async with trio.open_nursery() as nursery:
                got: list[Any] = []

                async def one() -> None:
                    got.append(await (left.swap + (ref.read >> guard(bool))).arun("x"))

                nursery.start_soon(one)
                while stats()["waits"] < waits + 3:
                    await trio.lowlevel.checkpoint()
                ref.set(5)
            assert got == [5]
            with trio.move_on_after(0.005) as scope:
                await left.swap.arun("x")
            assert scope.cancelled_caught
            with pytest.raises(TimeoutError):
                right.swap("nobody", timeout=0)

            async def swap() -> None:
                with cancelled:
                    got.append(await left.swap.arun("mine"))
                    await trio.lowlevel.checkpoint()
                    got.append("more")

            cancelled = trio.CancelScope()
            async with trio.open_nursery() as nursery:
                waits = stats()["waits"]
                nursery.start_soon(swap)
                while stats()["waits"] == waits:
                    await trio.lowlevel.checkpoint()
                assert Background(right.swap, "yours").result() == "mine"
                cancelled.cancel()
            assert got == [5, "yours"]
        assert stats()["waiting"] == 0

    trio.run(main)
