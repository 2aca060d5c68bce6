"""`lockfree.Deque`: its reagents, what it does that collections.deque does not, and threads. The rest of its interface:
test_deque_cpython.py."""

from __future__ import annotations

import copy
import gc
import inspect
import pickle
import threading
import weakref
from collections import deque
from collections.abc import MutableSequence
from functools import partial
from random import Random
from typing import Any

import pytest

from conventions import check_reagent_method
from lockfree import Deque, Empty, Stack
from no_memory import Case, check
from racing import STRESS, Background, eager_switching, race, soon
from reagents import Reagent, attempt, const, guard, identity, post_commit


def test_conventions() -> None:
    d: Deque[int] = Deque([1])
    for method in (d.append, d.appendleft, d.pop, d.popleft):
        check_reagent_method(method)
    assert Deque.__module__ == "lockfree"
    assert Deque[int].__origin__ is Deque  # type: ignore[attr-defined]
    assert isinstance(d, MutableSequence)
    assert list(inspect.signature(Deque.pop).parameters) == ["self", "block", "timeout"]
    with pytest.raises(TypeError, match="cannot pickle 'Deque' object"):
        pickle.dumps(d)
    assert copy.copy(d) == d
    assert copy.copy(d) is not d
    gone = weakref.ref(d)
    del d, method
    soon(lambda: gc.collect() or gone() is None, "its end")


def test_the_same_as_a_deque_one_step_at_a_time() -> None:
    """Everything that changes it, direct and in reactions of up to six steps, against collections.deque."""
    random = Random(7)
    for maxlen in [None, None, None, 0, 1, 2, 5] * 30:
        ours: Deque[Any] = Deque((), maxlen)
        theirs: deque[Any] = deque(maxlen=maxlen)
        for i in range(50):
            what = random.randrange(9)
            if what < 3:
                ends = random.choices(["append", "appendleft", "pop", "popleft"], k=random.randrange(1, 7))
                step, after, value = const(None), theirs.copy(), None
                for end in ends:
                    if end.startswith("append"):
                        step, value = step >> const((i, end)) >> getattr(ours, end), None
                        getattr(after, end)((i, end))
                    else:
                        step = step >> getattr(ours, end)
                        if not after:
                            break
                        value = getattr(after, end)()
                else:
                    theirs = after
                    assert step() == value
                    continue
                assert attempt(step, "blocked")() == "blocked"
            elif what == 3:
                for d in (ours, theirs):
                    d.append(i)
                    d.appendleft(-i)
            elif what == 4 and theirs:
                assert ours.pop() == theirs.pop()
            elif what == 5 and theirs:
                assert ours.popleft() == theirs.popleft()
            elif what == 6:
                items, left = range(random.randrange(4)), random.random() < 0.5
                for d in (ours, theirs):
                    d.extendleft(items) if left else d.extend(items)
            elif what == 7:
                by = random.choice([1, -1, random.randrange(-6, 7)])
                ours.rotate(by), theirs.rotate(by)
            elif what == 8 and theirs:
                at = random.randrange(-len(theirs), len(theirs))
                assert ours[at] == theirs[at]
                ours[at] = theirs[at] = i
            assert list(ours) == list(theirs)
            assert len(ours) == len(theirs)


def test_pop_of_an_empty_one() -> None:
    d: Deque[int] = Deque()
    for pop in (d.pop, d.popleft):
        for arguments in ({}, {"block": False}, {"timeout": None}, {"timeout": 0}, {"block": True, "timeout": 1e-3}):
            with pytest.raises(Empty):
                pop(**arguments)
        with pytest.raises(TimeoutError):
            (pop >> identity)(timeout=1e-3)
        for arguments in ({"block": True}, {"timeout": 60}, {"block": True, "timeout": 60}):
            waiting = Background(partial(pop, **arguments))
            d.append(5)
            assert waiting.result() == 5
        waiting = Background(pop >> identity)
        d.append(6)
        assert waiting.result() == 6
    with pytest.raises(TypeError):
        d.pop(1, 2, 3)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        d.append()  # type: ignore[call-arg]


def test_each_item_that_comes_wakes_one() -> None:
    d: Deque[int] = Deque()
    waiting = [Background(lambda: d.popleft(block=True)) for _ in range(6)]
    d.append(1)
    d.extend([2, 3])
    d.extendleft([4])
    (const(5) >> d.append >> const(6) >> d.appendleft)()
    assert sorted(w.result() for w in waiting) == [1, 2, 3, 4, 5, 6]


