"""`Queue(maxsize)`: never more items than that, at any instant; who waits for room is woken one by one."""

from __future__ import annotations

import asyncio
import queue as standard
import sys
import threading
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockfree import AtomicInt, Empty, Full, Queue
from racing import STRESS, Background, race, soon
from reagents import Ref, attempt, choice, const, guard, lift, never, stats
from test_wake_one import Wakeups, parked, waiting_for
from waiting import interrupted, needs_signals


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    assert stats()["waiting"] == 0
    yield
    soon(lambda: stats()["waiting"] == 0, "no record left")


def full_queue(*items: Any) -> Queue[Any]:
    queue: Queue[Any] = Queue(len(items))
    for item in items:
        queue.put(item)
    return queue


def contents(queue: Queue[Any]) -> list[Any]:
    return [queue.get_nowait() for _ in range(queue.qsize())]


def putters(queue: Queue[Any], *items: Any) -> list[Background]:
    return waiting_for(*[lambda item=item: queue.put(item) for item in items])


# ---- what fits


def test_a_put_that_finds_no_room() -> None:
    queue = full_queue(1, 2)
    for put in (
        lambda: queue.put_nowait(3),
        lambda: queue.put(3, False),
        lambda: queue.put(3, block=False, timeout=5),
        lambda: queue.put(3, timeout=0),
        lambda: queue.put(3, True, 0.001),
    ):
        with pytest.raises(Full):
            put()
    with pytest.raises(TimeoutError):
        (const(3) >> queue.put)(timeout=0.001)
    assert attempt(const(3) >> queue.put, "full")() == "full"
    assert contents(queue) == [1, 2]


def test_full() -> None:
    queue: Queue[int] = Queue(2)
    assert not queue.full()
    queue.put(1)
    assert not queue.full()
    queue.put(2)
    assert queue.full()
    queue.get()
    assert not queue.full()


@pytest.mark.parametrize("maxsize", [0, -1, -(10**30), 10**30, sys.maxsize, 2**62, True])
def test_maxsize(maxsize: int) -> None:
    queue: Queue[int] = Queue(maxsize)
    queue.put(1)
    assert queue.full() is (maxsize is True)
    if abs(maxsize) < 2**61 or maxsize == sys.maxsize:
        assert queue.maxsize == maxsize


@pytest.mark.parametrize("wrong", ["1", 1.0, None, object()])
def test_maxsize_of_the_wrong_type(wrong: Any) -> None:
    with pytest.raises(TypeError, match="maxsize must be an integer, not"):
        Queue(wrong)
    queue: Queue[int] = Queue(3)
    with pytest.raises(TypeError, match="maxsize must be an integer, not"):
        queue.maxsize = wrong
    with pytest.raises(AttributeError):
        del queue.maxsize  # type: ignore[attr-defined]
    assert queue.maxsize == 3


def test_maxsize_that_raises() -> None:
    class Bad:
        def __index__(self) -> int:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Queue(Bad())


def test_a_smaller_maxsize_lets_nothing_more_in() -> None:
    queue = full_queue(1, 2, 3)
    queue.maxsize = 1
    assert (queue.full(), queue.qsize()) == (True, 3)
    for left in (3, 2, 1):
        with pytest.raises(Full):
            queue.put_nowait(4)
        assert queue.qsize() == left
        queue.get()
    queue.put_nowait(4)


def test_a_larger_maxsize_lets_those_in_who_wait() -> None:
    queue = full_queue(1)
    waiters = putters(queue, 2, 3, 4)
    queue.maxsize = 3
    soon(lambda: queue.qsize() == 3, "two more")
    parked(1)
    queue.maxsize = 0
    for waiter in waiters:
        waiter.result()
    assert sorted(contents(queue)) == [1, 2, 3, 4]


# ---- in reactions


def test_a_transfer_on_the_same_queue() -> None:
    queue = full_queue(1, 2)
    for _ in range(5):
        (queue.get >> queue.put)()
    assert contents(queue) == [2, 1]


