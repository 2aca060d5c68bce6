"""arun() under asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import pytest

import coroutine_cases as cases
from lockfree import Queue
from racing import Background, race, run_python, settle, soon
from reagents import Ref, channel, guard, stats

#: How many are cancelled in the storm; how many wait on one queue (the promise is 100,000).
STORM = int(os.environ.get("REAGENTS_CANCELLED", "10000"))
CROWD = int(os.environ.get("REAGENTS_CROWD", "20000"))


class AsyncioTask:
    def __init__(self, awaitable: Awaitable[Any]) -> None:
        self.task = asyncio.ensure_future(awaitable)

    def cancel(self) -> None:
        self.task.cancel()

    async def outcome(self) -> Any:
        await asyncio.wait([self.task])
        if self.task.cancelled():
            return cases.CANCELLED
        return self.task.exception() or self.task.result()


class Asyncio:
    def start(self, function: Callable[..., Awaitable[Any]], *args: Any) -> AsyncioTask:
        return AsyncioTask(function(*args))

    async def tick(self) -> None:
        await asyncio.sleep(0)

    async def in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.to_thread(function, *args)

    @contextlib.asynccontextmanager
    async def within(self, seconds: float) -> AsyncIterator[None]:
        async with asyncio.timeout(seconds):
            yield


@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.__name__)
def test_as_on_every_loop(case: cases.Case) -> None:
    async def main() -> None:
        await case(Asyncio())

    asyncio.run(main(), debug=False)


@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.__name__)
def test_as_on_every_loop_in_debug_mode_and_with_eager_tasks(case: cases.Case) -> None:
    async def main() -> None:
        if sys.version_info >= (3, 12) and case is not cases.cancelled_before_it_began_it_does_nothing:
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        await case(Asyncio())

    asyncio.run(main(), debug=True)


def test_the_storm() -> None:
    asyncio.run(cases.storm(Asyncio(), STORM))


# ------------------------------------------------------------------------------------------ cancelled too late


async def in_one_turn(*calls: Callable[[], Any]) -> None:
    """All of them in the same turn of the loop."""
    for call in calls:
        asyncio.get_running_loop().call_soon(call)
    await asyncio.sleep(0)


async def expired_as_it_happens(
    body: Callable[[Callable[[], Coroutine[Any, Any, str]], asyncio.Timeout], Awaitable[Any]],
) -> Any:
    """Runs `body` in a timeout. What it is to await gets its answer in the turn in which the time is over."""
    left, right = channel()
    limits: list[asyncio.Timeout] = []

    async def main() -> Any:
        async with asyncio.timeout(None) as limit:
            limits.append(limit)
            return await body(lambda: left.swap.arun("mine"), limit)

    waits = stats()["waits"]
    task = asyncio.ensure_future(main())
    await cases.until(Asyncio(), lambda: stats()["waits"] > waits)
    limits[0].reschedule(asyncio.get_running_loop().time() - 1)  # calls soon
    await in_one_turn(lambda: right.swap("yours", timeout=0))
    return await task


async def rest(turns: int = 4) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


def test_a_timeout_whose_block_has_ended_leaves_nothing_behind() -> None:
    async def body(swap: Callable[[], Coroutine[Any, Any, str]], limit: asyncio.Timeout) -> str:
        return await swap()

    async def whole() -> None:
        assert await expired_as_it_happens(body) == "yours"

    async def main() -> None:
        await whole()
        await rest()
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    asyncio.run(main())


def test_the_task_that_the_timeout_was_in_goes_on_undisturbed() -> None:
    left, right = channel()

    async def worker(limits: list[asyncio.Timeout]) -> tuple[str, int]:
        async with asyncio.timeout(None) as limit:
            limits.append(limit)
            got = await left.swap.arun("mine")
        await rest()
        task = asyncio.current_task()
        assert task is not None
        return got, task.cancelling()

    async def main() -> None:
        limits: list[asyncio.Timeout] = []
        waits = stats()["waits"]
        task = asyncio.ensure_future(worker(limits))
        await cases.until(Asyncio(), lambda: stats()["waits"] > waits)
        limits[0].reschedule(asyncio.get_running_loop().time() - 1)
        await in_one_turn(lambda: right.swap("yours", timeout=0))
        assert await task == ("yours", 0)
        assert limits[0].expired()

    asyncio.run(main())


def test_a_timeout_whose_block_goes_on_takes_effect_at_the_next_await() -> None:
    reached = []

    async def body(swap: Callable[[], Coroutine[Any, Any, str]], limit: asyncio.Timeout) -> None:
        reached.append(await swap())
        await rest()
        reached.append("more")

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await expired_as_it_happens(body)

    asyncio.run(main())
    assert reached == ["yours"]


def test_of_two_timeouts_that_expire_at_once_the_outer_one_is_not_lost() -> None:
    reached = []

    async def body(swap: Callable[[], Coroutine[Any, Any, str]], outer: asyncio.Timeout) -> None:
        async with asyncio.timeout(None) as inner:
            asyncio.get_running_loop().call_soon(in_turn, inner)
            reached.append(await swap())
        await rest()
        reached.append("more")

    def in_turn(inner: asyncio.Timeout) -> None:
        inners.append(inner)

    async def main() -> None:
        left, right = channel()
        outers: list[asyncio.Timeout] = []

        async def worker() -> None:
            async with asyncio.timeout(None) as outer:
                outers.append(outer)
                await body(lambda: left.swap.arun("mine"), outer)

        waits = stats()["waits"]
        task = asyncio.ensure_future(worker())
        await cases.until(Asyncio(), lambda: stats()["waits"] > waits and inners)
        for limit in (*inners, *outers):
            limit.reschedule(asyncio.get_running_loop().time() - 1)
        await in_one_turn(lambda: right.swap("yours", timeout=0))
        with pytest.raises(TimeoutError):
            await task

    inners: list[asyncio.Timeout] = []
    asyncio.run(main())
    assert reached == ["yours"]


def test_a_timeout_within_what_was_cancelled_before() -> None:
    """Cancellations that were caught and not taken back count, but are not delivered again."""
    left, right = channel()

    async def worker(limits: list[asyncio.Timeout]) -> str:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            async with asyncio.timeout(None) as limit:
                limits.append(limit)
                got = await left.swap.arun("mine")
            await rest()
        return got

    async def main() -> None:
        limits: list[asyncio.Timeout] = []
        task = asyncio.ensure_future(worker(limits))
        await asyncio.sleep(0)
        waits = stats()["waits"]
        task.cancel()
        await cases.until(Asyncio(), lambda: stats()["waits"] > waits)
        limits[0].reschedule(asyncio.get_running_loop().time() - 1)
        await in_one_turn(lambda: right.swap("yours", timeout=0))
        assert await task == "yours"

    asyncio.run(main())


def test_a_cancellation_that_was_due_before_the_wait_is_not_lost() -> None:
    left, right = channel()
    reached = []

    async def worker() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        asyncio.get_running_loop().call_soon(lambda: right.swap("yours", timeout=0))
        reached.append(await left.swap.arun("mine"))
        await rest()
        reached.append("more")

    async def main() -> None:
        # A turn of one's own before the loop's: its partner comes before the task is told of its cancellation.
        with pytest.raises(asyncio.CancelledError):
            await asyncio.ensure_future(worker())

    asyncio.run(main())
    assert reached in ([], ["yours"])


def test_it_is_cancelled_anew_with_its_message() -> None:
    left, right = channel()

    async def worker() -> None:
        await left.swap.arun("mine")
        await rest()

    async def main() -> None:
        waits = stats()["waits"]
        task = asyncio.ensure_future(worker())
        await cases.until(Asyncio(), lambda: stats()["waits"] > waits)
        await in_one_turn(lambda: task.cancel("enough"), lambda: right.swap("yours", timeout=0))
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert caught.value.args == ("enough",)

    asyncio.run(main())


def test_wait_for_takes_nothing_when_its_time_is_over() -> None:
    queue: Queue[str] = Queue()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(queue.get.arun(), 0.002)
        queue.put("item")
        assert await asyncio.wait_for(queue.get.arun(), 60) == "item"
        assert stats()["waiting"] == 0

    asyncio.run(main())


def test_all_of_a_group_are_cancelled_with_it() -> None:
    queue: Queue[str] = Queue()

    async def fails() -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    async def group() -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(10):
                tasks.create_task(queue.get.arun())
            tasks.create_task(fails())

    async def main() -> None:
        with pytest.raises(ExceptionGroup):
            await group()
        assert stats()["waiting"] == 0

    asyncio.run(main())


# ------------------------------------------------------------------------------------------ many


def test_a_crowd_waits_on_one_queue_and_each_put_wakes_one() -> None:
    queue: Queue[int] = Queue()
    got = []

    async def take() -> None:
        got.append(await queue.get.arun())

    async def main() -> None:
        tasks = [asyncio.ensure_future(take()) for _ in range(CROWD)]
        await cases.until(Asyncio(), lambda: stats()["waiting"] == CROWD)
        before = stats()["wakeups"]
        putting = Background(lambda: [queue.put(i) for i in range(CROWD)])
        await asyncio.wait(tasks)
        putting.result()
        assert stats()["wakeups"] - before == CROWD
        assert stats()["waiting"] == 0

    asyncio.run(main())
    assert sorted(got) == list(range(CROWD))


def test_loops_in_several_threads_exchange() -> None:
    left, right = channel()
    queue: Queue[int] = Queue()
    rounds = 300

    def run(endpoint: Any, who: int) -> list[Any]:
        async def main() -> list[Any]:
            got = []
            for n in range(rounds):
                got.append(await endpoint.swap.arun((who, n)))
                queue.put(n)
                await queue.get.arun()
            return got

        return asyncio.run(main())

    results = race(lambda: run(left, 0), lambda: run(right, 1), lambda: run(left, 2), lambda: run(right, 3))
    swapped = [value for result in results for value in result]
    assert sorted(swapped) == [(who, n) for who in range(4) for n in range(rounds)]
    assert queue.empty()


def test_coroutines_of_two_loops_race_for_items_of_threads() -> None:
    queue: Queue[int] = Queue()
    each = 2_000

    def take() -> list[int]:
        async def one(got: list[int]) -> None:
            while (item := await queue.get.arun()) is not None:
                got.append(item)

        async def main() -> list[int]:
            got: list[int] = []
            await asyncio.gather(*[one(got) for _ in range(5)])
            return got

        return asyncio.run(main())

    def put(who: int) -> None:
        for n in range(each):
            queue.put(who * each + n)

    def put_all() -> None:
        race(lambda: put(0), lambda: put(1))
        for _ in range(10):
            queue.put(None)  # type: ignore[arg-type]

    first, second, _ = race(take, take, put_all)
    assert sorted(first + second) == list(range(2 * each))
    assert stats()["waiting"] == 0


# ------------------------------------------------------------------------------------------ ends of loops


def abandon(*reagents: Any) -> None:
    """A loop is closed while they wait in it."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)  # "Task was destroyed but it is pending!"
    before = stats()["waits"]
    for reagent in reagents:
        loop.create_task(reagent.arun())  # noqa: RUF006  nobody keeps it
    while stats()["waits"] < before + len(reagents):
        loop.call_soon(loop.stop)
        loop.run_forever()
    loop.close()


