"""`lockfree.SortedMap`: a mapping in the order of its keys, whose operations on one key and on ranges compose."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import random
import sys
import time
import weakref
from collections.abc import MutableMapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conventions import check_reagent_method, check_signature
from lockfree import Map, Queue, SortedMap, Stack
from no_memory import check as check_without_memory
from racing import GIL, STRESS, Background, examples, parked, race, settle, soon
from reagents import Ref, attempt, const, identity, reagent, stats


class Key:
    """Ordered by its number, in Python; may do something on the way."""

    def __init__(self, n: int, does: Any = None) -> None:
        self.n, self.does = n, does

    def __lt__(self, other: Key) -> bool:
        for key in (self, other):
            if key.does:
                key.does()
        return self.n < other.n

    __hash__ = None  # type: ignore[assignment]
    __eq__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Key({self.n})"


def plain(k: Any) -> Any:
    return k.n if isinstance(k, Key) else k


def number(n: int) -> int:
    return n


KINDS = pytest.mark.parametrize("kind", [number, Key, str, float])


def contents(m: SortedMap[Any, Any]) -> list[Any]:
    """What is in it, having checked that all ways to see it agree."""
    pairs = m.snapshot()
    assert list(m.items()) == pairs == list(reversed(m.items()))[::-1]
    assert len(m) == len(pairs)
    assert [k for k, _ in pairs] == list(m)
    return pairs


def test_conventions() -> None:
    m: SortedMap[str, int] = SortedMap(b=2, a=1)
    for method in ("min", "max", "pop_min", "pop_max", "snapshot"):
        check_reagent_method(getattr(m, method))
        check_signature(SortedMap, method, ["lo", "hi"])
    for name in ("read", "write", "remove"):
        check_reagent_method(getattr(m.at("a"), name))
    assert issubclass(SortedMap, MutableMapping)
    assert SortedMap.__module__ == "lockfree"
    with pytest.raises(TypeError, match="unhashable"):
        hash(m)
    assert not hasattr(m, "__dict__")
    assert repr(m) == "SortedMap({'a': 1, 'b': 2})"
    m["self"] = m  # type: ignore[assignment]
    assert "..." in repr(m)
    assert {
        "get",
        "setdefault",
        "pop",
        "popitem",
        "update",
        "keys",
        "values",
        "items",
        "copy",
        "fromkeys",
        "clear",
    } <= set(dir(m))


@KINDS
def test_in_order(kind: Any) -> None:
    m: SortedMap[Any, int] = SortedMap()
    keys = [kind(n) for n in random.Random(3).sample(range(100, 1000), 400)]
    for k in keys:
        m[k] = plain(k)
    want = sorted(plain(k) for k in keys)
    assert [plain(k) for k in m] == list(m.values()) == want
    assert [plain(k) for k in reversed(m)] == want[::-1]
    assert all(m[k] == plain(k) and k in m and m.get(kind(7)) is None for k in keys)
    lo, hi = kind(200), kind(700)
    for inclusive in ((False, False), (False, True), (True, False), (True, True)):
        above = [k for k in want if plain(lo) < k or (inclusive[0] and k == plain(lo))]
        inside = [k for k in above if k < plain(hi) or (inclusive[1] and k == plain(hi))]
        assert [plain(k) for k in m.irange(lo, hi, inclusive)] == inside
        assert [v for _, v in m.range(lo, hi, inclusive=inclusive, reverse=True)] == inside[::-1]
    for k in keys[::2]:
        del m[k]
    assert [v for _, v in contents(m)] == sorted(plain(k) for k in keys[1::2])


def test_ends() -> None:
    m = SortedMap({n: str(n) for n in range(5)})
    assert (m.min(), m.max()) == ((0, "0"), (4, "4"))
    assert (m.min(2), m.max(hi=2), m.min(lo=1, hi=2)) == ((2, "2"), (1, "1"), (1, "1"))
    assert (m.pop_min(3), m.pop_max(None, 2), m.popitem(), m.popitem(last=False)) == (
        (3, "3"),
        (1, "1"),
        (4, "4"),
        (0, "0"),
    )
    assert (m.peekitem(), m.peekitem(0), m.peekitem(-1)) == ((2, "2"),) * 3
    for missing in (lambda: m.min(3), lambda: m.max(hi=2), lambda: m.pop_min(2, 2), lambda: m.min(9, 1)):
        with pytest.raises(KeyError):
            missing()
    assert contents(m) == [(2, "2")]
    m.clear()
    for empty in (m.min, m.max, m.pop_min, m.pop_max, m.popitem):
        with pytest.raises(KeyError):
            empty()
    with pytest.raises(IndexError):
        m.peekitem(0)
    with pytest.raises(TypeError, match="at most 2"):
        m.min(1, 2, 3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected"):
        m.min(low=1)  # type: ignore[call-arg]


def test_the_rest_of_a_mapping() -> None:
    m: SortedMap[Any, Any] = SortedMap([("b", 2)], a=1)
    assert m | {"c": 3} == {"a": 1, "b": 2, "c": 3} == {"c": 3} | m
    assert isinstance({"c": 3} | m, SortedMap)
    m |= {"c": 3}
    assert (m.setdefault("a", 9), m.setdefault("d", 4), m.pop("d"), m.pop("d", None)) == (1, 4, 4, None)
    assert (m.compare_and_set("a", 1, 7), m.compare_and_set("a", 1, 8), m.compare_and_set("z", 1, 8)) == (
        True,
        False,
        False,
    )
    assert m.get_or_compute("a", len) == 7
    assert m.get_or_compute("long", len) == 4
    assert m.keys() & {"a", "z"} == {"a"}
    assert ("a", 7) in m.items()
    assert list(reversed(m.values())) == [4, 3, 2, 7]
    copy = m.copy()
    m.clear()
    assert copy == SortedMap({"a": 7, "b": 2, "c": 3, "long": 4}) != m
    assert SortedMap({1: 1}) != {"a": 1}
    assert SortedMap({1: 1}) != 5

    class Default(SortedMap[str, int]):
        def __missing__(self, key: str) -> int:
            return len(key)

    assert Default()["four"] == 4


def test_what_cannot_be_compared() -> None:
    m: SortedMap[Any, int] = SortedMap({1: 1, 5: 5})
    for wrong in ("a", None, 1j, []):
        for call in (
            lambda k: m[k],
            lambda k: m.__setitem__(k, 1),
            lambda k: m.pop(k, 0),
            lambda k: k in m,
            lambda k: m.at(k).get(),
            lambda k: m.at(k).write(1),
            lambda k: m.min(k) if k is not None else m[k],
            lambda k: list(m.range(hi=k)) if k is not None else m[k],
        ):
            with pytest.raises(TypeError, match="not supported"):
                call(wrong)
    for call in (m.get, m.at, lambda k: m.setdefault(k, 1), lambda k: k in m):
        with pytest.raises(ValueError, match="NaN"):
            call(math.nan)
    assert contents(m) == [(1, 1), (5, 5)]
    assert m[True] == m[1.0] == 1
    m[10**30] = m[-(10**30)] = m[2.5] = 0
    assert list(m) == [-(10**30), 1, 2.5, 5, 10**30]


def test_keys_that_raise_or_use_the_map() -> None:
    m: SortedMap[Key, int] = SortedMap((Key(n), n) for n in range(0, 60, 2))
    before = [v for _, v in contents(m)]

    class Wrong(Exception):
        pass

    calls = [0]

    def fail() -> None:
        calls[0] += 1
        if calls[0] == 2:
            raise Wrong

    for n in range(7, 60, 7):  # not the first, to find which may take one comparison
        for call in (
            m.get,
            lambda k: m.__setitem__(k, -1),
            m.pop,
            m.at(Key(n, fail)).get,
            m.min,
            m.at(Key(n, fail)).write,
        ):
            calls[0] = 0
            with pytest.raises(Wrong):
                call(Key(n, fail))  # type: ignore[operator]
    assert [v for _, v in contents(m)] == before

    busy: list[int] = []
    runs = itertools.count()

    def churn() -> None:
        if busy or next(runs) > 40:
            return  # its own comparisons, or enough
        busy.append(1)
        for n in range(0, 60, 2):
            m.pop(Key(n), None)
        for n in range(1, 60, 2):
            m[Key(n)] = n
        busy.clear()

    assert m.get(Key(31, churn)) in (31, None)
    m[Key(30, churn)] = 30
    m.pop(Key(30, churn), None)
    runs = itertools.count()
    churn()
    assert [v for _, v in contents(m)] == list(range(1, 60, 2))
    (m.at(Key(4, churn)).write >> m.at(Key(4)).remove)(1)
    assert [v for _, v in contents(m)] == list(range(1, 60, 2))


def test_order_without_sense_does_no_harm() -> None:
    rnd = random.Random(5)

    class Mad:
        def __lt__(self, other: object) -> bool:
            return rnd.random() < 0.5

    m: SortedMap[Mad, int] = SortedMap()
    for n in range(300):
        m[Mad()] = n
        if n % 3 == 0:
            m.pop(Mad(), None)
    assert len(list(m)) == len(m)
    m.clear()
    assert list(m) == []


@settings(max_examples=examples(40), deadline=None)
@given(st.data(), st.booleans())
def test_model(data: st.DataObject, in_python: bool) -> None:
    kind: Any = Key if in_python else number
    m: SortedMap[Any, int] = SortedMap()
    d: dict[int, int] = {}
    keys = st.integers(0, 12)
    steps = ["set", "pop", "setdefault", "pop_min", "pop_max", "write", "remove", "twice", "span", "cas"]
    for i, (step, k) in enumerate(data.draw(st.lists(st.tuples(st.sampled_from(steps), keys), max_size=40))):
        key = kind(k)
        if step == "set":
            m[key] = d[k] = i
        elif step == "pop":
            assert m.pop(key, None) == d.pop(k, None)
        elif step == "setdefault":
            assert m.setdefault(key, i) == d.setdefault(k, i)
        elif step == "write":
            m.at(key).write(i)
            d[k] = i
        elif step == "remove":
            assert attempt(m.at(key).remove)() == d.pop(k, None)
        elif step == "cas":
            assert m.compare_and_set(key, d.get(k), i) == (k in d)
            if k in d:
                d[k] = i
        elif step == "span":
            hi = data.draw(keys)
            inside = sorted((n, v) for n, v in d.items() if k <= n < hi)
            assert [(plain(a), v) for a, v in m.snapshot(key, kind(hi))] == inside
            found = attempt(m.between(key, kind(hi)).pop_max)()
            assert (found and plain(found[0])) == (inside[-1][0] if inside else None)
            if inside:
                del d[inside[-1][0]]
        elif step == "twice":  # what a reaction has taken is not there for its next step
            found = attempt(m.pop_min >> m.pop_min)()
            if len(d) > 1:
                del d[min(d)]
                assert found[1] == d.pop(min(d))
            else:
                assert found is None
        elif d:
            found = m.pop_min() if step == "pop_min" else m.pop_max()
            extreme = min(d) if step == "pop_min" else max(d)
            assert (plain(found[0]), found[1]) == (extreme, d.pop(extreme))
        assert [(plain(a), v) for a, v in contents(m)] == sorted(d.items())


# ---- composition ---------------------------------------------------------------------------------------------


@KINDS
def test_composed(kind: Any) -> None:
    m: SortedMap[Any, str] = SortedMap([(kind(3), "c"), (kind(1), "a")])
    queue: Queue[Any] = Queue()
    (m.pop_min >> queue.put)()
    assert plain(queue.get()[0]) == plain(kind(1))
    (m.at(kind(3)).remove >> m.at(kind(2)).write >> queue.put)()
    assert (queue.get(), [plain(k) for k in m]) == ("c", [plain(kind(2))])
    assert attempt(m.pop_min * m.pop_max)() is None  # one binding cannot be taken twice
    assert len(m) == 1
    low, high = (m.min * m.max)()
    assert plain(low[0]) == plain(high[0])
    (const("x") >> m.at(kind(9)).write >> m.max >> queue.put)()  # it sees its own write
    assert queue.get()[1] == "x"

    @reagent
    def exchange(tx: Any, _: Any) -> Any:
        _k, v = tx(m.pop_max)
        tx(m.at(kind(0)).write, v)
        return tx(m.snapshot)

    assert [v for _, v in exchange()] == ["x", "c"]
    assert len(m) == 2


@KINDS
def test_a_reaction_writes_into_the_range_that_it_has_read(kind: Any) -> None:
    """What it puts there for the time being must not look to it like somebody else's change."""
    m: SortedMap[Any, int] = SortedMap([(kind(1), 1), (kind(9), 9)])

    @reagent
    def fill(tx: Any, _: Any) -> Any:
        before = tx(m.between(kind(2), kind(8)).snapshot)
        tx(m.at(kind(5)).write, 5)
        tx(m.at(kind(4)).write, 4)
        tx(attempt(m.at(kind(6)).read))
        return len(before), [v for _, v in tx(m.snapshot)]

    assert fill(timeout=5) == (0, [1, 4, 5, 9])
    assert ((m.min * m.max) >> m.at(kind(0)).write >> m.min)(timeout=5)[0] is not None
    assert len(m) == 5


