"""What arun() promises on every event loop. test_arun_asyncio.py and test_arun_trio.py run each of these.

A case is a coroutine function of one argument, the `Loop` that it runs in: what asyncio and trio call differently.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import pytest

from lockfree import Queue
from racing import PATIENCE, Background, eager_switching, settle
from reagents import Reagent, Ref, channel, const, guard, lift, post_commit, stats

CANCELLED = "cancelled"


class Task(Protocol):
    def cancel(self) -> None: ...

    async def outcome(self) -> Any:
        """Its value, or the exception that it ended with, or CANCELLED."""


class Loop(Protocol):
    def start(self, function: Callable[..., Awaitable[Any]], *args: Any) -> Task: ...

    async def tick(self) -> None:
        """Let all the others have a turn."""

    async def in_thread(self, function: Callable[..., Any], *args: Any) -> Any: ...

    def within(self, seconds: float) -> AbstractAsyncContextManager[Any]:
        """TimeoutError when the block takes longer."""


Case = Callable[[Loop], Awaitable[None]]
CASES: list[Case] = []


def case(function: Case) -> Case:
    CASES.append(function)
    return function


async def until(loop: Loop, condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        await loop.tick()


async def blocked(loop: Loop, function: Callable[..., Awaitable[Any]], *args: Any) -> Task:
    """Started, and waiting."""
    before = stats()["waits"]
    task = loop.start(function, *args)
    await until(loop, lambda: stats()["waits"] > before)
    await loop.tick()
    return task


# ------------------------------------------------------------------------------------------ it happens


@case
async def what_can_happen_happens_at_once(loop: Loop) -> None:
    queue: Queue[int] = Queue()
    waits = stats()["waits"]
    assert await queue.put.arun(1) is None
    assert await (queue.get >> (lambda n: n + 1)).arun() == 2
    assert await const("x").arun() == "x"
    assert await lift(lambda x: x * 2).arun(x=21) == 42
    assert stats()["waits"] == waits


@case
async def what_fails_raises_at_once(loop: Loop) -> None:
    queue: Queue[int] = Queue()
    queue.put(1)
    with pytest.raises(ZeroDivisionError):
        await (queue.get >> (lambda n: n / 0)).arun()
    assert queue.get() == 1
    with pytest.raises(RuntimeError, match="blocks for ever"):
        await guard(lambda x: False).arun()
    with pytest.raises(TypeError):
        await queue.get.arun(1, 2)


@case
async def a_put_by_the_same_loop_wakes(loop: Loop) -> None:
    queue: Queue[str] = Queue()
    task = await blocked(loop, queue.get.arun)
    queue.put("item")
    assert await task.outcome() == "item"


@case
async def a_put_by_a_thread_wakes(loop: Loop) -> None:
    queue: Queue[str] = Queue()
    task = await blocked(loop, queue.get.arun)
    putting = Background(queue.put, "item")
    assert await task.outcome() == "item"
    putting.result()


@case
async def a_changed_word_wakes_until_it_is_right(loop: Loop) -> None:
    ref = Ref(0)
    task = await blocked(loop, (ref.read >> guard(lambda n: n == 3)).arun)
    for n in (1, 2):
        waits = stats()["waits"]
        ref.set(n)
        await until(loop, lambda waits=waits: stats()["waits"] > waits)
    await loop.in_thread(ref.set, 3)
    assert await task.outcome() == 3


@case
async def either_branch_of_a_choice_wakes(loop: Loop) -> None:
    for which in range(2):
        queues: tuple[Queue[int], ...] = Queue(), Queue()
        task = await blocked(loop, (queues[0].get + queues[1].get).arun)
        queues[which].put(which)
        assert await task.outcome() == which


# ------------------------------------------------------------------------------------------ rendezvous


@case
async def two_coroutines_meet(loop: Loop) -> None:
    left, right = channel()
    task = await blocked(loop, left.swap.arun, "from left")
    assert await right.swap.arun("from right") == "from left"
    assert await task.outcome() == "from right"


@case
async def a_coroutine_meets_a_thread_that_waits(loop: Loop) -> None:
    left, right = channel()
    waits = stats()["waits"]
    thread = Background(left.swap, "thread")
    await until(loop, lambda: stats()["waits"] > waits)
    assert await right.swap.arun("coroutine") == "thread"
    assert thread.result() == "coroutine"


@case
async def a_thread_meets_a_coroutine_that_waits(loop: Loop) -> None:
    left, right = channel()
    task = await blocked(loop, left.swap.arun, "coroutine")
    assert await loop.in_thread(right.swap, "thread") == "coroutine"
    assert await task.outcome() == "thread"


@case
async def a_thread_and_two_coroutines_swap_pairwise(loop: Loop) -> None:
    (ab, ba), (ac, ca), (bc, cb) = channel(), channel(), channel()
    b = loop.start((ba.swap * bc.swap).arun, "b")
    c = loop.start((ca.swap * cb.swap).arun, "c")
    a = Background(ab.swap * ac.swap, "a")
    assert await b.outcome() == ("a", "c")
    assert await c.outcome() == ("a", "b")
    assert a.result() == ("b", "c")


@case
async def a_choice_gives_up_the_offer_that_it_did_not_take(loop: Loop) -> None:
    left, right = channel()
    queue: Queue[str] = Queue()
    task = await blocked(loop, (left.swap + queue.get).arun, "offered")
    queue.put("item")
    assert await task.outcome() == "item"
    with pytest.raises(TimeoutError):
        right.swap("nobody", timeout=0)


@case
async def an_error_of_ones_own_function_is_raised_here(loop: Loop) -> None:
    left, right = channel()
    partner = await blocked(loop, (left.swap >> (lambda x: 1 / x)).arun, "a")
    again = await blocked(loop, left.swap.arun, "b")
    assert await loop.in_thread(right.swap, 0) == "b"
    assert isinstance(await partner.outcome(), ZeroDivisionError)
    assert await again.outcome() == 0


# ------------------------------------------------------------------------------------------ cancelled


@case
async def cancelled_it_takes_nothing(loop: Loop) -> None:
    queue: Queue[str] = Queue()
    waiting = stats()["waiting"]
    task = await blocked(loop, queue.get.arun)
    task.cancel()
    assert await task.outcome() == CANCELLED
    assert stats()["waiting"] == waiting
    queue.put("item")
    assert queue.get_nowait() == "item"


@case
async def cancelled_before_it_began_it_does_nothing(loop: Loop) -> None:
    queue: Queue[str] = Queue()
    queue.put("item")
    task = loop.start(queue.get.arun)
    task.cancel()
    assert await task.outcome() == CANCELLED
    assert queue.get_nowait() == "item"


@case
async def woken_and_cancelled_it_leaves_the_item_to_the_next(loop: Loop) -> None:
    queue: Queue[str] = Queue()
    first = await blocked(loop, queue.get.arun)
    second = await blocked(loop, queue.get.arun)
    queue.put("item")
    first.cancel()
    if await first.outcome() == "item":  # trio does not cancel a task that was told to go on
        queue.put("another")
        assert await second.outcome() == "another"
    else:
        assert await second.outcome() == "item"


@case
async def out_of_time_it_takes_nothing(loop: Loop) -> None:
    queue: Queue[str] = Queue()
    left, right = channel()
    waiting = stats()["waiting"]
    for reagent in (queue.get, left.swap, left.swap + queue.get, left.swap >> queue.put):
        with pytest.raises(TimeoutError):
            async with loop.within(0.002):
                await reagent.arun("x")
        assert stats()["waiting"] == waiting
    queue.put("item")
    assert queue.get_nowait() == "item"
    with pytest.raises(TimeoutError):
        right.swap("nobody", timeout=0)


@case
async def cancelled_after_its_answer_it_returns_it(loop: Loop) -> None:
    """In the same turn of the loop: in either order the reaction has happened."""
    for cancel_first in (True, False):
        left, right = channel()
        reached: list[Any] = []

        async def swap(left: Any = left, reached: list[Any] = reached) -> None:
            reached.append(await left.swap.arun("mine"))
            await loop.tick()
            await loop.tick()
            reached.append("after the cancellation")

        task = await blocked(loop, swap)
        if cancel_first:
            task.cancel()
        happened = True
        try:
            assert right.swap("yours", timeout=0) == "mine"
        except TimeoutError:
            happened = False  # trio takes an offer back in cancel()
        if not cancel_first:
            assert happened
            task.cancel()
        assert await task.outcome() == CANCELLED
        assert reached == ["yours"] * happened


@case
async def cancelled_while_its_partner_acts_it_returns_the_answer(loop: Loop) -> None:
    left, right = channel()
    acting, go_on = threading.Event(), threading.Event()
    reached: list[Any] = []

    def act(_: Any) -> None:
        acting.set()
        assert go_on.wait(PATIENCE)

    async def swap() -> None:
        reached.append(await (left.swap >> post_commit(act)).arun("mine"))
        await loop.tick()
        await loop.tick()
        reached.append("after the cancellation")

    task = await blocked(loop, swap)
    partner = Background(right.swap, "yours")
    await until(loop, acting.is_set)
    task.cancel()
    for _ in range(5):
        await loop.tick()
    task.cancel()
    assert reached == []
    go_on.set()
    assert await task.outcome() == CANCELLED
    assert reached == ["yours"]
    assert partner.result() == "mine"


@case
async def errors_of_its_actions_in_the_partners_thread_are_its_own(loop: Loop) -> None:
    left, right = channel()
    task = await blocked(loop, (left.swap >> post_commit(lambda x: 1 / 0)).arun, "mine")
    assert await loop.in_thread(right.swap, "yours") == "mine"
    error = await task.outcome()
    assert isinstance(error, ExceptionGroup)
    assert isinstance(error.exceptions[0], ZeroDivisionError)


# ------------------------------------------------------------------------------------------ traces, numbers


def count_of_ours() -> dict[str, int]:
    gc.collect()
    names = [type(o).__name__ for o in gc.get_objects()]
    return {n: names.count(n) for n in ("Pending", "Offer", "AsyncioSuspension", "TrioSuspension")}


@case
async def no_object_stays_behind(loop: Loop) -> None:
    async def round_trip() -> None:
        left, right = channel()
        queue: Queue[str] = Queue()
        tasks = [
            await blocked(loop, r.arun, "x")
            for r in (left.swap, left.swap, queue.get, queue.get, left.swap + queue.get)
        ]
        await right.swap.arun("y")
        queue.put("item")
        for task in tasks[1:]:
            task.cancel()
        for task in tasks:
            await task.outcome()

    await round_trip()
    settle()
    before = count_of_ours(), stats()["waiting"]
    for _ in range(10):
        await round_trip()
    settle()
    assert (count_of_ours(), stats()["waiting"]) == before


@case
async def one_put_wakes_one(loop: Loop) -> None:
    many = 1_000
    queue: Queue[int] = Queue()
    got: list[int] = []

    async def take() -> None:
        got.append(await queue.get.arun())

    waits = stats()["waits"]
    tasks = [loop.start(take) for _ in range(many)]
    await until(loop, lambda: stats()["waits"] == waits + many)
    before = stats()["wakeups"]
    for i in range(many):
        queue.put(i)
        while len(got) == i:
            await loop.tick()
    for task in tasks:
        await task.outcome()
    assert stats()["wakeups"] - before == many
    assert got == list(range(many))


async def storm(loop: Loop, cancelled: int) -> None:
    """Cancels `queue.get >> other.put` again and again while threads put: every item is in one of the two, once.

    The threads put as many as the loop permits, so that there are always some that wait in vain.
    """
    queue: Queue[tuple[int, int]] = Queue()
    other: Queue[tuple[int, int]] = Queue()
    permits: Queue[bool] = Queue()
    left, _right = channel()
    move: Reagent[Any, Any] = queue.get >> other.put
    moves = (move, move, left.swap + move)  # an offer is to be taken back as well

    def put(who: int) -> int:
        count = 0
        while permits.get():
            queue.put((who, count))
            count += 1
        return count

    with eager_switching():
        putting = [Background(put, who) for who in range(2)]
        done = batches = 0
        while done < cancelled:
            for _ in range(20):
                permits.put(True)
            tasks = [loop.start(moves[i % 3].arun) for i in range(50)]
            for _ in range(batches % 3):
                await loop.tick()
            for task in tasks:
                task.cancel()
            for task in tasks:
                outcome = await task.outcome()
                assert outcome in (None, CANCELLED)
                done += outcome == CANCELLED
            batches += 1
        for _ in putting:
            permits.put(False)
        counts = [await loop.in_thread(thread.result) for thread in putting]
    found = [q.get_nowait() for q in (queue, other) for _ in range(q.qsize())]
    assert sorted(found) == [(who, n) for who, count in enumerate(counts) for n in range(count)]
    assert stats()["waiting"] == 0
