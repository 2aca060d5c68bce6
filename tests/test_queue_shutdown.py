"""`Queue.shutdown`, `task_done` and `join`: as in `queue.Queue` of Python 3.13, and in reactions."""

from __future__ import annotations

import asyncio
import queue as standard
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockfree import Empty, Full, Queue, ShutDown
from racing import STRESS, Background, race, settle, soon
from racing import parked as parked_reaction
from reagents import Ref, attempt, choice, computed, const, guard, identity, lift, stats
from test_wake_one import Wakeups, parked, waiting_for
from waiting import interrupted, needs_signals


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    assert stats()["waiting"] == 0
    yield
    soon(lambda: stats()["waiting"] == 0, "no record left")


def queue_of(*items: Any, maxsize: int = 0) -> Queue[Any]:
    queue: Queue[Any] = Queue(maxsize)
    for item in items:
        queue.put(item)
    return queue


# ---- shutdown


def test_what_is_left_can_be_got() -> None:
    queue = queue_of(1, 2)
    assert not queue.is_shutdown
    queue.shutdown()
    queue.shutdown()
    assert queue.is_shutdown
    for put in (queue.put, queue.put_nowait, lambda x: queue.put(x, timeout=1), lambda x: (const(x) >> queue.put)()):
        with pytest.raises(ShutDown):
            put(3)
    assert (queue.peek(), queue.get(), (queue.get >> identity)()) == (1, 1, 2)
    for get in (queue.get, queue.get_nowait, lambda: queue.get(timeout=1), queue.peek, queue.get >> identity):
        with pytest.raises(ShutDown):
            get()
    assert (queue.qsize(), queue.empty()) == (0, True)


def test_at_once_nothing_is_left() -> None:
    queue = queue_of(1, 2, 3)
    queue.get()
    queue.shutdown(immediate=True)
    assert (queue.qsize(), queue.is_shutdown, queue.unfinished_tasks) == (0, True, 1)
    with pytest.raises(ShutDown):
        queue.get()
    queue.task_done()
    queue.join()


def test_at_once_after_all() -> None:
    queue = queue_of(1, 2)
    queue.shutdown()
    queue.shutdown(True)
    queue.shutdown(True)
    assert (queue.qsize(), queue.unfinished_tasks) == (0, 0)


def test_a_full_queue_that_is_shut_down_is_no_longer_full() -> None:
    queue = queue_of(1, maxsize=1)
    queue.shutdown()
    for put in (queue.put_nowait, lambda x: queue.put(x, timeout=0.001), queue.put):
        with pytest.raises(ShutDown):
            put(2)


@pytest.mark.parametrize("immediate", [False, True])
def test_wakes_all_who_wait(immediate: bool) -> None:
    empty, full = queue_of(), queue_of(0, maxsize=1)
    never: Queue[int] = Queue()
    getters = waiting_for(empty.get, empty.get, empty.peek, empty.get >> identity, lambda: empty.get(timeout=60))
    putters = waiting_for(lambda: full.put(1), const(1) >> full.put, lambda: full.put(1, timeout=60))
    either = Background(empty.get + never.get)
    parked(10)
    empty.shutdown(immediate)
    full.shutdown(immediate)
    for waiter in [*getters, *putters, either]:
        with pytest.raises(ShutDown):
            waiter.result()


@pytest.mark.parametrize("immediate", [False, True])
def test_wakes_a_task(immediate: bool) -> None:
    async def main() -> None:
        queue = queue_of()
        getter = asyncio.ensure_future(queue.get.arun())
        while not stats()["waiting"]:
            await asyncio.sleep(0)
        await asyncio.to_thread(queue.shutdown, immediate)
        with pytest.raises(ShutDown):
            await getter

    asyncio.run(main())


def test_who_has_put_and_waits_for_more_room_is_woken() -> None:
    """It waits for words: it is what it has put itself that leaves no room for more."""
    queue = queue_of(maxsize=1)
    pair = parked_reaction(const(1) >> queue.put >> const(2) >> queue.put)
    queue.shutdown()
    with pytest.raises(ShutDown):
        pair.result()
    assert queue.empty()