def test_a_choice_not_taken_leaves_nothing() -> None:
    m: SortedMap[int, int] = SortedMap({1: 1})
    assert ((m.pop_min >> m.pop_min) + m.min)() == (1, 1)
    assert (attempt(m.at(5).read, "none")(), attempt(m.at(1).cas(9, 2) >> const(True), False)()) == ("none", False)
    assert contents(m) == [(1, 1)]


@KINDS
def test_who_waits_is_woken(kind: Any) -> None:
    m: SortedMap[Any, int] = SortedMap()
    thread = parked(m.min >> identity)
    m[kind(5)] = 5
    assert thread.result()[1] == 5
    thread = parked(m.between(kind(6), kind(9)).pop_max)
    m[kind(9)] = m[kind(1)] = 0  # outside
    m[kind(7)] = 7
    assert thread.result()[1] == 7
    thread = parked(m.at(kind(7)).read >> identity)
    m.at(kind(7)).write(8)
    assert thread.result() == 8
    thread = parked(m.at(kind(7)).remove >> m.at(kind(8)).remove)
    del m[kind(7)]
    m[kind(8)] = 1
    m[kind(7)] = 2
    assert thread.result() == 1
    thread = parked(m.between(kind(2), kind(4)).min)
    for n in (1, 5):  # the neighbours of the gap go: it is waited for elsewhere from now on
        m.pop(kind(n))
    m[kind(3)] = 3
    assert thread.result()[1] == 3
    assert [v for _, v in contents(m)] == [3, 0]
    assert stats()["waiting"] == 0


