"""Map: a dict in one thread and in many, whatever its keys do; and its bindings, which compose."""

from __future__ import annotations

import copy
import gc
import itertools
import operator
import pickle
import random
import weakref
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concurrent_programs import Subject, call, check_programs, pause
from lockfree import Binding, Map, Queue, Set
from racing import STRESS, examples, parked, race, settle, soon
from reagents import BLOCK, attempt, const, stats
from reagents.testing import Spec, read_only

GONE = "missing"


class Key:
    """Equal by name, of one hash for all; comparing two lets other threads in."""

    def __init__(self, name: int, hash: int = 42) -> None:
        self.name, self.hash = name, hash

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        pause()
        return isinstance(other, Key) and self.name == other.name

    def __repr__(self) -> str:
        return f"Key({self.name})"


# ---- one thread -----------------------------------------------------------------------------------------------------

number = st.integers(0, 40)
keys = st.one_of(
    number,
    number.map(str),
    number.map(float),
    number.map(lambda n: n << 40),
    number.map(lambda n: (n, "x")),
    number.map(Key),
    number.map(lambda n: str(n).encode()),
    st.sampled_from([None, True, False, -1, -2, 10**30, "", "\xe9", "\u20ac"]),
)
OPERATIONS: dict[str, Callable[..., Any]] = {
    "set": lambda m, k, v: m.__setitem__(k, v),
    "get": lambda m, k, v: m.get(k, v),
    "item": lambda m, k, v: m[k],
    "del": lambda m, k, v: m.__delitem__(k),
    "in": lambda m, k, v: k in m,
    "setdefault": lambda m, k, v: m.setdefault(k, v),
    "pop": lambda m, k, v: m.pop(k),
    "pop default": lambda m, k, v: m.pop(k, v),
    "clear": lambda m, k, v: m.clear() if v == 0 else None,
    "update": lambda m, k, v: m.update([(k, v), (v, k)]),
}


@given(st.lists(st.tuples(st.sampled_from(sorted(OPERATIONS)), keys, st.integers(0, 9)), max_size=60))
@settings(max_examples=examples(80), deadline=None)
def test_a_map_does_what_a_dict_does(steps: list[tuple[str, Any, int]]) -> None:
    m: Map[Any, Any] = Map()
    d: dict[Any, Any] = {}
    for name, key, value in steps:
        answers = []
        for target in (m, d):
            try:
                answers.append(OPERATIONS[name](target, key, value))
            except KeyError as error:
                answers.append(("KeyError", error.args))
        assert answers[0] == answers[1]
        assert len(m) == len(d)
        assert m == d
    assert m.snapshot() == d
    assert dict(m.items()) == d
    assert sorted(map(repr, m)) == sorted(map(repr, d))
    assert sorted(map(repr, m.values())) == sorted(map(repr, d.values()))
    assert len({id(k) for k in m}) == len(d)
    while m:
        key, value = m.popitem()
        assert d.pop(key) == value
    assert not d


@pytest.mark.parametrize("shift", [0, 3, 8, 20, 40])
def test_it_grows_while_everything_stays_to_be_found(shift: int) -> None:
    m: Map[int, int] = Map()
    for i in range(3000):
        m[i << shift] = i
        assert len(m) == i + 1
    assert all(m[i << shift] == i for i in range(3000))
    assert set(m) == {i << shift for i in range(3000)}
    for i in range(0, 3000, 2):
        del m[i << shift]
    assert set(m.values()) == set(range(1, 3000, 2))


def test_conventions() -> None:
    m = Map(a=1)
    assert isinstance(m, MutableMapping)
    assert Map[str, int].__origin__ is Map
    assert repr(m) == "Map({'a': 1})"
    assert repr(Map()) == "Map()"
    assert copy.copy(m) == m
    assert copy.copy(m) is not m
    assert m | {"b": 2} == {"a": 1, "b": 2}
    assert {"a": 0, "b": 2} | m == {"a": 1, "b": 2}
    assert weakref.ref(m)() is m
    for what in (m, iter(m), m.at("a")):
        with pytest.raises(TypeError, match="cannot pickle"):
            pickle.dumps(what)
    with pytest.raises(TypeError, match="unhashable"):
        hash(m)
    for unhashable in (lambda: m[[]], lambda: m.get([]), lambda: m.at([]), lambda: m.setdefault([]), lambda: [] in m):
        with pytest.raises(TypeError, match=r"unhashable|cannot use"):
            unhashable()
    assert len(m) == 1


