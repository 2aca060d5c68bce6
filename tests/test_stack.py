"""`lockfree.Stack`: last in, first out; the conventions of the standard library; each operation a reagent method."""

from __future__ import annotations

import queue as standard
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lockfree
from conventions import check_reagent_method, check_signature, check_type
from lockfree import Stack
from racing import STRESS, race, settle
from reagents import attempt, const, identity


def test_conventions() -> None:
    check_type(Stack, Stack)
    for method in ("push", "pop", "peek"):
        check_reagent_method(getattr(Stack(), method))
    check_signature(Stack, "pop", ["block", "timeout"])
    check_signature(Stack, "peek", ["block", "timeout"])


def test_last_in_first_out() -> None:
    stack: Stack[int] = Stack()
    for i in range(5):
        assert stack.push(i) is None
    assert [stack.pop() for _ in range(5)] == [4, 3, 2, 1, 0]


def test_from_an_iterable() -> None:
    """As if each had been pushed in turn: like a list, the last is the first to come out."""
    stack = Stack(range(3))
    assert stack.snapshot() == [2, 1, 0]
    assert stack.pop() == 2
    assert Stack(iterable="ab").pop() == "b"


def test_peek_leaves_the_item() -> None:
    stack = Stack([1, 2])
    assert (stack.peek(), stack.peek(block=False), stack.peek(timeout=1)) == (2, 2, 2)
    assert len(stack) == 2


def test_len_bool_iter_snapshot() -> None:
    stack: Stack[str] = Stack()
    assert (len(stack), bool(stack), list(stack), stack.snapshot()) == (0, False, [], [])
    stack.push("a")
    stack.push("b")
    assert (len(stack), bool(stack), list(stack), stack.snapshot()) == (2, True, ["b", "a"], ["b", "a"])
    assert "a" in stack
    assert "c" not in stack


def test_iteration_is_over_a_snapshot() -> None:
    stack = Stack([1, 2, 3])
    seen = []
    for item in stack:
        seen.append(item)
        stack.push(item * 10)
        stack.pop()
        stack.pop()
    assert seen == [3, 2, 1]
    assert not stack


def test_raises_what_both_list_and_queue_users_expect() -> None:
    stack: Stack[int] = Stack()
    assert issubclass(lockfree.Empty, standard.Empty)
    assert issubclass(lockfree.Empty, IndexError)
    for call in (
        stack.pop_nowait,
        lambda: stack.pop(block=False),
        lambda: stack.pop(False),
        lambda: stack.pop(True, 0.001),
        lambda: stack.pop(timeout=0),
        lambda: stack.peek(block=False),
        lambda: stack.peek(timeout=0.001),
    ):
        with pytest.raises(lockfree.Empty):
            call()


def test_clear() -> None:
    stack = Stack([1, 2, 3])
    stack.clear()
    stack.clear()
    assert (len(stack), stack.snapshot()) == (0, [])
    stack.push(4)
    assert stack.pop() == 4


def test_clear_runs_destructors_that_use_the_stack() -> None:
    left: list[int] = []

    class Item:
        def __del__(self) -> None:
            left.append(len(stack))
            stack.push(None)

    stack: Stack[Any] = Stack(Item() for _ in range(200))
    stack.clear()
    settle()
    assert sorted(left) == list(range(200)), "all were gone before the first of them was told"
    assert len(stack) == 200


def test_clear_is_one_step() -> None:
    """Each item is popped or cleared; what lies under an item goes with it."""
    for _ in range(20 * STRESS):
        stack = Stack(range(100))

        def clear(stack: Stack[int] = stack) -> None:
            stack.clear()

        def pop(stack: Stack[int] = stack) -> list[int]:
            return [item for _ in range(60) if (item := attempt(stack.pop)()) is not None]

        _, a, b = race(clear, pop, pop)
        assert sorted(a + b) == list(range(100 - len(a + b), 100))
        assert len(stack) == 0