def test_a_wait_that_ends_leaves_nothing() -> None:
    m: SortedMap[Any, Any] = SortedMap()
    key = Key(1)
    gone = weakref.ref(key)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            (m.at(key).read * m.min)(timeout=0.001)
    assert len(m) == 0
    del key
    soon(lambda: settle() or gone() is None, "the key's end")


@pytest.mark.parametrize("how", ["threads", "tasks"])
@pytest.mark.parametrize("make", [SortedMap, Map])
def test_those_who_wait_do_not_wake_each_other_for_ever(make: Any, how: str) -> None:
    """Each puts a tower of its own for a missing key into the range that the others have looked at."""
    m = make()

    def wait(k: int) -> Any:
        return m.at(0).read + m.at(k).read + m.at(9).read if make is Map else m.min + m.at(k).read

    async def task(k: int) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(wait(k).arun(), 0.05)

    async def tasks() -> None:
        await asyncio.gather(*map(task, (4, 5, 6)))

    def thread(k: int) -> None:
        with contextlib.suppress(TimeoutError):
            wait(k)(timeout=0.05)

    before = stats()["waits"]
    if how == "tasks":
        asyncio.run(tasks())
    else:
        race(*(lambda k=k: thread(k) for k in (4, 5, 6)))  # type: ignore[misc]
    assert stats()["waits"] - before < 100  # and not as often as the time allows
    assert len(m) == 0