@pytest.mark.filterwarnings("ignore")
def test_a_closed_loop_leaves_no_waiter() -> None:
    queue: Queue[str] = Queue()
    left, right = channel()
    ref = Ref(0)
    abandon(queue.get, left.swap, ref.read >> guard(bool), left.swap + queue.get)
    settle()
    assert stats()["waiting"] == 0
    queue.put("item")
    ref.set(1)
    assert queue.get_nowait() == "item"
    with pytest.raises(TimeoutError):
        right.swap("nobody", timeout=0)
    settle()
    names = [type(o).__name__ for o in gc.get_objects()]
    assert not {"Pending", "Offer", "AsyncioSuspension"} & set(names)


@pytest.mark.filterwarnings("ignore")
def test_who_wakes_what_waits_in_a_closed_loop_is_not_disturbed() -> None:
    queue: Queue[str] = Queue()
    left, right = channel()
    gc.disable()
    try:
        abandon(queue.get, left.swap)
        queue.put("item")
        right.swap("given to one that nobody runs")
    finally:
        gc.enable()
    settle()
    assert queue.get_nowait() == "item"
    assert stats()["waiting"] == 0


def test_the_loop_keeps_the_tasks_that_wait_in_it() -> None:
    async def main() -> None:
        queue: Queue[str] = Queue()
        answers: Queue[str] = Queue()

        async def serve() -> None:
            answers.put(await queue.get.arun())

        waits = stats()["waits"]
        asyncio.ensure_future(serve())  # noqa: RUF006  nobody keeps it: this is the point
        await cases.until(Asyncio(), lambda: stats()["waits"] > waits)
        gc.collect()
        queue.put("item")
        assert await answers.get.arun() == "item"

    asyncio.run(main())