def test_puts_and_gets_of_one_reaction_count() -> None:
    queue = full_queue(1, 2)
    put = {n: const(n) >> queue.put for n in range(3, 9)}
    assert attempt(queue.get >> put[3] >> put[4] >> const(True), False)() is False, "one place for two"
    assert attempt(put[3] >> queue.get >> const(True), False)() is False, "the put is first, and finds none"
    (queue.get >> put[3] >> queue.get >> queue.get >> put[4] >> put[5])()
    assert contents(queue) == [4, 5]
    assert (put[6] >> put[7] >> queue.get >> put[8] >> queue.get)() == 7
    assert contents(queue) == [8]
    assert attempt(put[3] >> put[4] >> put[5] >> const(True), False)() is False, "two places for three"
    assert queue.empty()


def test_both_branches_of_a_choice_see_the_same_queue() -> None:
    queue, other = full_queue(1), full_queue()
    step = choice(const(2) >> queue.put >> const("put"), queue.get >> lift(lambda _: "get"))
    assert [step() for _ in range(4)] == ["get", "put", "get", "put"]
    assert attempt((queue.get >> queue.put >> queue.put) + (const(3) >> other.put >> const("other")))() == "other"
    assert contents(queue) == [2]


def test_between_two_bounded_queues() -> None:
    a, b = full_queue(1, 2), full_queue(3)
    assert attempt(a.get >> b.put >> const(True), False)() is False
    assert (a.qsize(), b.qsize()) == (2, 1), "nothing was lost on the way"
    crosswise = (lift(lambda pair: pair[1]) >> a.put) * (lift(lambda pair: pair[0]) >> b.put)
    (a.get * b.get >> crosswise)()
    assert (contents(a), contents(b)) == ([2, 3], [1])


def test_a_full_queue_stays_the_reason_why_the_right_branch_was_taken() -> None:
    """Between the look at the full queue and the commit of the right branch, a get makes room."""
    queue, log = full_queue(1), Ref("")

    def meddle(_: Any) -> str:
        if not calls:
            calls.append(queue.get())
        return "right"

    calls: list[int] = []
    assert choice(const(2) >> queue.put >> const("left"), lift(meddle) >> log.write)() == "left"
    assert (log.get(), contents(queue)) == ("", [2])


# ---- those who wait for room


def test_one_get_lets_one_in() -> None:
    queue = full_queue(0)
    waiters = putters(queue, *range(1, 7))
    wakeups = Wakeups()
    for n, waiter in enumerate(waiters):
        assert queue.get() == n
        waiter.result()
        assert wakeups.count == n + 1
        assert stats()["waiting"] == len(waiters) - n - 1
    assert contents(queue) == [6]


def test_a_composed_get_lets_one_in_and_three_gets_three() -> None:
    queue = full_queue(1, 2, 3)
    waiters = putters(queue, *"abcde")
    wakeups = Wakeups()
    (queue.get >> Ref(0).write)()
    waiters[0].result()
    assert (wakeups.count, stats()["waiting"]) == (1, 4)
    assert (queue.get * queue.get * queue.get)() == ((2, 3), "a")
    for waiter in waiters[1:4]:
        waiter.result()
    assert (wakeups.count, stats()["waiting"]) == (4, 1)
    queue.get()
    waiters[4].result()
    assert len(contents(queue)) == 3


def test_who_does_not_use_the_place_passes_it_on() -> None:
    queue, go = full_queue(0), Ref(False)
    picky = waiting_for(*[queue.put >> go.read >> guard(lambda go: go)] * 3)
    plain = putters(queue, "plain")
    assert queue.get() == 0
    plain[0].result()
    go.set(True)
    for n in range(3):
        assert queue.get() == ("plain" if not n else None)
    for waiter in picky:
        waiter.result()
    assert contents(queue) == [None]