def test_no_phantoms() -> None:
    """Of two who each enter a range only if it is empty, one does; and a sum that is kept is seen whole."""
    rounds = 60 * STRESS
    m: SortedMap[int, int] = SortedMap({0: 0, 100: 0})

    def enter(k: int) -> bool:
        @reagent
        def step(tx: Any, _: Any) -> bool:
            if tx(m.between(1, 100).snapshot):
                return False
            tx(m.at(k).write, k)
            return True

        return step()

    for _ in range(rounds):
        assert sorted(race(lambda: enter(20), lambda: enter(30))) == [False, True]
        assert m.pop_min(1, 100)[0] in (20, 30)


def test_snapshots_see_one_instant() -> None:
    m = SortedMap(dict.fromkeys(range(0, 40, 2), 10))

    def move(seed: int) -> None:
        rnd = random.Random(seed)
        for _ in range(60 * STRESS):
            a, b = rnd.sample(range(40), 2)
            attempt(m.at(a).remove >> (lambda v: v) >> put(b), None)()

    def put(k: int) -> Any:
        @reagent
        def step(tx: Any, v: int) -> None:
            there = tx(attempt(m.at(k).remove, 0))
            tx(m.at(k).write, there + v)

        return step

    def look() -> None:
        pairs = m.snapshot()
        assert sum(v for _, v in pairs) == 200
        assert [k for k, _ in pairs] == sorted({k for k, _ in pairs})
        first, last = (m.min * m.max)()
        assert first[0] <= last[0]

    race(lambda: move(1), lambda: move(2), meanwhile=[look])
    assert sum(v for _, v in contents(m)) == 200