def test_a_reaction_that_meets_the_end_changes_nothing() -> None:
    queue, other = queue_of(1), queue_of("a", "b")
    queue.shutdown()
    for step in (
        other.get >> queue.put,
        other.get >> queue.get >> queue.get,
        attempt(other.get >> queue.put, "blocked"),
        choice(const(1) >> queue.put, other.get),
        (queue.get * queue.get) + other.get,
    ):
        with pytest.raises(ShutDown):
            step()
    assert (queue.qsize(), other.qsize()) == (1, 2)
    assert choice(queue.get, other.get)() == 1
    assert (other.get + queue.get)() == "a"


def test_an_end_out_of_a_stale_state_is_not_shown() -> None:
    """The reaction takes the last item and looks again; meanwhile its first reads have gone stale."""
    queue, ref = queue_of(1), Ref(0)
    queue.shutdown()

    def meddle(x: int) -> int:
        if not calls:
            ref.set(1)
        calls.append(x)
        return x

    calls: list[int] = []
    step = ref.read >> lift(meddle) >> computed(lambda x: queue.get if x else queue.get >> queue.get)
    assert step() == 1
    assert calls == [0, 1]


def test_draining_runs_destructors_afterwards_and_they_may_use_the_queue() -> None:
    told: list[Any] = []

    class Item:
        def __init__(self, queue: Queue[Any]) -> None:
            self.queue = queue

        def __del__(self) -> None:
            try:
                self.queue.put(1)
            except ShutDown:
                told.append(self.queue.qsize())
            self.queue.shutdown(True)

    queue = queue_of()
    for _ in range(300):
        queue.put(Item(queue))
    queue.shutdown(True)
    settle()
    assert told == [0] * 300


@pytest.mark.parametrize("immediate", [False, True])
def test_shutdown_in_the_middle_of_the_work(immediate: bool) -> None:
    """Each item was got, or was drained, or was never put; and who shuts down finds nothing of an immediate end."""
    for _ in range(10 * STRESS):
        queue: Queue[int] = Queue(4)
        put: list[list[int]] = [[], []]
        count = 200

        def producer(i: int, queue: Queue[int] = queue, put: list[list[int]] = put) -> None:
            n = i
            while True:
                try:
                    queue.put(n) if n % 4 else (const(n) >> queue.put)()
                except ShutDown:
                    return
                put[i].append(n)
                n += 2

        def consumer(queue: Queue[int] = queue, count: int = count) -> list[int]:
            got: list[int] = []
            while True:
                try:
                    got.append(queue.get() if len(got) % 3 else (queue.get >> identity)())
                except ShutDown:
                    return got
                queue.task_done()
                if len(got) == count:
                    queue.shutdown(immediate)
                    assert not immediate or queue.empty()

        *_, a, b = race(lambda: producer(0), lambda: producer(1), consumer, consumer)
        got, all_put = sorted(a + b), sorted(put[0] + put[1])
        if immediate:
            assert set(got) <= set(all_put)
            assert len(all_put) - len(got) <= 4, "what was drained there was room for"
        else:
            assert got == all_put
        assert (queue.qsize(), queue.unfinished_tasks) == (0, 0)
        queue.join()


# ---- task_done and join


def test_too_many_tasks_done() -> None:
    queue = queue_of(1)
    queue.task_done()
    for done in (queue.task_done, queue.task_done >> identity):
        with pytest.raises(ValueError, match="too many times"):
            done()
    queue.put(2)
    with pytest.raises(ValueError, match="too many times"):
        (queue.task_done >> queue.task_done)()
    assert queue.unfinished_tasks == 1
    (const(3) >> queue.put >> queue.task_done >> queue.task_done)()
    assert (queue.unfinished_tasks, queue.qsize()) == (0, 3)


def test_arguments() -> None:
    queue = queue_of()
    calls: list[Callable[[], Any]] = [
        lambda: queue.join(1),  # type: ignore[call-arg]
        lambda: queue.task_done(1),  # type: ignore[call-arg]
        lambda: queue.shutdown(True, True),  # type: ignore[call-arg]
        lambda: queue.shutdown(at_once=True),  # type: ignore[call-arg]
    ]
    for call in calls:
        with pytest.raises(TypeError):
            call()