def test_containment_compares_as_a_list_does() -> None:
    class Bad:
        def __eq__(self, other: object) -> bool:
            raise ZeroDivisionError

        __hash__ = None  # type: ignore[assignment]

    nan = float("nan")
    assert nan in Stack([1, nan])
    assert 1.0 in Stack([1])
    stack: Stack[Any] = Stack([1, 2])
    with pytest.raises(ZeroDivisionError):
        Bad() in stack  # noqa: B015
    assert stack.snapshot() == [2, 1]


def test_any_object_may_be_an_item() -> None:
    items: list[Any] = [None, False, 0, (), [], Stack(), Stack, identity, float("nan"), NotImplemented, ...]
    stack = Stack(items)
    assert all(stack.pop() is item for item in reversed(items))


def test_reagents() -> None:
    stack = Stack([1])
    assert (stack.pop >> (lambda x: x + 1))() == 2
    (const(5) >> stack.push)()
    assert (stack.peek >> (identity * stack.push))()[0] == 5
    assert stack.snapshot() == [5, 5]


def test_a_method_can_be_kept() -> None:
    stack: Stack[int] = Stack()
    push, pop = stack.push, stack.pop
    del stack
    push(1)
    push(2)
    assert (pop(), pop()) == (2, 1)


def test_unbound() -> None:
    stack = Stack([1])
    Stack.push(stack, 2)
    assert Stack.pop(stack) == 2


def test_two_stacks_are_two() -> None:
    a, b = Stack([1]), Stack([2])
    assert a.pop != b.pop
    assert (a.pop(), b.pop()) == (1, 2)


def test_can_be_subclassed() -> None:
    class Named(Stack[int]):
        name = "jobs"

        def push_twice(self, x: int) -> None:
            self.push(x)
            self.push(x)

    stack = Named([1])
    stack.push_twice(2)
    assert (stack.snapshot(), stack.name) == ([2, 2, 1], "jobs")


def test_does_not_change_the_reference_count_of_what_passed_through() -> None:
    import sys

    item = object()
    before = sys.getrefcount(item)
    stack: Stack[object] = Stack()
    for _ in range(100):
        stack.push(item)
        assert stack.pop() is item
    assert sys.getrefcount(item) == before


operations = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.integers()),
        st.tuples(st.sampled_from(["pop", "pop_nowait", "peek", "snapshot", "len", "bool"])),
    ),
    max_size=50,
)


@given(operations)
def test_behaves_like_a_list(steps: list[tuple[Any, ...]]) -> None:
    stack: Stack[int] = Stack()
    model: list[int] = []
    for name, *args in steps:
        if name == "push":
            stack.push(*args)
            model.append(*args)
        elif name == "snapshot":
            assert stack.snapshot() == model[::-1]
        elif name == "len":
            assert len(stack) == len(model)
        elif name == "bool":
            assert bool(stack) == bool(model)
        elif not model:
            with pytest.raises(lockfree.Empty):
                stack.pop_nowait() if name == "pop_nowait" else getattr(stack, name)(block=False)
        else:
            expected = model[-1] if name == "peek" else model.pop()
            assert getattr(stack, name)() == expected
    assert stack.snapshot() == model[::-1]


def test_each_item_is_popped_once() -> None:
    stack: Stack[int] = Stack()
    rounds = 5_000 * STRESS

    def worker(i: int) -> list[int]:
        popped = []
        for n in range(i * rounds, (i + 1) * rounds):
            stack.push(n)
            if n % 2:
                popped.append(stack.pop())
                popped.append(stack.pop_nowait())
        return popped

    results = race(*(lambda i=i: worker(i) for i in range(3)))
    assert sorted(chain.from_iterable(results)) == list(range(3 * rounds))
    assert not stack


def test_snapshot_is_of_one_moment() -> None:
    """Items are pushed in order and removed from the top, so every true snapshot is a run of numbers down to 0."""
    stack: Stack[int] = Stack()

    def grow_and_shrink() -> None:
        for n in range(20):
            stack.push(n)
        for _ in range(20):
            stack.pop()

    def look() -> None:
        for _ in range(2_000 * STRESS):
            seen = stack.snapshot()
            assert seen == list(range(len(seen)))[::-1]

    race(look, meanwhile=[grow_and_shrink])
