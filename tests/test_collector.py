"""Cyclic garbage through refs, structures and reagents is collected; large ones are freed without recursion."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from lockfree import AtomicInt, Queue, Stack
from racing import NESTING_DESTRUCTORS, STRESS, Background, Parked, in_small_stack, race, soon
from reagents import Ref, attempt, choice, computed, const, guard, lift, post_commit, together


class Token:
    """Something that can be in a cycle and whose death can be seen."""

    link: Any = None

    def __call__(self, *args: Any) -> Any:
        return args[0] if args else None


def ref_in_itself(token: Token) -> Any:
    ref: Ref[Any] = Ref(None)
    ref.set([ref, token])
    return ref


def stack_in_itself(token: Token) -> Any:
    stack: Stack[Any] = Stack([token])
    stack.push(stack)
    return stack


def queue_in_itself(token: Token) -> Any:
    queue: Queue[Any] = Queue()
    queue.put(token)
    queue.put(queue)
    return queue


def queue_that_has_moved_on(token: Token) -> Any:
    queue: Queue[Any] = Queue()
    for _ in range(10):
        queue.put(token)
        queue.get()
    queue.put([queue, token])
    return queue


CYCLES: dict[str, Callable[[Token], Any]] = {
    "ref": ref_in_itself,
    "stack": stack_in_itself,
    "queue": queue_in_itself,
    "used queue": queue_that_has_moved_on,
    "ref, stack and queue": lambda token: Ref(Stack([stack_in_itself(token), queue_in_itself(token)])),
    "lift": lambda token: lift(token),
    "guard": lambda token: guard(token),
    "computed": lambda token: computed(token),
    "post_commit": lambda token: post_commit(token),
    "const": lambda token: const(token),
    "upd": lambda token: Ref(0).upd(token),
    "cas": lambda token: Ref(0).cas(token, token),
    "attempt": lambda token: attempt(lift(len), token),
    "reagent of its ref": lambda token: Ref(token).read,
    "reagent method": lambda token: Stack([token]).pop,
    "atomic int": lambda token: AtomicInt(0).upd(token),
    ">>": lambda token: lift(len) >> (lift(token) >> lift(len)),
    "+": lambda token: lift(len) + (lift(token) + lift(len)),
    "*": lambda token: lift(len) * (lift(token) * lift(len)),
    "choice": lambda token: choice(lift(len), lift(token)),
    "together": lambda token: together(lift(len), lift(token)),
}


@pytest.mark.parametrize("name", sorted(CYCLES))
def test_cycle_is_collected(name: str) -> None:
    token = Token()
    gone = weakref.ref(token)
    token.link = CYCLES[name](token)
    assert gc.is_tracked(token.link)
    del token
    soon(lambda: gc.collect() or gone() is None, "the cycle's collection")


@pytest.mark.parametrize("name", sorted(CYCLES))
def test_freed_without_the_collector_where_there_is_no_cycle(name: str) -> None:
    if name in {"stack", "queue", "ref", "used queue", "ref, stack and queue"}:
        pytest.skip("a cycle in itself")
    gc.collect()
    gc.disable()
    try:
        token = Token()
        gone = weakref.ref(token)
        thing = CYCLES[name](token)
        del token
        assert gone() is not None, "it must be the thing that keeps it"
        del thing
        soon(lambda: churn() or gone() is None, "its end", timeout=20)
    finally:
        gc.enable()


def churn() -> None:
    """Without a GIL what words give up is dropped late: time passes for it by operations."""
    ref = Ref(0)
    for i in range(500):
        ref.set([i])


def test_what_lives_is_not_collected() -> None:
    stack, queue, ref = Stack([[1]]), Queue(), Ref([3])
    queue.put([2])
    reagent = const([4]) >> (lambda x: [*x, 5])
    for _ in range(3):
        gc.collect()
    assert (stack.pop(), queue.get(), ref.get(), reagent()) == ([1], [2], [3], [4, 5])


def test_members_are_visible_to_the_collector() -> None:
    item = [1]
    queue: Queue[Any] = Queue()
    queue.put(item)
    for holder in (Ref(item), Stack([item]), queue, const(item)):
        assert any(found is item for found in gc.get_referents(holder)), holder


MILLION = 1_000_000


@pytest.mark.parametrize("how", ["by reference count", "by the collector", "by emptying"])
@pytest.mark.parametrize("kind", [Stack, Queue])
def test_a_million_elements_are_freed_without_recursion(kind: Any, how: str) -> None:
    def fill_and_drop() -> None:
        structure = kind()
        add = structure.push if kind is Stack else structure.put
        first, last = Token(), Token()
        gone = weakref.ref(first), weakref.ref(last)
        add(first)
        for i in range(MILLION):
            add(i)
        add(last)
        del add
        if how == "by the collector":
            last.link = structure
        elif how == "by emptying":
            remove = structure.pop_nowait if kind is Stack else structure.get_nowait
            for _ in range(MILLION + 2):
                remove()
            del remove
            assert len(structure) == 0
        del first, last
        if how != "by emptying":
            del structure
        soon(lambda: gc.collect() or (gone[0]() is None and gone[1]() is None), "the end of all elements")

    in_small_stack(fill_and_drop)


def test_a_long_chain_of_structures_is_freed_without_recursion() -> None:
    """Each holds the next one, a hundred thousand deep."""

    def build_and_drop() -> None:
        token = Token()
        gone = weakref.ref(token)
        chain: Any = token
        del token
        for i in range(100_000):
            if i % 3 == 0:
                chain = Ref(chain)
            elif i % 3 == 1:
                chain = Stack([chain])
            else:
                queue: Queue[Any] = Queue()
                queue.put(chain)
                chain, queue = queue, Queue()
        assert gone() is not None
        del chain
        soon(lambda: churn() or gc.collect() or gone() is None, "the end of the chain")

    in_small_stack(build_and_drop, (2048 if NESTING_DESTRUCTORS else 256) * 1024)


def test_collecting_while_others_work() -> None:
    """The collector walks structures that change under it; nothing is collected that is in one."""
    stack: Stack[Any] = Stack()
    queue: Queue[Any] = Queue()
    move = stack.pop >> queue.put

    def worker(i: int) -> None:
        for n in range(1_000 * STRESS):
            token = Token()
            token.link = [stack, token, (i, n)]
            stack.push(token)
            del token
            move()
            found = queue.get()
            assert found.link[1] is found

    race(lambda: worker(0), lambda: worker(1), meanwhile=[gc.collect])
    assert not stack
    assert queue.empty()


@pytest.mark.parametrize("make", [lambda: Ref(0), Stack, Queue, AtomicInt, lambda: const(1), lambda: Ref(0).read])
def test_weak_references(make: Any) -> None:
    thing, calls = make(), []
    watch = weakref.ref(thing, calls.append)
    assert watch() is thing
    del thing
    soon(lambda: churn() or watch() is None, "the end of the thing")
    assert calls == [watch]


def test_a_waiting_reaction_keeps_what_it_waits_for() -> None:
    """A word that only a waiting reaction knows does not go away under it."""
    token, parked = Token(), Parked()
    gone = weakref.ref(token)
    ref = Ref(token)
    word = weakref.ref(ref)
    waiting = Background(ref.read >> guard(lambda value: value is None))
    del ref, token
    parked.wait_for()
    gc.collect()
    assert gone() is not None
    word().set(None)
    assert waiting.result() is None
    del waiting
    soon(lambda: churn() or gc.collect() or gone() is None, "the end of the old value")