def test_a_coroutine_made_outside_runs_inside() -> None:
    queue: Queue[str] = Queue()
    coroutine = queue.get.arun()
    queue.put("item")
    assert asyncio.run(coroutine) == "item"


def test_a_signal_handler_wakes_a_loop_that_sleeps() -> None:
    run_python(
        """
import asyncio, selectors, signal
from lockfree import Queue

queue = Queue()
signal.signal(signal.SIGUSR1, lambda *_: queue.put("item"))

class Selector(selectors.DefaultSelector):
    def select(self, timeout=None):
        if timeout is None:  # about to sleep for ever
            signal.raise_signal(signal.SIGUSR1)
        return super().select(timeout)

loop = asyncio.SelectorEventLoop(Selector())
assert loop.run_until_complete(queue.get.arun()) == "item"
loop.close()
"""
    )


def test_destructors_wake_too() -> None:
    async def main() -> None:
        queue: Queue[str] = Queue()

        class Dying:
            def __del__(self) -> None:
                queue.put("last words")

        task = asyncio.ensure_future(queue.get.arun())
        await asyncio.sleep(0)
        cycle: list[Any] = [Dying()]
        cycle.append(cycle)
        del cycle
        await asyncio.to_thread(gc.collect)
        assert await task == "last words"

    asyncio.run(main())


