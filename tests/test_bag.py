"""`lockfree.Bag`."""

from __future__ import annotations

import gc
import inspect
import weakref
from queue import Empty
from typing import Any

import pytest

from conventions import check_reagent_method, check_type
from lockfree import Bag, Stack
from no_memory import Case, check
from racing import STRESS, Background, eager_switching, race, soon
from reagents import Ref, attempt, const, guard, never


def test_conventions() -> None:
    check_type(Bag, Bag)
    b: Bag[int] = Bag()
    for method in (b.put, b.get):
        check_reagent_method(method)
    assert list(inspect.signature(Bag.get).parameters) == ["self", "block", "timeout"]
    assert list(inspect.signature(Bag.put).parameters) == ["self", "item", "block", "timeout"]


def test_what_was_put_by_any_thread_comes_out() -> None:
    b: Bag[int] = Bag([0])
    race(*(lambda i=i: b.put(i) for i in range(1, 7)))
    (const(7) >> b.put)()
    assert sorted(b) == sorted(b.snapshot()) == list(range(8))
    assert (7 in b, 8 in b, len(b)) == (True, False, 8)
    assert (b.get >> guard(lambda x: True))() in range(8)
    assert len([b.get_nowait() for _ in range(7)]) == 7
    for call in (b.get_nowait, lambda: b.get(block=False), lambda: b.get(timeout=1e-3)):
        with pytest.raises(Empty):
            call()
    assert attempt(b.get, "none")() == "none"


def test_a_reaction_sees_its_own() -> None:
    b: Bag[str] = Bag()
    assert (const("a") >> b.put >> b.get)() == "a"
    assert attempt(const("a") >> b.put >> b.get >> b.get, "blocks")() == "blocks"
    assert attempt(const("a") >> b.put >> guard(lambda x: False), "blocks")() == "blocks"
    assert len(b) == 0


def test_getters_wait() -> None:
    b: Bag[int] = Bag()
    waiting = [Background(b.get), Background(lambda: (b.get >> int)()), Background(lambda: b.get(timeout=60))]
    b.put(1)
    (const(2) >> b.put)()
    b.put(3)
    assert sorted(w.result() for w in waiting) == [1, 2, 3]


def test_cycles_are_collected() -> None:
    class Token:
        pass

    token = Token()
    gone = weakref.ref(token)
    b: Bag[Any] = Bag([token])
    b.put(b)
    del b, token
    soon(lambda: gc.collect() or gone() is None, "the cycle's collection")


def test_empty_is_said_of_one_instant() -> None:
    """An item goes from hand to hand, put back before it is taken: there is always one, whoever looks."""
    b: Bag[Any] = Bag([0])

    def pass_on() -> None:
        for _ in range(1500 * STRESS):
            b.put(1)
            assert b.get_nowait() in (0, 1)

    def look() -> None:
        for _ in range(400 * STRESS):
            assert len(b) >= 1
            assert len(b.snapshot()) >= 1

    with eager_switching():
        race(pass_on, pass_on, pass_on, look)
    assert len(b) == 1


def test_everything_comes_out_once() -> None:
    b: Bag[tuple[int, int]] = Bag()
    other: Stack[tuple[int, int]] = Stack()
    moves: Ref[int] = Ref(0)
    n = 1500 * STRESS

    def work(seed: int) -> list[tuple[int, int]]:
        got = []
        for i in range(n):
            (b.put if i % 3 else const((seed, i)) >> b.put)((seed, i))
            if i % 2:
                got.append(b.get())
            elif i % 5 == 0:
                attempt(b.get >> other.push >> const(1) >> moves.add)()
        return got

    with eager_switching():
        results = race(*(lambda seed=seed: work(seed) for seed in range(3)))
    everything = [x for r in results for x in r] + list(b) + list(other)
    assert sorted(everything) == [(seed, i) for seed in range(3) for i in range(n)]
    assert moves.get() == len(other)


def on_a_bag(operation: Any) -> Case:
    def case(token: Any) -> Any:
        bag: Bag[Any] = Bag([1, token, 2])
        return lambda: operation(bag, token), lambda: sorted(map(str, bag))

    return case


WITHOUT_MEMORY = {
    "put": lambda b, t: b.put(t),
    "get": lambda b, t: b.get(),
    "snapshot": lambda b, t: len(b.snapshot()),
    "composed": lambda b, t: (const(t) >> b.put >> const(t) >> b.put >> b.get)(),
    "rolled back": lambda b, t: ((b.get >> b.put >> b.get >> never) + const(5))(),
}


@pytest.mark.parametrize("name", WITHOUT_MEMORY)
def test_without_memory(name: str) -> None:
    check(on_a_bag(WITHOUT_MEMORY[name]))