def test_compare_and_set_and_get_or_compute() -> None:
    m: Map[str, Any] = Map(a=1)
    assert m.compare_and_set("a", 1, 2)
    assert not m.compare_and_set("a", 1, 3)
    assert not m.compare_and_set("b", None, 3)
    assert m.get_or_compute("a", fail) == 2
    assert m.get_or_compute("b", str.upper) == "B"
    with pytest.raises(ZeroDivisionError):
        m.get_or_compute("c", lambda k: 1 // 0)
    assert m.get_or_compute("d", lambda k: m.setdefault(k, "inner") and "outer") == "inner"
    assert m == {"a": 2, "b": "B", "d": "inner"}


def fail(*_: Any) -> Any:
    raise AssertionError("called")


# ---- keys that misbehave --------------------------------------------------------------------------------------------


class Rude:
    """All of one hash; what comparing does is set from outside."""

    do: Callable[[], Any] = staticmethod(lambda: False)

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        return Rude.do()  # type: ignore[no-any-return]


def test_an_error_of_eq_comes_out_and_nothing_has_changed() -> None:
    m = Map({Rude(): 1})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rude, "do", staticmethod(lambda: 1 // 0))
        operations: list[Callable[[Any], Any]] = [
            m.__getitem__,
            m.__contains__,
            m.get,
            m.pop,
            m.setdefault,
            m.__delitem__,
            lambda k: m.__setitem__(k, 2),
            lambda k: m.compare_and_set(k, 1, 2),
            lambda k: m.at(k).get(),
            lambda k: m.at(k).set(2),
            lambda k: m.at(k).read(timeout=0),
            lambda k: m.at(k).write(2),
        ]
        for operation in operations:
            with pytest.raises(ZeroDivisionError):
                operation(Rude())
    assert list(m.values()) == [1]
    assert len(m) == 1


@pytest.mark.parametrize("composed", [False, True])
def test_eq_may_change_the_map(composed: bool) -> None:
    """Each comparison takes out, puts in or replaces something near; the operation comes to an end and is right."""
    for change in ("clear", "pop others", "add", "grow"):
        m: Map[Any, Any] = Map()
        known = [Rude() for _ in range(4)]
        for i, k in enumerate(known):
            m[k] = i
        left = [20]

        def interfere(m: Map[Any, Any] = m, change: str = change, left: list[int] = left) -> bool:
            if not left[0]:
                return False
            left[0] -= 1
            if change == "clear":
                m.clear()
            elif change == "pop others":
                if m:
                    m.popitem()
            elif change == "add":
                left[0] -= 4
                m[Rude()] = 9
            else:
                for i in range(40):
                    m[left[0] * 100 + i] = i
            return False

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Rude, "do", staticmethod(interfere))
            mine = Rude()
            if composed:
                m.at(mine).write("mine")
                left[0] = 0
            else:
                m[mine] = "mine"
                left[0] = 0
            assert m[mine] == "mine"
            assert len(m) == len(list(m)) == len(m.snapshot())


def test_a_hash_that_changes_loses_the_key_and_nothing_else() -> None:
    m: Map[Any, int] = Map()
    known = [Key(i, i) for i in range(50)]
    for k in known:
        m[k] = k.name
    for k in known[::2]:
        k.hash += 1000
    assert sum(k in m for k in known) == 25
    assert len(m) == len(list(m)) == 50
    for k in known[::2]:
        m[k] = -1
    assert len(m) == 75
    m.clear()
    assert len(m) == 0
    assert list(m) == []


def test_destructors_of_keys_and_values_may_use_the_map() -> None:
    m: Map[Any, Any] = Map()

    class Last:
        def __del__(self) -> None:
            m["last"] = m.get("last", 0) + 1
            m.pop("other", None)

    for _ in range(50):
        m["other"] = Last()
        m[Last()] = 1
        m["other"] = 0
        m.pop(next(k for k in m if isinstance(k, Last)))
    settle()
    soon(lambda: m["last"] == 100, "all to be destroyed")


@pytest.mark.parametrize("where", ["key", "value", "item"])
def test_clearing_ends_though_destructors_put_in_more(where: str) -> None:
    m: Map[Any, Any] = Map()
    s: Set[Any] = Set()

    class Phoenix:
        more = 1000

        def __hash__(self) -> int:
            return 7

        def __del__(self) -> None:
            if Phoenix.more:
                Phoenix.more -= 1
                rise()

    def rise() -> None:
        if where == "key":
            m[Phoenix()] = 0
        elif where == "value":
            m[0] = Phoenix()
        else:
            s.add(Phoenix())

    for _ in range(1 if where == "value" else 3):
        rise()
    (s if where == "item" else m).clear()
    assert Phoenix.more > 900
    Phoenix.more = 0


def test_cycles_are_collected() -> None:
    class Thing:
        pass

    dead = []
    for where in ("key", "value", "binding", "iterator"):
        m: Map[Any, Any] = Map()
        t = Thing()
        dead.append(weakref.ref(t))
        t.m = m  # type: ignore[attr-defined]
        if where == "key":
            m[t] = 1
        else:
            m[1] = (t, m.at(1)) if where == "binding" else (t, iter(m)) if where == "iterator" else t
        del m, t
    settle()
    gc.collect()
    settle()
    assert [r() for r in dead] == [None] * 4


# ---- threads --------------------------------------------------------------------------------------------------------


class MapSpec(Spec):
    """A few keys; the state is a tuple of their values."""

    initial = (GONE, GONE, GONE)

    @staticmethod
    def _with(state: Any, k: int, v: Any) -> Any:
        return (*state[:k], v, *state[k + 1 :])

    def set(self, state: Any, k: int, v: Any) -> Any:
        return self._with(state, k, v), None

    @read_only
    def get(self, state: Any, k: int) -> Any:
        return state, state[k]

    def pop(self, state: Any, k: int) -> Any:
        return self._with(state, k, GONE), state[k]

    def setdefault(self, state: Any, k: int, v: Any) -> Any:
        return (state, state[k]) if state[k] != GONE else (self._with(state, k, v), v)

    def compare_and_set(self, state: Any, k: int, old: Any, new: Any) -> Any:
        return (self._with(state, k, new), True) if state[k] == old else (state, False)

    def move(self, state: Any, a: int, b: int) -> Any:
        if state[a] == GONE:
            return state, GONE
        return self._with(self._with(state, a, GONE), b, state[a]), state[a]

    @read_only
    def len(self, state: Any) -> Any:
        return state, sum(v != GONE for v in state)

    @read_only
    def snapshot(self, state: Any) -> Any:
        return state, tuple(state)


which, value = st.integers(0, 2), st.integers(0, 2)


class MapSubject(Subject):
    spec = MapSpec
    calls = st.one_of(
        call("set", which, value),
        call("set_composed", which, value),
        call("get", which),
        call("get_composed", which),
        call("pop", which),
        call("pop_composed", which),
        call("setdefault", which, value),
        call("compare_and_set", which, value, value),
        call("compare_and_set_composed", which, value, value),
        call("move", which, which),
        call("len"),
        call("snapshot"),
    )
    keys: tuple[Any, ...] = (0, 8, "c")

    def __init__(self) -> None:
        self.m: Map[Any, Any] = Map()
        self.len = self.m.__len__

    def set(self, k: int, v: Any) -> None:
        self.m[self.keys[k]] = v

    def set_composed(self, k: int, v: Any) -> None:
        (const(v) >> self.m.at(self.keys[k]).write)()

    def get(self, k: int) -> Any:
        return self.m.get(self.keys[k], GONE)

    def get_composed(self, k: int) -> Any:
        return attempt(self.m.at(self.keys[k]).read, GONE)()

    def pop(self, k: int) -> Any:
        return self.m.pop(self.keys[k], GONE)

    def pop_composed(self, k: int) -> Any:
        return attempt(self.m.at(self.keys[k]).remove, GONE)()

    def setdefault(self, k: int, v: Any) -> Any:
        return self.m.setdefault(self.keys[k], v)

    def compare_and_set(self, k: int, old: Any, new: Any) -> Any:
        return self.m.compare_and_set(self.keys[k], old, new)

    def compare_and_set_composed(self, k: int, old: Any, new: Any) -> Any:
        return attempt(self.m.at(self.keys[k]).cas(old, new) >> const(True), False)()

    def move(self, a: int, b: int) -> Any:
        return attempt(self.m.at(self.keys[a]).remove >> self.m.at(self.keys[b]).write, GONE)()

    def snapshot(self) -> Any:
        d = self.m.snapshot()
        return tuple(d.get(k, GONE) for k in self.keys)

    def drain(self, run: Callable[..., Any]) -> None:
        run("snapshot")
        run("len")


class CollidingMapSubject(MapSubject):
    """Of one hash, compared by Python code in the middle of everything."""

    keys = (Key(0), Key(1), Key(2))


@pytest.mark.parametrize("subject", [MapSubject, CollidingMapSubject])
def test_linearizable(subject: type[Subject]) -> None:
    check_programs(subject)


def test_of_those_who_insert_a_key_one_wins() -> None:
    m: Map[int, Any] = Map()
    rounds = 300 * STRESS

    def worker(me: int) -> list[Any]:
        return [m.get_or_compute(i, lambda k: (me, k)) for i in range(rounds)]

    a, b, c = race(*[lambda me=me: worker(me) for me in range(3)])
    assert a == b == c
    assert len(m) == len(list(m)) == rounds


def test_what_moves_between_two_maps_is_conserved() -> None:
    """Composed moves both ways, direct overwriting of other keys, growth, and exact lengths and snapshots meanwhile."""
    left: Map[int, int] = Map()
    right: Map[int, int] = Map()
    n, rounds = 24, 400 * STRESS
    for i in range(n):
        left[i] = i

    def mover(seed: int) -> None:
        choose = random.Random(seed)
        for _ in range(rounds):
            k = choose.randrange(n)
            a, b = (left, right) if choose.random() < 0.5 else (right, left)
            attempt(a.at(k).remove >> b.at(k).write)()

    def grower() -> None:
        for i in range(rounds):
            right[1000 + i] = i
            assert right.pop(1000 + i) == i

    def watcher() -> None:
        both = left.snapshot()
        assert all(k == v for k, v in both.items())
        assert len(left) <= n

    race(lambda: mover(1), lambda: mover(2), grower, meanwhile=[watcher])
    assert sorted([*left, *right]) == list(range(n))
    assert len(left) + len(right) == n


def test_iteration_meets_each_key_that_stays_once_and_none_twice() -> None:
    m: Map[Any, int] = Map()
    stay = [*range(0, 200, 2), *(Key(i) for i in range(3))]
    for k in stay:
        m[k] = 0
    colliding = Key(7)

    def churn(seed: int) -> None:
        choose = random.Random(seed)
        for i in range(400 * STRESS):
            k = choose.randrange(1, 200, 2)
            m[k] = i
            m[colliding] = i
            m.pop(choose.randrange(1, 200, 2), None)
            m.pop(colliding, None)
            m[10_000 + i] = i  # and it grows

    def look() -> None:
        seen = [k.name + 0.5 if isinstance(k, Key) else k for k in m]
        assert len(set(seen)) == len(seen)
        assert {k.name + 0.5 if isinstance(k, Key) else k for k in stay} <= set(seen)

    race(lambda: churn(1), lambda: churn(2), meanwhile=[look])
    look()


def test_each_popitem_takes_another() -> None:
    m = Map(zip(range(600), itertools.repeat(0), strict=False))

    def taker() -> list[int]:
        got = []
        for _ in range(1000):
            try:
                got.append(m.popitem()[0])
            except KeyError:
                return got
        raise AssertionError("it never ends")

    results = race(taker, taker, taker)
    assert sorted(itertools.chain(*results)) == list(range(600))
    assert len(m) == 0


# ---- bindings -------------------------------------------------------------------------------------------------------


def test_a_binding_is_a_ref_to_one_key() -> None:
    m: Map[str, int] = Map()
    b = m.at("a")
    assert isinstance(b, Binding)
    assert b.key == "a"
    assert b.get() is None
    assert b.get(0) == 0
    with pytest.raises(KeyError):
        b.update(lambda v: v)
    assert not b.compare_and_set(1, 2)
    b.set(1)
    assert b.update(lambda v: v + 1) == 2
    assert b.compare_and_set(2, 3)
    assert b.read() == 3
    assert b.write(4) == 4
    assert b.upd(lambda v, x: (v + x, v))(6) == 4
    b.cas(10, 11)()
    assert m == {"a": 11}
    assert b.remove() == 11
    assert m == {}
    assert len(m) == 0


@pytest.mark.parametrize("how", ["set", "write", "setdefault", "update"])
def test_who_waits_for_a_missing_key_is_woken(how: str) -> None:
    m: Map[Any, Any] = Map()
    for key in ("k", Key(1)):
        waiting = [
            parked(m.at(key).read),
            parked(m.at(key).upd(lambda v, _: BLOCK if v != "there" else (v, "upd"))),
            parked(m.at(key).cas("there", "there") >> const("cas")),
        ]
        assert len(m) == 0
        assert list(m) == []
        assert key not in m
        if how == "set":
            m[key] = "there"
        elif how == "write":
            m.at(key).write("there")
        elif how == "setdefault":
            m.setdefault(key, "there")
        else:
            m.update({key: "there"})
        assert [w.result() for w in waiting] == ["there", "upd", "cas"]
        assert m.pop(key) == "there"
    assert stats()["waiting"] == 0


def test_a_node_that_only_waiters_need_goes_with_the_last() -> None:
    """One who gives up makes the node die under the others; they wait on, and are woken."""
    m: Map[str, int] = Map()
    patient = parked(m.at("k").read)
    for _ in range(5):
        with pytest.raises(TimeoutError):
            m.at("k").read(timeout=0)
        with pytest.raises(TimeoutError):
            m.at("k").remove(timeout=0.001)
    assert patient.running
    (const(1) >> m.at("k").write)()
    assert patient.result() == 1
    takers = [parked(m.at("j").remove) for _ in range(3)]
    for i in range(3):
        m["j"] = i
        soon(lambda: "j" not in m, "one of them to take it")
    assert sorted(t.result() for t in takers) == [0, 1, 2]
    assert len(m) == 1


def test_a_reaction_sees_its_own_bindings() -> None:
    m: Map[str, int] = Map()
    q: Queue[int] = Queue()
    assert (const(1) >> m.at("a").write >> m.at("a").read >> m.at("b").write >> m.at("a").remove)() == 1
    assert m == {"b": 1}
    assert attempt(const(5) >> m.at("a").write >> m.at("c").read, "no")() == "no"
    assert m == {"b": 1}
    assert attempt(m.at("b").remove >> m.at("b").read, "no")() == "no"
    (m.at("b").upd(lambda v, _: (v + 1, v)) >> q.put)()
    assert (m["b"], q.get(), len(m)) == (2, 1, 1)
    assert (m.at("b").remove * m.at("b").write + const(0))(7) in ((2, 7), 0)


def test_reactions_leave_no_nodes_behind() -> None:
    """Missing keys by the thousand, asked for, made and removed by reactions: what they leave does not grow."""
    m: Map[Any, int] = Map()

    def tokens() -> Iterator[Any]:
        for _ in range(200):
            yield Token()

    class Token:
        pass

    alive = []
    for t in tokens():
        alive.append(weakref.ref(t))
        attempt(m.at(t).read)()
        m.at(t).write(1)
        m.at(t).remove()
    del t
    settle()
    soon(lambda: not any(r() for r in alive), "the keys to go")


@pytest.mark.parametrize("collide", [False, True])
def test_an_iterator_is_for_one_thread_at_a_time(collide: bool) -> None:
    """Who finds it in use is told so; nothing is met twice, and nothing breaks."""

    class Same(int):
        def __hash__(self) -> int:
            return 1

    for _ in range(40 * STRESS):
        m: Map[Any, int] = Map((Same(n) if collide else n, n) for n in range(30))
        shared = iter(m.items())

        def take(shared: Any = shared) -> list[Any]:
            met = []
            while True:
                try:
                    met.append(next(shared))
                except StopIteration:
                    return met
                except ValueError:
                    operator.length_hint(shared)

        assert sorted(itertools.chain(*race(take, take))) == [(n, n) for n in range(30)]
