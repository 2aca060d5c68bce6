"""`lockfree.PriorityQueue` and `lockfree.LifoQueue`: what queue's do, and reagents; comparing runs user code.

CPython's own tests of both are in test_priority_queue_cpython.py.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import queue as standard
import random
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conventions import check_reagent_method, check_signature, check_type
from lockfree import LifoQueue, PriorityQueue, Queue, ShutDown
from racing import STRESS, Background, Parked, examples, race, settle, soon
from reagents import Ref, attempt, const, guard, stats

KINDS = [PriorityQueue, LifoQueue]
both = pytest.mark.parametrize("kind", KINDS)
AnyQueue = Any


class Key:
    """Compared by user code: by `key` alone, so that equal ones can be told apart."""

    def __init__(self, key: Any, name: Any = None, before: Callable[[], Any] = lambda: None) -> None:
        self.key, self.name, self.before = key, name, before

    def __lt__(self, other: Key) -> bool:
        self.before()
        other.before()
        return bool(self.key < other.key)


class Bad:
    """Cannot be compared."""

    def __lt__(self, other: Any) -> bool:
        raise ZeroDivisionError

    __gt__ = __lt__  # of the reflected comparison, should the other side not know


def waiting(call: Callable[..., Any], *args: Any) -> Background:
    """A thread that has called it and has parked."""
    before = Parked()
    thread = Background(call, *args)
    before.wait_for()
    return thread


def filled(kind: Callable[[], AnyQueue], items: Any) -> AnyQueue:
    queue = kind()
    for item in items:
        queue.put(item)
    return queue


def drained(queue: AnyQueue) -> list[Any]:
    return [queue.get_nowait() for _ in range(len(queue))]


# ---- the interface ------------------------------------------------------------------------------------------------


@both
def test_conventions(kind: type) -> None:
    check_type(kind, kind)
    for method in ("put", "get", "peek"):
        check_reagent_method(getattr(kind(), method))
    check_signature(kind, "put", ["item", "block", "timeout"])
    check_signature(kind, "get", ["block", "timeout"])
    check_signature(kind, "put_nowait", ["item"])
    check_signature(kind, "get_nowait", [])
    check_signature(kind, "shutdown", ["immediate"])
    model = getattr(standard, kind.__name__)()
    missing = {name for name in dir(model) if not name.startswith("_")} - set(dir(kind))
    assert missing == {"mutex", "not_empty", "not_full", "all_tasks_done", "queue"}, "its locks and the list under them"


@both
def test_arguments_are_the_standard_librarys(kind: type) -> None:
    queue = kind(maxsize=2)
    queue.put(1, True, 5)
    queue.put(item=2, block=False, timeout=None)
    assert (queue.full(), queue.empty(), queue.qsize(), len(queue), queue.maxsize) == (True, False, 2, 2, 2)
    for call in (lambda: queue.put_nowait(3), lambda: queue.put(3, False), lambda: queue.put(3, timeout=0)):
        with pytest.raises(standard.Full):
            call()
    assert sorted([queue.get(True, 1), queue.get(block=False)]) == [1, 2]
    for call in (
        queue.get_nowait,
        lambda: queue.get(False),
        lambda: queue.get(timeout=0.001),
        lambda: queue.peek(False),
    ):
        with pytest.raises(standard.Empty):
            call()


@both
def test_maxsize(kind: type) -> None:
    assert kind(-5).maxsize == kind(None or 0).maxsize == 0
    for bad in ("1", 1.5, None):
        with pytest.raises(TypeError, match="maxsize must be an integer, not"):
            kind(bad)
    assert kind(2**70).maxsize == sys.maxsize
    queue = filled(kind, range(3))
    queue.maxsize = 3
    with pytest.raises(standard.Full):
        queue.put_nowait(3)
    with pytest.raises(TypeError):
        queue.maxsize = "4"
    with pytest.raises(AttributeError):
        del queue.maxsize
    assert (queue.maxsize, len(queue), queue.unfinished_tasks) == (3, 3, 3)


@both
def test_raising_maxsize_lets_waiting_putters_in(kind: type) -> None:
    queue = kind(1)
    queue.put(0)
    first = waiting(queue.put, 1)
    second = waiting(queue.put, 2)
    queue.maxsize = 3
    first.result(), second.result()
    assert sorted(drained(queue)) == [0, 1, 2]


@both
def test_can_be_subclassed(kind: type) -> None:
    class Named(kind):  # type: ignore[misc]
        name = "jobs"

    queue = Named(1)
    queue.put(1)
    assert (queue.get(), queue.name, queue.maxsize) == (1, "jobs", 1)


@both
def test_tasks(kind: type) -> None:
    queue = filled(kind, range(3))
    drained(queue)
    waiter = Background(queue.join)
    soon(lambda: stats()["waiting"] == 1, "join() waits")
    for left in (2, 1, 0):
        assert waiter.running
        queue.task_done()
        assert queue.unfinished_tasks == left
    waiter.result()
    with pytest.raises(ValueError, match="too many times"):
        queue.task_done()
    (const(1) >> queue.put)()
    assert queue.unfinished_tasks == 1, "a put in a reaction is a task too"


@both
def test_shutdown_wakes_everybody(kind: type) -> None:
    queue = kind(1)
    getters = [waiting(queue.get), waiting(queue.get)]
    queue.shutdown()
    for getter in getters:
        with pytest.raises(ShutDown):
            getter.result()
    queue = kind(1)
    queue.put(0)
    putters = [waiting(queue.put, 1), waiting(const(2) >> queue.put)]
    joiner = Background(queue.join)
    soon(lambda: stats()["waiting"] == 3, "join() waits")
    queue.shutdown(immediate=True)
    for putter in putters:
        with pytest.raises(ShutDown):
            putter.result()
    joiner.result()
    for call in (queue.get, queue.peek, queue.get_nowait, queue.get * queue.get, lambda: queue.put_nowait(1)):
        with pytest.raises(ShutDown):
            call()
    assert (len(queue), queue.unfinished_tasks, queue.is_shutdown) == (0, 0, True)


# ---- order --------------------------------------------------------------------------------------------------------

keys = st.one_of(st.integers(), st.booleans(), st.floats(allow_nan=False))
orderable = st.one_of(
    st.lists(keys, max_size=40),
    st.lists(st.integers(-3, 3), max_size=40),
    st.lists(st.text(max_size=5), max_size=40),
    st.lists(st.binary(max_size=3), max_size=40),
    st.lists(st.tuples(keys, st.text(max_size=2)), max_size=40),
    st.lists(st.tuples(st.text(max_size=2), st.tuples(keys)), max_size=40),
    st.lists(st.lists(st.integers(0, 2), max_size=3), max_size=40),
)


@settings(deadline=None)
@given(orderable)
def test_gives_the_least_and_equals_in_the_order_of_their_puts(items: list[Any]) -> None:
    queue = filled(PriorityQueue, items)
    expected = sorted(items)  # stable
    assert queue.snapshot() == expected
    for item in expected:
        assert queue.peek() is item or queue.peek() == item
        got = queue.get()
        assert got == item
        assert type(got) is type(item), "the first of those that are equal"
    assert queue.empty()


SPECIAL: list[list[Any]] = [
    [2**53, float(2**53), 2**53 + 1, -(2**53) - 1, 2**70, -(2**70), 1e300, float("inf"), -float("inf"), 0, -0.0, False],
    ["\u0400a", "\u0400", "\xff", "\xff\xff\xff\xff", "\xffz", "a\0", "a", "", "\U0001f600", "\uffff"],
    [(1, "a"), (1,), (), (1.0, "a", 0), (True, "b"), (0.5,)],
]


@pytest.mark.parametrize("items", SPECIAL, ids=["numbers", "strings", "tuples"])
def test_the_order_of_special_items(items: list[Any]) -> None:
    """Equal ones of different types, and those for which a hint of a few bits says little."""
    for turned in (items, items[::-1]):
        queue = filled(PriorityQueue, turned)
        assert [(type(x), x) for x in queue.snapshot()] == [(type(x), x) for x in sorted(turned)]
        assert [(type(x), x) for x in drained(queue)] == [(type(x), x) for x in sorted(turned)]


def test_user_objects_are_in_order_too() -> None:
    draw = random.Random(1)
    items = [Key(draw.randrange(20), n) for n in range(300)]
    queue = filled(PriorityQueue, items)
    expected = [(item.key, item.name) for item in sorted(items, key=lambda item: item.key)]
    assert [(item.key, item.name) for item in queue.snapshot()] == expected
    assert [(item.key, item.name) for item in drained(queue)] == expected


operations = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["put", "put_nowait", "put_composed"]), st.integers(-5, 5)),
        st.tuples(st.sampled_from(["get", "get_nowait", "get_composed", "peek", "pair", "through"])),
    ),
    max_size=60,
)


@both
@settings(deadline=None)
@given(operations, st.integers(0, 4))
def test_behaves_like_the_model(kind: type, steps: list[tuple[Any, ...]], maxsize: int) -> None:
    queue = kind(maxsize)
    model: list[tuple[Any, int]] = []
    key = (lambda pair: pair) if kind is PriorityQueue else (lambda pair: -pair[1])
    for number, (name, *args) in enumerate(steps):
        if name.startswith("put"):
            put = (lambda x: (const(x) >> queue.put)(timeout=0)) if name == "put_composed" else queue.put_nowait
            if maxsize and len(model) == maxsize:
                with pytest.raises(TimeoutError if name == "put_composed" else standard.Full):
                    put(*args)
            else:
                put(*args)
                model = sorted([*model, (args[0], number)], key=key)
        elif name == "through":  # an item passes through the queue within one reaction
            if not maxsize or len(model) < maxsize:
                model = sorted([*model, (0, number)], key=key)
                assert (const(0) >> queue.put >> queue.get)() == model.pop(0)[0]
        elif name == "pair":
            if len(model) < 2:
                assert attempt(queue.get * queue.get)() is None
            else:
                assert (queue.get * queue.get)() == (model.pop(0)[0], model.pop(0)[0])
        elif not model:
            with pytest.raises(standard.Empty):
                queue.get_nowait() if name != "peek" else queue.peek(block=False)
        elif name == "peek":
            assert queue.peek() == queue.peek.__call__() == model[0][0]
        else:
            get = (queue.get >> guard(lambda _: True)) if name == "get_composed" else getattr(queue, name)
            assert get() == model.pop(0)[0]
        assert (len(queue), queue.full()) == (len(model), bool(maxsize) and len(model) == maxsize)
    assert queue.snapshot() == [x for x, _ in model]


@settings(max_examples=examples(20), deadline=None)
@given(st.lists(st.integers(0, 10**6), max_size=300), st.randoms(use_true_random=False))
def test_large_mixtures_agree_with_heapq(items: list[int], draw: random.Random) -> None:
    queue: PriorityQueue[int] = PriorityQueue()
    model: list[int] = []
    for item in items:
        queue.put(item)
        heapq.heappush(model, item)
        while model and draw.random() < 0.4:
            assert queue.get() == heapq.heappop(model)
    assert drained(queue) == sorted(model)


# ---- comparing ----------------------------------------------------------------------------------------------------


def test_an_item_that_cannot_be_compared_changes_nothing() -> None:
    queue = filled(PriorityQueue, [3, 1, 2])
    for bad in (Bad(), "text", (1,), None):
        for put in (queue.put, queue.put_nowait, const(bad) >> queue.put >> (lambda _: None)):
            with pytest.raises((ZeroDivisionError, TypeError)):
                put(bad)
    assert (len(queue), queue.unfinished_tasks) == (3, 3)
    assert drained(queue) == [1, 2, 3]


def test_a_get_that_cannot_compare_changes_nothing() -> None:
    broken = False

    def check() -> None:
        if broken:
            raise ZeroDivisionError

    queue = filled(PriorityQueue, [Key(i, i, check) for i in range(10)])
    broken = True
    for get in (queue.get, queue.get_nowait, queue.get >> (lambda x: x), queue.snapshot):
        with pytest.raises(ZeroDivisionError):
            get()
    broken = False
    assert [item.key for item in drained(queue)] == list(range(10))


@pytest.mark.parametrize("composed", [False, True])
def test_a_comparison_may_use_the_queue(composed: bool) -> None:
    """One that puts, one that takes, each once: the operation that it is part of starts again."""
    queue: PriorityQueue[Key] = PriorityQueue()
    once: list[Callable[[], Any]] = []

    def before() -> None:
        if once:
            once.pop()()

    got = []
    for key in (5, 3, 8):
        queue.put(Key(key, None, before))
    put = (lambda x: (const(x) >> queue.put)()) if composed else queue.put
    once.append(lambda: queue.put(Key(4)))
    put(Key(6, None, before))
    assert len(queue) == 5
    once.append(lambda: got.append(queue.get()))
    put(Key(1, None, before))
    assert ([item.key for item in got], [item.key for item in drained(queue)]) == ([3], [1, 4, 5, 6, 8])


def test_a_comparison_that_drops_what_it_compares() -> None:
    """The items under comparison stay alive, though `<` has emptied the queue."""
    queue: PriorityQueue[Any] = PriorityQueue()

    class Emptying(Key):
        def __lt__(self, other: Key) -> bool:
            while len(queue):
                queue.shutdown(immediate=True)
            gc.collect()
            return bool(self.key < other.key)

    for key in range(3):
        queue.put(Key(key))
    with pytest.raises(ShutDown):
        queue.put(Emptying(-1))
    assert queue.empty()


@pytest.mark.parametrize("composed", [False, True])
def test_a_comparison_after_which_nothing_is_as_it_was(composed: bool) -> None:
    """Its operation looks at nothing more of what was, and begins again from the top."""
    queue: PriorityQueue[Any] = PriorityQueue()
    compared = []

    class Meddling(Key):
        def __lt__(self, other: Key) -> bool:
            if not compared:
                queue.put(Key(100))
            compared.append(other.key)
            return bool(self.key < other.key)

    for key in range(7):
        queue.put(Key(key))
    put = (lambda x: (const(x) >> queue.put)()) if composed else queue.put
    put(Meddling(50))
    assert compared[:2] == [0, 0]
    assert [item.key for item in drained(queue)] == [*range(7), 50, 100]


def test_a_destructor_may_use_the_queue() -> None:
    queue: PriorityQueue[Any] = PriorityQueue()
    done = []

    class Last(Key):
        def __del__(self) -> None:
            queue.put(Key(self.key + 1))
            done.append(queue.get().key)

    queue.put(Key(5))
    queue.put(Last(1))
    queue.get()
    queue.put(Last(2))
    queue.get()
    settle()
    assert done, "its destructor ran"
    assert len(queue) == 1


# ---- life ---------------------------------------------------------------------------------------------------------


@both
def test_references(kind: type) -> None:
    item = Key(1)
    before = sys.getrefcount(item)
    queue = kind()
    for _ in range(10):
        for _ in range(5):
            queue.put(item)
        (const(item) >> queue.put >> queue.get)()
        (queue.get * queue.get)()
        with pytest.raises(TimeoutError):
            (queue.get >> queue.put >> queue.get >> guard(lambda _: False))(timeout=0)
        for _ in range(3):
            assert queue.peek() is queue.get() is item
    for _ in range(100):
        queue.put(item)
    queue.snapshot()
    queue.shutdown(immediate=True)
    for _ in range(2):
        filled(kind, [item] * 50)
    settle()
    assert sys.getrefcount(item) == before


@both
def test_cycles_are_collected(kind: type) -> None:
    queue = kind()
    queue.put((1, queue))
    queue.put((0, Key(0)))
    reference = weakref.ref(queue)
    del queue
    settle()
    gc.collect()
    assert reference() is None


def test_a_long_way_down() -> None:
    """Ascending items make one long left spine: walks of it and its end do not recurse."""
    count = 100_000
    for order in (range(count), range(count, 0, -1)):
        queue = filled(PriorityQueue, order)
        assert len(queue.snapshot()) == count
        gc.collect()
        del queue
    outer: Any = None
    for _ in range(20_000):
        outer = filled(LifoQueue, [outer])
    del outer


# ---- reagents -----------------------------------------------------------------------------------------------------


@both
def test_a_choice_between_queues(kind: type) -> None:
    urgent, normal = kind(), Queue()
    get = urgent.get + normal.get
    normal.put("later")
    urgent.put("now")
    assert [get(), get(), attempt(get)()] == ["now", "later", None]
    waiter = waiting(get)
    urgent.put("woken")
    assert waiter.result() == "woken"
    waiter = waiting(normal.get >> urgent.put >> urgent.peek)
    normal.put("through")
    assert (waiter.result(), urgent.get()) == ("through", "through")


@both
def test_blocked_puts_and_gets_are_woken_one_by_one(kind: type) -> None:
    queue = kind(2)
    getters = [waiting(queue.get) for _ in range(4)]
    before = stats()["wakeups"]
    for n, getter in enumerate(getters):
        queue.put(n)
        assert (getter.result(), stats()["wakeups"] - before) == (n, n + 1)
    queue.put(0)
    queue.put(0)
    putters = [waiting(queue.put, n) for n in range(4)]
    before = stats()["wakeups"]
    for n, putter in enumerate(putters):
        queue.get()
        putter.result()
        assert stats()["wakeups"] - before == n + 1
    assert stats()["waiting"] == 0


@both
def test_a_move_waits_for_room(kind: type) -> None:
    source, target = kind(), kind(1)
    source.put(1)
    target.put(2)
    move = waiting(source.get >> target.put)
    target.get()
    move.result()
    assert (len(source), target.get()) == (0, 1)


@both
def test_arun(kind: type) -> None:
    async def main() -> Any:
        queue = kind(1)
        await queue.put.arun(1)
        task = asyncio.ensure_future(queue.put.arun(0))
        await asyncio.sleep(0)
        first = await queue.get.arun()
        await task
        return first, await queue.get.arun()

    assert asyncio.run(main()) == (1, 0)


# ---- threads ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [lambda i, n: n * 2 + i, lambda i, n: (n, str(i)), lambda i, n: Key(n, i)])
@both
def test_each_item_is_got_once(kind: type, wrap: Callable[[int, int], Any]) -> None:
    """Bounded, with producers and consumers in threads: what each producer puts in ascending order comes out once."""
    queue = kind(5)
    count = (150 if isinstance(wrap(0, 0), Key) else 1_500) * STRESS

    def producer(i: int) -> None:
        for n in range(count):
            queue.put(wrap(i, n))

    def consumer() -> list[Any]:
        return [queue.get() for _ in range(count)]

    results = race(lambda: producer(0), lambda: producer(1), consumer, consumer)
    plain = (lambda x: (x.key, x.name)) if isinstance(wrap(0, 0), Key) else (lambda x: x)
    got = sorted(plain(x) for x in results[2] + results[3])
    assert got == sorted(plain(wrap(i, n)) for i in range(2) for n in range(count))
    assert (queue.qsize(), queue.unfinished_tasks) == (0, 4 * count // 2)
    assert stats()["waiting"] == 0


def test_moves_between_queues_lose_nothing() -> None:
    """Reactions over a heap, a list and a FIFO queue, the collector at work, an audit in between."""
    heap, lifo, fifo = PriorityQueue[Any](), LifoQueue[Any](), Queue[Any]()
    items = [(n % 7, n) for n in range(30)]
    for item in items:
        heap.put(item)
    moved = Ref(0)
    count = 400 * STRESS
    up = moved.upd(lambda old, x: (old + 1, x))

    def run(step: Any) -> Callable[[], None]:
        return lambda: [attempt(step)() for _ in range(count)] and None

    race(
        run(heap.get >> lifo.put),
        run(lifo.get >> fifo.put + lifo.put),
        run(fifo.get >> heap.put),
        run((heap.get >> up >> fifo.put) + (fifo.get >> heap.put)),
        meanwhile=[gc.collect],
    )
    left = [*heap.snapshot(), *lifo.snapshot(), *drained(fifo)]
    assert sorted(left) == sorted(items)
    assert heap.snapshot() == sorted(heap.snapshot())


def test_the_least_is_got_while_others_put() -> None:
    """Whoever gets while only larger items are being put gets the least, each time."""
    queue = filled(PriorityQueue, range(2_000))

    def putter(i: int) -> None:
        for n in range(2_000):
            queue.put(10_000 + 2 * n + i)

    race(lambda: putter(0), lambda: [queue.get() for _ in range(2_000)] == list(range(2_000)) or pytest.fail("order"))
    assert drained(queue) == [10_000 + 2 * n for n in range(2_000)]