@KINDS
def test_iterating_misses_nothing_that_stays(kind: Any) -> None:
    stays = [kind(n) for n in range(100, 200, 10)]
    m: SortedMap[Any, int] = SortedMap((k, 0) for k in stays)
    lo, hi = kind(100), kind(200)

    def churn(seed: int) -> None:
        rnd = random.Random(seed)
        for n in range(500 * STRESS):
            k = kind(rnd.choice([x for x in range(100, 200) if x % 10]))
            if n % 2:
                m.pop(k, None)
            else:
                m[k] = 1

    def look() -> None:
        for seen in (
            list(m),
            list(m.irange(lo, hi)),
            list(m.irange(lo, hi, reverse=True))[::-1],
            [k for k, _ in m.snapshot()],
        ):
            numbers = [plain(k) for k in seen]
            assert numbers == sorted(set(numbers))
            assert {plain(k) for k in stays} <= set(numbers)

    race(lambda: churn(1), lambda: churn(2), meanwhile=[look])
    look()


def test_iterating_over_what_one_changes() -> None:
    m = SortedMap(dict.fromkeys(range(20), 0))
    seen = []
    for k in m:
        seen.append(k)
        m.pop(k)
        m.pop(k + 1, None)
        m[k + 100] = 0
        if len(seen) > 30:
            break
    assert seen[:10] == list(range(0, 20, 2))
    it = iter(m)
    next(it)
    m.clear()
    assert list(it) == []
    assert list(it) == []
    with pytest.raises(TypeError, match="cannot pickle"):
        it.__reduce__()


def test_an_iterator_is_for_one_thread_at_a_time() -> None:
    m: SortedMap[Key, int] = SortedMap((Key(n), n) for n in range(9))
    it = m.irange(Key(2, lambda: next(it)))
    with pytest.raises(ValueError, match="already"):
        next(it)


def test_clearing_ends_though_destructors_put_in_more() -> None:
    m: SortedMap[int, Any] = SortedMap()

    class Phoenix:
        more = 1000

        def __del__(self) -> None:
            if Phoenix.more:
                Phoenix.more -= 1
                rise()

    def rise() -> None:
        m[Phoenix.more % 3] = Phoenix()

    rise()
    m.clear()
    assert Phoenix.more > 900
    Phoenix.more = 0


def test_an_interrupt_while_a_removed_binding_is_swept_is_not_lost() -> None:
    """The binding is out by then: the call comes to its end, and the interrupt is raised soon after."""
    m: SortedMap[Any, int] = SortedMap([(Key(n), n) for n in range(9)])

    def interrupt() -> None:
        for key in m:
            key.does = None
        raise KeyboardInterrupt

    def pop_and_go_on() -> None:
        m.pop_max()
        for _ in range(1000):
            pass

    for key in m:
        key.does = interrupt
    with pytest.raises(KeyboardInterrupt):
        pop_and_go_on()
    assert [k.n for k in m] == list(range(8))