def test_who_comes_to_something_else_passes_it_on() -> None:
    """Woken for the place, it commits without having used it, and without having found the queue full again."""
    queue = full_queue(0)
    right = lift(lambda _: queue.full()) >> guard(lambda full: not full) >> const("right")
    either = waiting_for((const("left") >> queue.put >> guard(lambda _: False)) + right)
    plain = putters(queue, "plain")
    assert queue.get() == 0
    assert either[0].result() == "right"
    plain[0].result()
    assert contents(queue) == ["plain"]


def test_who_wants_two_places_passes_one_on() -> None:
    queue = full_queue(1, 2)
    pair = waiting_for(const("a") >> queue.put >> const("b") >> queue.put)
    plain = putters(queue, "c")
    queue.get()
    plain[0].result()
    assert contents(queue) == [2, "c"]
    pair[0].result()
    assert contents(queue) == ["a", "b"]


def test_who_wants_more_than_room_sees_every_change() -> None:
    """The left branch waits for room, the right one for another first item: the first of the takers of room gets
    the place, and the second has to see that the item has changed."""
    queue = full_queue(1, 2)
    first = putters(queue, 3)
    either = Background((const("x") >> queue.put >> never) + (queue.get >> guard(lambda item: item == 2)))
    parked(3)
    assert queue.get() == 1
    first[0].result()
    assert either.result() == 2
    assert contents(queue) == [3]


def test_an_error_a_timeout_and_a_branch_not_taken_pass_it_on() -> None:
    queue, other = full_queue(0), Queue[str]()

    def fail(_: Any) -> None:
        raise ZeroDivisionError

    failing = waiting_for(queue.put >> lift(fail))
    elsewhere = Background((const("w") >> queue.put >> never) + other.get)
    parked(3)
    waiters = putters(queue, "x")
    (queue.get >> const("o") >> other.put)()
    with pytest.raises(ZeroDivisionError):
        failing[0].result()
    waiters[0].result()
    assert elsewhere.result() == "o"
    assert contents(queue) == ["x"]


def test_a_timeout_that_meets_the_wakeup() -> None:
    for n in range(20):
        queue = full_queue(0)

        def impatient(queue: Queue[Any] = queue, timeout: float = 0.0005 * (n % 4)) -> bool:
            try:
                queue.put("impatient", timeout=timeout)
            except Full:
                return False
            return True

        hasty, patient = [Background(impatient) for _ in range(2)], Background(queue.put, "patient")
        assert queue.get() == 0
        came = sum(waiter.result() for waiter in hasty)
        for _ in range(came):
            queue.get(timeout=60)
        patient.result()
        assert len(contents(queue)) == 1


def test_a_direct_put_takes_no_place_from_those_who_wait() -> None:
    queue = full_queue(0)
    waiters = putters(queue, 1, 2)
    with pytest.raises(Full):
        queue.put_nowait(3)
    assert queue.get() == 0
    assert queue.get(timeout=10) in (1, 2)
    for waiter in waiters:
        waiter.result()
    assert queue.get() in (1, 2)


@needs_signals
def test_an_interrupted_put_leaves_nothing() -> None:
    queue = full_queue(0)
    with interrupted():
        queue.put(1)
    assert contents(queue) == [0]


def test_a_cancelled_put_leaves_nothing_and_another_task_gets_in() -> None:
    async def main() -> None:
        queue = full_queue(0)
        gone, patient = (asyncio.ensure_future(queue.put.arun(x)) for x in ("gone", "patient"))
        while stats()["waiting"] < 2:
            await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert queue.get() == 0
        await patient
        assert contents(queue) == ["patient"]

    asyncio.run(main())


# ---- under load


