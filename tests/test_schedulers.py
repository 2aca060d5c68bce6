"""The protocol between arun() and an event loop, with one that is none of the known ones."""

from __future__ import annotations

import asyncio
import queue as standard
import threading
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import pytest

from lockfree import Queue
from racing import Background, Parked
from reagents import channel, const, schedulers, stats


class Yield:
    def __await__(self) -> Generator[None]:
        yield


class ToySuspension:
    def __init__(self, loop: ToyLoop) -> None:
        self.loop, self.coroutine = loop, loop.running

    def resume(self) -> None:
        self.loop.resumed += 1
        if self.loop.interrupt:
            error, self.loop.interrupt = self.loop.interrupt, None
            raise error
        self.loop.ready.put(self.coroutine)

    async def wait(self, withdraw: Callable[[], bool], seconds: float | None = None) -> None:
        await Yield()

    async def enter(self) -> None:
        self.loop.entered += 1

    async def leave(self) -> None:
        self.loop.left += 1


class ToyLoop:
    def __init__(self) -> None:
        self.ready: standard.SimpleQueue[Any] = standard.SimpleQueue()
        self.running: Coroutine[Any, Any, Any] | None = None
        self.entered = self.left = self.resumed = 0
        self.interrupt: BaseException | None = None

    def suspension(self) -> ToySuspension:
        return ToySuspension(self)

    def run(self, *coroutines: Coroutine[Any, Any, Any]) -> list[Any]:
        results: dict[Any, Any] = {}
        for coroutine in coroutines:
            self.ready.put(coroutine)
        with schedulers.use(self):
            while len(results) < len(coroutines):
                self.running = self.ready.get(timeout=60)
                if self.running in results:
                    continue
                assert self.running is not None
                try:
                    self.running.send(None)
                except StopIteration as end:
                    results[self.running] = end.value
        return [results[c] for c in coroutines]


def test_a_toy_scheduler_is_a_scheduler() -> None:
    scheduler: schedulers.Scheduler = ToyLoop()
    suspension: schedulers.Suspension = ToySuspension(ToyLoop())
    assert scheduler.suspension() is not suspension


def test_coroutines_of_a_toy_meet_each_other_and_threads() -> None:
    loop = ToyLoop()
    left, right = channel()
    queue: Queue[str] = Queue()
    assert loop.run(left.swap.arun("a"), right.swap.arun("b"), const("c").arun()) == ["b", "a", "c"]
    parked = Parked()

    def later() -> None:
        parked.wait_for(2)
        queue.put("item")
        right.swap("thread")

    thread = Background(later)
    assert loop.run(queue.get.arun(), left.swap.arun("a")) == ["item", "thread"]
    thread.result()
    assert loop.entered == loop.left == 5
    assert stats()["waiting"] == 0


def test_what_fails_does_not_leave() -> None:
    loop = ToyLoop()

    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            await (const(1) >> (lambda x: x / 0)).arun()

    loop.run(main())
    assert (loop.entered, loop.left) == (1, 0)


def test_chosen_schedulers_nest_and_end() -> None:
    outer, inner = ToyLoop(), ToyLoop()
    with schedulers.use(outer):
        assert schedulers.current() is outer
        with schedulers.use(inner):
            assert schedulers.current() is inner
        assert schedulers.current() is outer
        with pytest.raises(KeyError), schedulers.use(inner):
            raise KeyError
        assert schedulers.current() is outer
    with pytest.raises(RuntimeError, match="outside a running event loop"):
        schedulers.current()


def test_the_chosen_one_comes_before_the_running_one() -> None:
    loop = ToyLoop()

    async def main() -> None:
        running = schedulers.current()
        assert schedulers.current() is running
        with schedulers.use(loop):
            assert schedulers.current() is loop
            assert await const(1).arun() == 1
        assert schedulers.current() is running

    asyncio.run(main())
    assert loop.entered == 1


def test_outside_a_loop_it_raises_when_it_is_awaited() -> None:
    queue: Queue[int] = Queue()
    queue.put(1)
    coroutine = queue.get.arun()
    with pytest.raises(RuntimeError, match=r"outside a running event loop.*call the reagent"):
        coroutine.send(None)
    assert queue.get_nowait() == 1


def test_in_a_callback_of_a_loop_there_is_one() -> None:
    """Not in a task, but in a loop: it can run what does not block."""

    async def main() -> Any:
        done = asyncio.get_running_loop().create_future()

        def callback() -> None:
            try:
                const("at once").arun().send(None)
            except StopIteration as end:
                done.set_result(end.value)

        asyncio.get_running_loop().call_soon(callback)
        return await done

    assert asyncio.run(main()) == "at once"


def test_without_a_scheduler_in_this_thread_others_do_not_count() -> None:
    inside, over = threading.Event(), threading.Event()

    async def main() -> None:
        inside.set()
        await asyncio.to_thread(over.wait, 60)

    thread = Background(asyncio.run, main())
    assert inside.wait(60)
    try:
        with pytest.raises(RuntimeError, match="outside a running event loop"):
            schedulers.current()
    finally:
        over.set()
        thread.result()


class Interrupt(BaseException):
    """As a signal's handler may raise it."""


def test_an_interrupted_wake_up_is_not_lost_and_the_interrupt_neither() -> None:
    loop = ToyLoop()
    queue: Queue[str] = Queue()
    parked = Parked()
    thread = Background(loop.run, queue.get.arun())
    parked.wait_for()
    loop.interrupt = Interrupt()

    def put() -> None:
        queue.put("item")
        for _ in range(1_000):
            pass

    with pytest.raises(Interrupt):
        put()
    assert thread.result() == ["item"]
    assert loop.resumed == 2


def test_a_scheduler_whose_resume_fails_harms_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, healthy = ToyLoop(), ToyLoop()
    queue: Queue[str] = Queue()
    parked = Parked()
    failing = Background(loop.run, queue.get.arun())
    parked.wait_for()
    well = Background(healthy.run, queue.get.arun())
    parked.wait_for(2)
    seen: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", seen.append)
    loop.interrupt = ZeroDivisionError()  # type: ignore[assignment]
    queue.put("first")
    queue.put("second")
    assert well.result() == ["first"]
    assert [hook.exc_type for hook in seen] == [ZeroDivisionError]
    loop.ready.put(loop.running)  # as it should have done
    assert failing.result() == ["second"]


def test_an_error_that_is_set_survives_a_wake_up() -> None:
    """The reaction fails after it has woken a coroutine: its error is what its caller sees."""
    loop = ToyLoop()
    queue: Queue[str] = Queue()
    parked = Parked()
    thread = Background(loop.run, queue.get.arun())
    parked.wait_for()

    class Dying:
        def __del__(self) -> None:
            queue.put("last words")

    def fail(_: Any) -> Any:
        dying = Dying()
        raise ZeroDivisionError(dying)

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            (const(1) >> fail)()
    assert thread.result() == ["last words"]
    assert queue.get() == "last words"