def test_what_went_while_keys_were_compared_is_not_logged() -> None:
    """Else a stale reaction, on its way back through a function in direct style, would hold what is freed by then."""

    class Slow(Key):
        def __lt__(self, other: Any) -> bool:
            if random.random() < 0.02:
                time.sleep(0)
            return self.n < plain(other)

    m: SortedMap[Any, int] = SortedMap()
    turns = Ref(0)

    def work() -> int:
        done = 0
        for i in range(800 * STRESS):
            program = [(random.random() < 0.5, random.randrange(6)) for _ in range(random.randrange(1, 6))]

            @reagent
            def step(tx: Any, _: Any, i: int = i, program: list[tuple[bool, int]] = program) -> int:
                tx(turns.upd(lambda n, _: (n + 1, n)))
                bound = 0
                for writes, k in program:
                    at = m.at(Slow(k))
                    if writes:
                        bound += tx(attempt(at.read >> const(0), 1))
                        tx(at.write, i)
                    else:
                        bound -= tx(attempt(at.remove >> const(1), 0))
                return bound

            done += step()
        return done

    assert sum(race(work, work, work)) == len(m) == len(contents(m))


def test_the_end_of_a_range_is_not_taken_for_what_has_its_memory_now() -> None:
    """While keys are compared, the last binding below the range goes, and one within it takes its place in memory."""

    class Shy(Key):
        def __lt__(self, other: Any) -> bool:
            return self._compared() and self.n < plain(other)

        def __gt__(self, other: Any) -> bool:
            return self._compared() and self.n > plain(other)

        def _compared(self) -> bool:
            does, self.does = self.does, None
            if does:
                does()
            return True

    for n in range(400):
        m: SortedMap[Any, int] = SortedMap({3: 0})
        moved = Ref(False)
        last = Shy(100)

        def move(m: SortedMap[Any, int] = m, moved: Ref[bool] = moved, n: int = n) -> None:
            del m[3]
            for _ in range(100):
                m[-7] = 0
                del m[-7]
            for i in range(n % 8):
                m[i - 20] = 0
            m[6] = 1
            moved.set(True)

        @reagent
        def look(
            tx: Any, _: Any, m: SortedMap[Any, int] = m, moved: Ref[bool] = moved, last: Shy = last, move: Any = move
        ) -> Any:
            for key in (7, last):
                tx(attempt(m.at(key).read))
            last.does = None if moved.get() else move
            return tx(attempt(m.between(5, None).max, "nothing")), tx.read(moved)

        assert look() in (((6, 1), True), ("nothing", False))


@KINDS
def test_conservation(kind: Any) -> None:
    """Each key is in one of two maps or in the queue, whoever moves it and however."""
    a: SortedMap[Any, Any] = SortedMap((kind(n), n) for n in range(100, 120))
    b: SortedMap[Any, Any] = SortedMap()
    queue: Queue[Any] = Queue()

    @reagent
    def across(tx: Any, _: Any) -> None:
        k, v = tx(a.pop_min)
        tx(b.at(k).write, v)

    @reagent
    def back(tx: Any, _: Any) -> None:
        k, v = tx(b.pop_max)
        tx(a.at(k).write, v)

    out, home = attempt(b.pop_min >> queue.put), queue.get

    def moves(seed: int) -> None:
        rnd = random.Random(seed)
        for _ in range(120 * STRESS):
            turn = rnd.randrange(4)
            if turn == 0:
                attempt(across)()
            elif turn == 1:
                attempt(back)()
            elif turn == 2:
                out()
            elif (pair := attempt(home)()) is not None:
                a[pair[0]] = pair[1]

    race(*(lambda n=n: moves(n) for n in range(3)))
    while (pair := attempt(home)()) is not None:
        a[pair[0]] = pair[1]
    assert sorted([v for _, v in contents(a)] + [v for _, v in contents(b)]) == list(range(100, 120))


def test_one_insertion_wins() -> None:
    for n in range(40 * STRESS):
        m: SortedMap[int, object] = SortedMap({5: None} if n % 2 else {})
        token = [object() for _ in range(3)]
        got = race(*(lambda m=m, t=t: m.setdefault(1, t) for t in token))
        assert len(set(map(id, got))) == 1
        assert sorted(race(*(lambda m=m: m.pop(1, None) is not None for _ in range(3)))) == [False, False, True]


# ---- memory ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_python", [False, True])
def test_churn_leaves_nothing(in_python: bool) -> None:
    m: SortedMap[Any, Any] = SortedMap()
    kind: Any = Key if in_python else number

    def churn() -> None:
        for n in range(1000):
            m[kind(n * 7 % 1000)] = n
        for n in range(0, 1000, 3):
            m.pop(kind(n), None)
        for n in range(0, 1000, 2):
            attempt(m.at(kind(n)).remove)()
        while attempt(m.pop_min)() is not None:
            attempt(m.pop_max)()
        settle()

    churn()
    churn()
    before = sys.getallocatedblocks()
    churn()
    soon(lambda: settle() or sys.getallocatedblocks() < before + 300, "the end of what was removed")


