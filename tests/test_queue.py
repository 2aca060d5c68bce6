"""`lockfree.Queue`: first in, first out; the interface of `queue.SimpleQueue`; each operation a reagent method."""

from __future__ import annotations

import queue as standard
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lockfree
from conventions import check_reagent_method, check_signature, check_type
from lockfree import Queue
from racing import STRESS, race
from reagents import const, identity


def test_conventions() -> None:
    check_type(Queue, Queue)
    for method in ("put", "get", "peek", "task_done", "join"):
        check_reagent_method(getattr(Queue(), method))
    check_signature(Queue, "put", ["item", "block", "timeout"])
    check_signature(Queue, "get", ["block", "timeout"])
    check_signature(Queue, "put_nowait", ["item"])
    check_signature(Queue, "get_nowait", [])
    check_signature(Queue, "shutdown", ["immediate"])
    check_signature(Queue, "task_done", [])
    check_signature(Queue, "join", [])


@pytest.mark.parametrize("kind", [standard.SimpleQueue, standard.Queue])
def test_has_all_that_the_standard_one_has(kind: type) -> None:
    public = {name for name in dir(kind) if not name.startswith("_")}
    assert public <= set(dir(Queue))


def test_exceptions_are_the_standard_ones() -> None:
    assert issubclass(lockfree.Empty, standard.Empty)
    assert lockfree.Full is standard.Full
    assert lockfree.ShutDown is getattr(standard, "ShutDown", lockfree.ShutDown)
    with pytest.raises(lockfree.Empty):
        Queue().get_nowait()
    with pytest.raises(lockfree.Empty):
        Queue().get(timeout=0.001)


def test_first_in_first_out() -> None:
    queue: Queue[int] = Queue()
    for i in range(5):
        assert queue.put(i) is None
    assert [queue.get() for _ in range(5)] == [0, 1, 2, 3, 4]


def test_arguments_of_simple_queue() -> None:
    queue: Queue[int] = Queue()
    queue.put(1, True, 5)
    queue.put(2, block=False)
    queue.put(item=3, block=True, timeout=None)
    queue.put_nowait(4)
    assert [queue.get(True, 1), queue.get(block=False), queue.get(timeout=1), queue.get_nowait()] == [1, 2, 3, 4]
    get = queue.get
    for call in (queue.get_nowait, lambda: get(False), lambda: get(True, 0.001), lambda: get(timeout=0)):
        with pytest.raises(standard.Empty):
            call()


def test_size() -> None:
    queue: Queue[str] = Queue()
    assert (queue.empty(), queue.qsize(), len(queue)) == (True, 0, 0)
    queue.put("a")
    queue.put("b")
    assert (queue.empty(), queue.qsize(), len(queue)) == (False, 2, 2)
    queue.get()
    assert (queue.empty(), queue.qsize(), len(queue)) == (False, 1, 1)


def test_peek_leaves_the_item() -> None:
    queue: Queue[int] = Queue()
    with pytest.raises(standard.Empty):
        queue.peek(block=False)
    queue.put(1)
    queue.put(2)
    assert (queue.peek(), queue.peek(block=False), queue.peek(timeout=1), queue.qsize()) == (1, 1, 1, 2)


def test_any_object_may_be_an_item() -> None:
    items: list[Any] = [None, False, 0, (), [], Queue(), Queue, identity, float("nan"), NotImplemented, ...]
    queue: Queue[Any] = Queue()
    for item in items:
        queue.put(item)
    assert all(queue.get() is item for item in items)


def test_reagents() -> None:
    queue, other = Queue(), Queue()
    queue.put(1)
    assert (queue.get >> (lambda x: x + 1) >> (identity * other.put))()[0] == 2
    (const(5) >> other.put)()
    assert (other.peek(), other.get(), other.get()) == (2, 2, 5)


def test_a_method_can_be_kept() -> None:
    queue: Queue[int] = Queue()
    put, get = queue.put, queue.get
    del queue
    put(1)
    put(2)
    assert (get(), get()) == (1, 2)


def test_can_be_subclassed() -> None:
    class Named(Queue[int]):
        name = "jobs"

    queue = Named()
    queue.put(1)
    assert (queue.get(), queue.name) == (1, "jobs")


def test_does_not_change_the_reference_count_of_what_passed_through() -> None:
    item = object()
    before = sys.getrefcount(item)
    queue: Queue[object] = Queue()
    for _ in range(100):
        queue.put(item)
        assert queue.get() is item
    assert sys.getrefcount(item) == before


operations = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["put", "put_nowait"]), st.integers()),
        st.tuples(st.sampled_from(["get", "get_nowait", "peek", "qsize", "empty"])),
    ),
    max_size=50,
)


@given(operations)
def test_behaves_like_simple_queue(steps: list[tuple[Any, ...]]) -> None:
    queue: Queue[int] = Queue()
    model: standard.SimpleQueue[int] = standard.SimpleQueue()
    first: list[int] = []
    for name, *args in steps:
        if name in ("put", "put_nowait"):
            getattr(queue, name)(*args)
            getattr(model, name)(*args)
            first += args
        elif name in ("qsize", "empty"):
            assert getattr(queue, name)() == getattr(model, name)()
        elif model.empty():
            with pytest.raises(standard.Empty):
                queue.get_nowait() if name == "get_nowait" else getattr(queue, name)(block=False)
        elif name == "peek":
            assert queue.peek() == first[0]
        else:
            assert getattr(queue, name)() == model.get() == first.pop(0)


def test_each_item_is_got_once_and_in_order() -> None:
    """Every consumer gets the items of each producer in the order in which they were put."""
    queue: Queue[tuple[int, int] | None] = Queue()
    count = 5_000 * STRESS

    def producer(i: int) -> list[Any]:
        for n in range(count):
            queue.put((i, n))
        queue.put(None)
        return []

    def consumer() -> list[Any]:
        return list(iter(queue.get, None))

    results = race(lambda: producer(0), lambda: producer(1), consumer, consumer)
    got = results[2] + results[3]
    assert sorted(got) == [(i, n) for i in range(2) for n in range(count)]
    for items in results[2:]:
        for i in range(2):
            mine = [n for producer_id, n in items if producer_id == i]
            assert mine == sorted(mine)
    assert queue.empty()


def test_a_reaction_that_takes_what_it_put() -> None:
    """Head passes tail within one reaction; the node left behind is another queue's before long."""
    queue: Queue[int] = Queue()
    other: Queue[int] = Queue()
    busy: Queue[int] = Queue()
    through = queue.put >> queue.get
    for i in range(300):
        assert through(i) == i
        for _ in range(100):  # more than wait to be reclaimed together
            busy.put(i)
            busy.get()
        other.put(i)
        queue.put(-i)
        assert (queue.get(), queue.qsize(), other.qsize()) == (-i, 0, i + 1)
    assert [other.get() for _ in range(300)] == list(range(300))
