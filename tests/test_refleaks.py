"""Nothing keeps a reference that it should have given up, and nothing gives up one that it did not have.

Each scenario takes a token through every role that it can have. Afterwards the token must be dead; and after many
repetitions the interpreter must hold as many blocks (and, in a debug build, references) as before.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from lockfree import AtomicInt, Counter, Map, Queue, Set, SortedMap, Stack
from racing import race, settle, soon
from reagents import BLOCK, Ref, attempt, choice, computed, const, guard, identity, lift, never, post_commit, together


class Token:
    """An object with a weak reference, that can also be a function."""

    def __call__(self, *args: Any) -> Any:
        return self


class Failure(Exception):
    pass


def fail_with(token: Token) -> Callable[..., Any]:
    def fail(*_: Any) -> Any:
        raise Failure(token)

    return fail


def expecting(error: type[BaseException], run: Callable[[], Any]) -> None:
    with contextlib.suppress(error):
        run()
        raise AssertionError(f"{error.__name__} expected")


def blocks(run: Callable[..., Any]) -> None:
    expecting(TimeoutError, lambda: run(timeout=0))


def ref_methods(t: Token) -> None:
    ref: Ref[Any] = Ref(t)
    ref.get(), ref.set(t), ref.swap(t), ref.compare_and_set(t, t), ref.compare_and_set(None, t)
    ref.update(lambda old: t)
    expecting(Failure, lambda: ref.update(fail_with(t)))
    expecting(TypeError, lambda: ref.add(t))


def ref_reagents(t: Token) -> None:
    ref: Ref[Any] = Ref(t)
    ref.read(t), ref.write(t), ref.swap(t), ref.cas(t, t)(t), ref.upd(lambda old, x: (t, (old, x)))(t)
    blocks(ref.cas(None, t))
    blocks(ref.upd(lambda old, x: BLOCK))
    expecting(TypeError, ref.upd(lambda old, x: t))
    expecting(Failure, ref.upd(fail_with(t)))
    (const(t) >> ref.write >> ref.swap >> identity >> ref.read)()


def values_by_value(t: Token) -> None:
    for make in (lambda: 10**30, lambda: "ab" * 20 + str(id(t)), lambda: b"ab" * 20):
        ref: Ref[Any] = Ref(make())
        assert ref.compare_and_set(make(), t)
        ref.set(make())
        ref.cas(make(), t)()


def stack_methods(t: Token) -> None:
    stack: Stack[Any] = Stack([t, t])
    stack.push(t), stack.peek(), stack.pop(), stack.pop_nowait(), stack.snapshot(), list(stack), repr(stack)
    (const(t) >> stack.push >> stack.pop >> stack.push)()
    (stack.peek * stack.pop)()
    stack.pop()
    blocks(stack.pop >> identity)
    expecting(IndexError, stack.pop_nowait)
    stack.push(t)


def queue_methods(t: Token) -> None:
    queue: Queue[Any] = Queue()
    queue.put(t), queue.put_nowait(t), queue.peek(), queue.get(), queue.get_nowait(), repr(queue)
    (const(t) >> queue.put >> (lambda _: t) >> queue.put >> queue.peek * queue.get)()
    queue.get()
    blocks(queue.get >> identity)
    expecting(TypeError, lambda: queue.get(timeout=t))
    queue.put(t)


def numbers(t: Token) -> None:
    number, counter = AtomicInt(5), Counter(5)
    number.add(10**9), number.get(), number.swap(10**12), number.compare_and_set(1, 2), number.update(lambda n: n + 1)
    expecting(TypeError, lambda: number.set(t))
    expecting(TypeError, lambda: counter.add(t))
    number.set(2**62 - 1)
    expecting(OverflowError, lambda: number.add(10**10))
    number.set(1)
    counter.add(), counter.value()
    (number.get >> number.add >> counter.add >> counter.value >> (lambda _: t))()


def combinators(t: Token) -> None:
    lifted = (lift(t), guard(t), computed(lambda _: const(t)), t >> identity)
    for reagent in (const(t), identity, attempt(never, t), *lifted):
        reagent(t), repr(reagent)
    (lift(t) >> t >> lift(t))(t)
    ((never + lift(t)) >> t)(t)
    (lift(t) * lift(t))(t), together(lift(t), identity)(t), choice(never, lift(t), identity)(t)
    expecting(RuntimeError, lambda: guard(lambda x: False)(t))
    expecting(TypeError, lambda: identity + t)
    expecting(TypeError, lambda: together(identity, t))


def failures(t: Token) -> None:
    ref, stack = Ref(t), Stack([t])
    for make in (lift, guard, computed, post_commit):
        before = stack.pop >> ref.swap >> stack.push >> const(t)
        expecting(ExceptionGroup if make is post_commit else Failure, before >> make(fail_with(t)))
        stack.push(t)
    expecting(TypeError, stack.pop >> computed(lambda _: 5))


def rollbacks(t: Token) -> None:
    ref, stack, queue = Ref(t), Stack([t]), Queue()
    queue.put(t)
    work = const(t) >> ref.swap >> stack.push >> queue.get >> queue.put >> stack.pop >> post_commit(t)
    ((work >> never) + (work >> guard(lambda x: False)) + const(t))()
    attempt(work >> never, t)()
    ((const(t) + const(t)) >> ref.swap >> guard(lambda x: False) >> ref.write >> never) + const(t)


def maps(t: Token) -> None:
    m: Map[Any, Any] = Map()
    s: Set[Any] = Set([t])
    m[t] = m["a"] = t
    m.at("b").write(t), m.at("a").remove()
    m.setdefault("a", t), m.get_or_compute("d", t), m.compare_and_set("d", t, t), m.pop("d")
    m.snapshot(), list(m.items())
    expecting(Failure, m.at("b").upd(fail_with(t)))
    blocks(m.at(t).cas(None, t) >> m.at("e").remove)
    (attempt(m.at("f").write >> m.at("e").remove) >> s.at(t).remove >> s.at("g").write)(t)
    m.popitem(), m.clear(), s.pop(), repr(m), s.snapshot()


def sorted_map(t: Token) -> None:
    m: SortedMap[Any, Any] = SortedMap(a=t, c=t)
    m["b"] = m["a"] = t
    m.setdefault("d", t), m.compare_and_set("d", t, t), m.pop("d"), m.snapshot("a", "c"), list(reversed(m.items()))
    m.at("x").write(t), m.at("a").remove(), m.min(), m.max("a", "c"), m.pop_max()
    expecting(Failure, m.at("b").upd(fail_with(t)))
    expecting(TypeError, lambda: m.get(t))
    expecting(TypeError, m.at(t).read)
    blocks(m.between("d", "e").min >> m.at("e").remove)
    (attempt(m.at("f").write >> m.at("e").remove) >> m.at("f").write >> m.pop_min)(t)
    m.pop_min(), m.clear(), repr(m)


def threads(t: Token) -> None:
    ref, stack, queue = Ref(t), Stack([t]), Queue()

    def worker() -> None:
        threading.local().token = t
        for _ in range(20):
            ref.set(t), stack.push(t), (stack.pop >> queue.put >> queue.get >> ref.swap)()

    race(worker, worker)


SCENARIOS = [
    ref_methods,
    ref_reagents,
    values_by_value,
    stack_methods,
    queue_methods,
    numbers,
    maps,
    sorted_map,
    combinators,
    failures,
    rollbacks,
    threads,
]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_no_reference_is_kept(scenario: Callable[[Token], None]) -> None:
    token = Token()
    gone = weakref.ref(token)
    scenario(token)
    del token
    soon(lambda: settle() or gone() is None, f"the token's end after {scenario.__name__}", timeout=20)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_no_reference_is_given_up_that_was_not_held(scenario: Callable[[Token], None]) -> None:
    token = Token()
    settle()
    before = sys.getrefcount(token)
    for _ in range(20):
        scenario(token)
    soon(lambda: settle() or sys.getrefcount(token) <= before, "the references' end", timeout=20)
    assert sys.getrefcount(token) == before


def blocks_in_use() -> int:
    settle()
    return sys.getallocatedblocks()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_repetition_does_not_grow(scenario: Callable[[Token], None]) -> None:
    """A leak of one block a repetition would show as hundreds in each round; pools fill up once."""
    repetitions = 20 if scenario is threads else 400
    total = getattr(sys, "gettotalrefcount", blocks_in_use)
    rounds = []
    for _ in range(5):
        before = blocks_in_use(), total()
        for _ in range(repetitions):
            scenario(Token())
        after = blocks_in_use(), total()
        rounds.append(max(late - early for early, late in zip(before, after, strict=True)))
        if rounds[-1] < max(repetitions // 4, 60):
            return
    raise AssertionError(f"grows by {rounds} in {repetitions} repetitions each")