def test_values_and_keys_go_at_once_with_the_gil_and_soon_without() -> None:
    m: SortedMap[Any, Any] = SortedMap()
    for remove in (
        lambda k: m.pop(k),
        lambda k: m.pop_min(),
        lambda k: m.pop_max(),
        lambda k: m.at(k).remove(),
        lambda k: m.pop_min(k),
        lambda k: m.clear(),
        lambda k: m.__setitem__(k, None),
    ):
        key, value = Key(1), Key(2)
        dead = [weakref.ref(key), weakref.ref(value)]
        m[key] = value
        m[Key(0)] = m[Key(3)] = 0
        m.pop(Key(0)), m.pop(Key(3))
        del value
        remove(key)
        if GIL:
            assert dead[1]() is None
        m.clear()
        del key
        soon(lambda d=dead: settle() or not any(r() for r in d), "their end")


def test_cycles() -> None:
    class Thing:
        pass

    m: SortedMap[Any, Any] = SortedMap()
    thing = Thing()
    thing.map = m  # type: ignore[attr-defined]
    m[1] = thing
    key = Key(3)
    key.map = m  # type: ignore[attr-defined]
    m2: SortedMap[Any, Any] = SortedMap([(key, iter(m)), (Key(9), m.at(1))])
    m[2] = m2
    dead = [weakref.ref(x) for x in (m, thing, m2)]
    del m, thing, m2, key
    soon(lambda: settle() or not any(r() for r in dead), "the collector's work")


def test_deep_chain() -> None:
    chain: Any = None
    for _ in range(20_000):
        m: SortedMap[int, Any] = SortedMap()
        m[1] = chain
        chain = m
    del chain, m
    settle()


def test_from_destructors() -> None:
    m: SortedMap[Any, Any] = SortedMap()

    class Noisy:
        def __init__(self, n: int) -> None:
            self.n = n

        def __del__(self) -> None:
            m[self.n] = self.n
            m.pop(self.n - 500, None)
            m.min()

    for n in range(50):
        m[n] = Noisy(n + 1000)
        m[n] = 0
        m.pop(n)
    settle()
    soon(lambda: settle() or len(m) == 50, "the destructors")
    assert [v for _, v in contents(m)] == list(range(1000, 1050))


BIG = 10**12


def on_a_map(operation: Any) -> Any:
    def case(token: Any) -> Any:
        m = SortedMap({BIG: token, BIG + 2: token})
        return (lambda: operation(m, token)), (lambda: m.snapshot())

    return case


@pytest.mark.parametrize(
    "operation",
    [
        lambda m, t: m.__setitem__(BIG + 1, t),
        lambda m, t: m.__setitem__(BIG, None),
        lambda m, t: m.pop(BIG),
        lambda m, t: m.setdefault(BIG + 3, t),
        lambda m, t: m.pop_min(),
        lambda m, t: m.pop_max(BIG, BIG + 9),
        lambda m, t: m.at(BIG + 1).write(t),
        lambda m, t: (m.at(BIG).remove >> m.at(BIG + 5).write)(),
        lambda m, t: attempt(m.at(BIG + 1).read)(),
        lambda m, t: m.snapshot(BIG, BIG + 2),
        lambda m, t: list(m.range(BIG, BIG + 2, reverse=True)),
    ],
)
def test_no_memory(operation: Any) -> None:
    check_without_memory(on_a_map(operation))


def test_moves_with_a_stack_and_a_ref() -> None:
    m: SortedMap[int, int] = SortedMap()
    stack: Stack[int] = Stack(range(50))
    total = Ref(0)
    file_it = stack.pop >> (lambda n: n) >> reagent(lambda tx, n: (tx(m.at(n).write, n), tx(total.add, 1)))

    def work() -> None:
        while attempt(file_it)() is not None:
            pass

    race(work, work, meanwhile=[lambda: list(m)])
    assert ([k for k, _ in contents(m)], total.get()) == (list(range(50)), 50)
    assert Background(lambda: m.pop_max()[0]).result() == 49