def test_who_joins_sleeps_through_puts_and_tasks() -> None:
    queue = queue_of(*range(10))
    waiters = waiting_for(queue.join, queue.join >> const("joined"))
    wakeups = Wakeups()
    for n in range(9):
        queue.get()
        queue.put(n)
        queue.task_done()
        Background(lambda: None).result()  # others may run, should they want to
    assert (wakeups.count, stats()["waiting"]) == (0, 2)
    for _ in range(10):
        queue.task_done()
    assert [w.result() for w in waiters] == [None, "joined"]
    assert wakeups.count == 2


def test_a_composed_task_done_wakes_who_joins() -> None:
    queue = queue_of(1)
    waiters = waiting_for(queue.join, queue.join)
    assert (queue.get >> lift(lambda x: x + 1) >> (identity * queue.task_done))() == (2, None)
    for waiter in waiters:
        waiter.result()


def test_an_immediate_end_wakes_who_joins() -> None:
    queue = queue_of(1, 2)
    waiters = waiting_for(queue.join, queue.join >> identity)
    queue.shutdown()
    assert all(waiter.running for waiter in waiters)
    queue.shutdown(True)
    for waiter in waiters:
        waiter.result()


def test_joining_in_a_reaction() -> None:
    queue = queue_of(1)
    with pytest.raises(TimeoutError):
        (queue.join >> identity)(timeout=0.001)
    assert attempt(queue.join >> const("done"), "not yet")() == "not yet"
    assert attempt(queue.task_done >> queue.join >> const("done"), "not yet")() == "done"
    assert attempt(const(2) >> queue.put >> queue.join >> const("done"), "not yet")() == "not yet"
    assert (const(2) >> queue.put >> queue.task_done >> queue.join >> const("done"))() == "done"
    assert queue.unfinished_tasks == 0


def test_a_choice_of_joining_and_a_task() -> None:
    """Its right branch depends on what was done, not only on what is left to do."""
    queue, go = queue_of(1, 2), Ref(False)
    waiter = parked_reaction((queue.join >> const("joined")) + (queue.task_done >> go.read >> guard(lambda go: go)))
    queue.task_done()
    queue.task_done()
    assert waiter.result() == "joined"


@needs_signals
def test_an_interrupted_join_leaves_nothing() -> None:
    queue = queue_of(1)
    with interrupted():
        queue.join()


def test_who_joins_sees_all_done() -> None:
    queue: Queue[int] = Queue(3)
    done: list[int] = []
    rounds, each = 20 * STRESS, 25

    def worker() -> None:
        try:
            while True:
                done.append(queue.get())
                queue.task_done() if len(done) % 2 else (queue.task_done >> identity)()
        except ShutDown:
            pass

    def producer() -> None:
        for n in range(rounds):
            for i in range(each):
                queue.put(i)
            queue.join() if n % 2 else (queue.join >> identity)()
            assert len(done) == (n + 1) * each
        queue.shutdown()

    race(producer, worker, worker)


operations = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["put", "put_nowait"]), st.integers()),
        st.tuples(st.sampled_from(["get", "get_nowait", "task_done", "qsize", "full"])),
        st.tuples(st.just("shutdown"), st.booleans()),
    ),
    max_size=30,
)


@pytest.mark.skipif(not hasattr(standard, "ShutDown"), reason="queue.Queue has no shutdown() before Python 3.13")
@given(st.integers(0, 3), operations)
def test_behaves_like_queue(maxsize: int, steps: list[tuple[Any, ...]]) -> None:
    queue: Queue[int] = Queue(maxsize)
    model: Any = standard.Queue(maxsize)

    def answer(it: Any, name: str, *args: Any) -> Any:
        try:
            return getattr(it, name)(*args, **({"block": False} if name in ("put", "get") else {}))
        except Exception as error:
            return next(kind for kind in (Full, standard.Empty, ShutDown, ValueError) if isinstance(error, kind))

    for step in steps:
        assert answer(queue, *step) == answer(model, *step)
        assert (queue.unfinished_tasks, queue.is_shutdown) == (model.unfinished_tasks, model.is_shutdown)
    assert issubclass(Empty, standard.Empty)