def test_never_more_than_maxsize_and_nothing_lost() -> None:
    """A count that each reaction changes with the queue says at each commit how many items there are."""
    maxsize, count = 2, 400 * STRESS
    queue: Queue[tuple[int, int]] = Queue(maxsize)
    items = AtomicInt(0)
    put = queue.put >> const(1) >> items.add >> lift(lambda before: before + 1)
    get = (queue.get * (const(-1) >> items.add)) >> lift(lambda pair: pair[0])

    def producer(i: int) -> list[int]:
        return [put((i, n)) for n in range(count)]

    def consumer() -> list[tuple[int, int]]:
        return [get() for _ in range(count)]

    sizes_and_items = race(lambda: producer(0), lambda: producer(1), consumer, consumer)
    assert {size for sizes in sizes_and_items[:2] for size in sizes} <= set(range(1, maxsize + 1))
    got = sizes_and_items[2] + sizes_and_items[3]
    assert sorted(got) == [(i, n) for i in range(2) for n in range(count)]
    assert (queue.qsize(), items.get()) == (0, 0)


@pytest.mark.parametrize("maxsize", [1, 3])
def test_direct_calls_conserve_and_keep_the_order(maxsize: int) -> None:
    queue: Queue[tuple[int, int]] = Queue(maxsize)
    count = 1_000 * STRESS

    def producer(i: int) -> None:
        for n in range(count):
            if n % 3:
                queue.put((i, n))
            else:
                (queue.put >> const(None))((i, n))

    def consumer() -> list[tuple[int, int]]:
        return [queue.get() if n % 3 else (queue.get >> lift(lambda x: x))() for n in range(count)]

    results = race(lambda: producer(0), lambda: producer(1), consumer, consumer)
    for got in results[2:]:
        for i in range(2):
            mine = [n for producer_id, n in got if producer_id == i]
            assert mine == sorted(mine)
    assert sorted(results[2] + results[3]) == [(i, n) for i in range(2) for n in range(count)]
    assert queue.empty()


def test_put_then_get_in_one_step_beside_other_puts() -> None:
    """Of an empty queue; tail must stay with what was committed, whoever was faster."""
    queue: Queue[int] = Queue()
    count = 2_000 * STRESS
    through = queue.put >> queue.get

    def reacting() -> list[int]:
        return [through(-1) for _ in range(count)]

    def putting() -> list[int]:
        got = []
        for n in range(count):
            queue.put(n)
            got.append(queue.get())
        return got

    results = race(reacting, putting, putting)
    assert sorted(chain(*results)) == sorted([-1] * count + 2 * list(range(count)))
    assert queue.empty()


def test_many_who_wait_for_one_place() -> None:
    n = 200
    queue = full_queue("first")
    before = threading.stack_size(256 * 1024)
    try:
        threads = [threading.Thread(target=queue.put, args=(i,), daemon=True) for i in range(n)]
        for thread in threads:
            thread.start()
    finally:
        threading.stack_size(before)
    parked(n)
    wakeups = Wakeups()
    assert queue.get() == "first"
    assert sorted(queue.get() for _ in range(n)) == list(range(n))
    for thread in threads:
        thread.join()
    assert wakeups.count <= 2 * n, "one for each place, and one for each item that we have waited for"


operations = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["put", "put_nowait"]), st.integers()),
        st.tuples(st.sampled_from(["get", "get_nowait", "task_done", "qsize", "empty", "full"])),
        st.tuples(st.just("maxsize"), st.integers(-1, 4)),
    ),
    max_size=40,
)


@given(st.integers(-1, 4), operations)
def test_behaves_like_queue(maxsize: int, steps: list[tuple[Any, ...]]) -> None:
    queue: Queue[int] = Queue(maxsize)
    model: standard.Queue[int] = standard.Queue(maxsize)

    def answer(it: Any, name: str, *args: Any) -> Any:
        try:
            if name == "maxsize":
                it.maxsize = args[0]
                return None
            return getattr(it, name)(*args, **({"block": False} if name in ("put", "get") else {}))
        except (Full, standard.Empty, ValueError) as error:
            return ValueError if isinstance(error, ValueError) else Full if isinstance(error, Full) else Empty

    for step in steps:
        assert answer(queue, *step) == answer(model, *step)
        assert queue.unfinished_tasks == model.unfinished_tasks