def test_two_threads_wake_at_the_same_time() -> None:
    """A wait that two may end is ended once, and the second call disturbs nothing that comes after."""
    a, b = Ref(0), Ref(0)
    rounds = 500

    async def main() -> None:
        start = threading.Barrier(2)

        def count(ref: Ref[int]) -> None:
            for _ in range(rounds):
                start.wait(60)
                ref.add(1)

        counting = [Background(count, ref) for ref in (a, b)]
        for n in range(1, rounds + 1):
            both = (a.read * b.read) >> guard(lambda pair, n=n: min(pair) >= n)
            assert min(await both.arun()) >= n
        for thread in counting:
            await asyncio.to_thread(thread.result)

    asyncio.run(main())
    soon(lambda: stats()["waiting"] == 0)


# ------------------------------------------------------------------------------------------ shared memory


def test_it_looks_now_and_then_at_words_that_other_processes_change() -> None:
    pytest.importorskip("lockfree._shared", reason="lockfree.shm is not built")
    from lockfree.shm import Segment

    with Segment.create(f"lockfree-test-arun-{os.getpid()}", 1 << 16) as segment:
        segment.unlink()
        word = segment.array("words", "int64", 1).at(0)

        async def main() -> None:
            waits = stats()["waits"]
            task = asyncio.ensure_future((word.read >> guard(lambda n: n == 7)).arun())
            await cases.until(Asyncio(), lambda: stats()["waits"] > waits + 2)  # it looks again, though nobody calls
            word.set(7)
            assert await task == 7
            task = asyncio.ensure_future((word.read >> guard(lambda n: n == 8)).arun())
            await cases.until(Asyncio(), lambda: stats()["waits"] > waits + 5)
            task.cancel()
            assert (await asyncio.gather(task, return_exceptions=True))[0].__class__ is asyncio.CancelledError
            assert stats()["waiting"] == 0

        asyncio.run(main())