def test_a_reaction_that_does_not_happen_leaves_it_alone() -> None:
    d: Deque[int] = Deque([1, 2, 3])
    changes = const(9) >> d.append >> const(8) >> d.appendleft >> d.pop >> d.popleft >> d.pop
    assert attempt(changes >> guard(lambda x: False), "no")() == "no"
    assert d.snapshot() == [1, 2, 3]
    assert ((changes >> guard(lambda x: False)) + d.popleft)() == 1
    with pytest.raises(ZeroDivisionError):
        (changes >> (lambda x: 1 // 0))()
    assert d.snapshot() == [2, 3]
    seen: list[int] = []
    (d.popleft >> post_commit(seen.append) >> d.appendleft)()
    assert (seen, d.snapshot()) == ([2], [2, 3])


def test_iteration_is_over_one_instant() -> None:
    d = Deque(range(5))
    seen = []
    for x in d:
        d.append(x)
        d.popleft()
        seen.append(x)
    assert seen == [0, 1, 2, 3, 4] == list(d)
    assert list(reversed(d)) == [4, 3, 2, 1, 0]


class Hostile:
    """Changes the deque from wherever it is called."""

    def __init__(self, d: Deque[Any]) -> None:
        self.deque = d

    def __eq__(self, other: object) -> bool:
        self.deque.append(0)
        self.deque.popleft()
        return False

    def __repr__(self) -> str:
        self.deque.rotate()
        return "hostile"

    def __del__(self) -> None:
        self.deque.append("gone")


def test_python_code_in_the_middle() -> None:
    d: Deque[Any] = Deque()
    for call in (
        lambda: d.count(2),
        lambda: 2 in d,
        lambda: d.index(2),
        lambda: d == deque([3, 4, 5]),
        lambda: repr(d),
    ):
        d.extend([1, Hostile(d), 2])
        call()
        d.clear()
        soon(lambda: Deque([1]).pop() and "gone" in d, "the destructor")
        d.clear()
    assert not d


def test_errors_of_comparison_change_nothing() -> None:
    class Bad:
        def __eq__(self, other: object) -> bool:
            raise ZeroDivisionError

    d: Deque[Any] = Deque([1, Bad(), 2])
    before = [id(x) for x in d]
    for call in (
        lambda: d.remove(2),
        lambda: d.index(2),
        lambda: d.count(2),
        lambda: 2 in d,
        lambda: d == deque([1, 2, 3]),
    ):
        with pytest.raises(ZeroDivisionError):
            call()
    assert [id(x) for x in d] == before


def test_cycles_are_collected() -> None:
    class Token:
        pass

    for pushes in (1, 3):
        token = Token()
        gone = weakref.ref(token)
        d: Deque[Any] = Deque([0])
        for _ in range(pushes):  # the links of the last reaction are still unset when the collector comes
            (const(token) >> d.append >> const(d) >> d.appendleft >> const(token) >> d.append)()
        d.popleft(), d.pop()
        del d, token
        soon(lambda gone=gone: gc.collect() or gone() is None, "the cycle's collection")  # type: ignore[misc]


def test_a_long_chain_of_them_goes() -> None:
    chain: Any = None
    for _ in range(100_000):
        chain = Deque([chain])
    del chain


def on_a_deque(operation: Any, maxlen: int | None) -> Case:
    def case(token: Any) -> Any:
        d: Deque[Any] = Deque([1, token, 2], maxlen)
        return lambda: operation(d, token), d.snapshot

    return case


# Made outside: CPython 3.12 and 3.13 do not survive a lambda that finds no memory.
refused: Reagent[Any, Any] = guard(lambda x: False)
WITHOUT_MEMORY = {
    "append": lambda d, t: d.append(t),
    "pop": lambda d, t: d.pop(),
    "popleft": lambda d, t: d.popleft(timeout=1.5),
    # What is in C of these: an error that passes a function in Python may be kept by the interpreter, and its frames.
    "rotate": lambda d, t: d._turn(True),
    "extend": lambda d, t: d._add_all((t, t), d.maxlen is None) if d.maxlen is None else d.append(t),
    "clear": lambda d, t: d.clear(),
    "item": lambda d, t: d[1],
    "composed pushes": lambda d, t: (const(t) >> d.append >> const(t) >> d.appendleft)(),
    "turn": lambda d, t: (d.popleft >> d.append)(),
    "rolled back": lambda d, t: ((d.popleft >> d.append >> d.pop >> refused) + const(5))(),
}


@pytest.mark.parametrize("maxlen", [None, 3])
@pytest.mark.parametrize("name", WITHOUT_MEMORY)
def test_without_memory(name: str, maxlen: int | None) -> None:
    check(on_a_deque(WITHOUT_MEMORY[name], maxlen))


def churn(d: Deque[Any], seed: int, count: int) -> tuple[list[Any], list[Any]]:
    random = Random(seed)
    put: list[Any] = []
    got: list[Any] = []
    none = object()
    pops = [attempt(d.pop, none), attempt(d.popleft, none), lambda: d.pop() if d else none]
    for i in range(count):
        what = random.randrange(9)
        if what < 4:
            put.append((seed, i))
            [d.append, d.appendleft, const((seed, i)) >> d.append, lambda x: d.extend([x])][what]((seed, i))
        elif what < 7:
            try:
                got.append(pops[what - 4]())
            except IndexError:
                continue
            if got[-1] is none:
                got.pop()
        elif what == 7:
            attempt(d.pop >> d.appendleft)()
        else:
            d.rotate(random.choice([1, -1, 2]))
            len(d), d.snapshot()
    return put, got


def test_everything_comes_out_once() -> None:
    with eager_switching():
        d: Deque[Any] = Deque()
        results = race(*(lambda seed=seed: churn(d, seed, 3000 * STRESS) for seed in range(3)), meanwhile=[gc.collect])
    put = sorted(x for p, _ in results for x in p)
    got = sorted([x for _, g in results for x in g] + list(d))
    assert put == got


def test_moves_between_deques_lose_nothing() -> None:
    a, b = Deque(range(20)), Deque(range(20, 40))

    def move(source: Deque[int], target: Deque[int]) -> None:
        for _ in range(1500 * STRESS):
            attempt(source.popleft >> target.append)()
            attempt(target.pop >> source.appendleft)()

    def swap() -> None:
        for _ in range(500 * STRESS):
            pair = attempt(a.pop * b.popleft)()
            if pair:
                assert pair[0] != pair[1]
                (const(pair[0]) >> a.appendleft >> const(pair[1]) >> b.append)()

    with eager_switching():
        race(lambda: move(a, b), lambda: move(b, a), swap)
    assert sorted([*a, *b]) == list(range(40))


def test_a_bounded_one_never_holds_more() -> None:
    d: Deque[int] = Deque(maxlen=3)

    def fill(seed: int) -> None:
        for i in range(2000 * STRESS):
            d.append(i) if (i + seed) % 2 else d.appendleft(i)
            assert len(d) <= 3
            if i % 64 == 0:
                (const(i) >> d.append >> const(i) >> d.append)()
                assert len(d.snapshot()) <= 3

    with eager_switching():
        race(*(lambda seed=seed: fill(seed) for seed in range(3)))
    assert len(d) == 3


def test_snapshots_under_way() -> None:
    """The items stand in a row that others turn; whatever is seen is a turn of it."""
    n = 300
    d = Deque(range(n))
    over = threading.Event()

    def turn() -> None:
        while not over.is_set():
            d.rotate(1)
            (d.popleft >> d.append)()
            d.rotate(-1)

    def look() -> None:
        try:
            for _ in range(150 * STRESS):
                row = d.snapshot()
                assert row == [(row[0] + i) % n for i in range(n)]
                assert d[0] in range(n)
                assert len(d) == n
        finally:
            over.set()

    with eager_switching():
        race(look, turn, turn)


def test_subclass_and_stack() -> None:
    class Mine(Deque[int]):
        def append(self, item: int) -> None:  # type: ignore[override]
            super().append(item + 1)

    mine = Mine()
    mine.append(1)
    s: Stack[int] = Stack()
    (mine.pop >> s.push)()
    assert s.pop() == 2


def test_what_comparing_raises_is_what_is_raised() -> None:
    class Incomparable:
        def __eq__(self, other: object) -> bool:
            raise ValueError("neither equal nor not")

        __hash__ = None  # type: ignore[assignment]

    d: Deque[Any] = Deque([Incomparable(), 1])
    for call in (lambda: d.index(1), lambda: d.remove(1), lambda: d.count(1), lambda: 1 in d):
        with pytest.raises(ValueError, match="neither equal nor not"):
            call()
    assert len(d) == 2
    e = Deque("abcb")
    for args in ((), (0,), (2,), (1, 2), (-1,), (-4, -2), (9,), (0, -9)):
        try:
            expected: Any = deque(e).index("b", *args)
        except ValueError:
            with pytest.raises(ValueError, match="'b' is not in deque"):
                e.index("b", *args)
        else:
            assert e.index("b", *args) == expected


@pytest.mark.parametrize("filled", ["item by item", "at once", "in reactions"])
def test_what_a_reaction_has_read_is_not_what_direct_calls_leave(filled: str) -> None:
    """The calls leave as many items as there were; the reaction, which has read them, must notice all the same."""
    d: Deque[int] = Deque([1, 2, 3] if filled == "at once" else ())
    for i in (1, 2, 3) if not d else ():
        (d.append if filled == "item by item" else d.append >> identity)(i)
    seen: list[int] = []

    def meanwhile(x: int) -> int:
        seen.append(x)
        if len(seen) == 1:
            d.append(9)
            assert d.popleft() == 1
        return x

    assert (d.pop >> meanwhile)() == 9
    assert seen == [3, 9]
    assert list(d) == [2, 3]
    assert (d.pop(), d.pop(), len(d)) == (3, 2, 0)
