"""`lockfree.LRUCache` and `lockfree.lru_cache`: what was used longest ago is forgotten first."""

from __future__ import annotations

import copy
import functools
import gc
import pickle
import random
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conventions import check_reagent_method, check_type
from lockfree import Counter, LRUCache, Map, Queue, lru_cache
from racing import STRESS, race
from reagents import BLOCK, Ref, attempt, const, lift, reagent

# ---- LRUCache ------------------------------------------------------------------------------------------------------


def test_conventions() -> None:
    check_type(LRUCache, lambda: LRUCache(2))
    check_reagent_method(LRUCache(2).get)
    check_reagent_method(LRUCache(2).put)


@pytest.mark.parametrize(
    ("wrong", "error"), [(0, ValueError), (-1, ValueError), ("2", TypeError), (None, TypeError), (1.5, TypeError)]
)
def test_maxsize(wrong: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        LRUCache(wrong)
    assert LRUCache(maxsize=2).maxsize == 2


class Model:
    def __init__(self, maxsize: int) -> None:
        self.maxsize, self.items, self.hits, self.misses = maxsize, OrderedDict[Any, Any](), 0, 0

    def get(self, key: Any) -> Any:
        if key not in self.items:
            self.misses += 1
            return None
        self.hits += 1
        self.items.move_to_end(key)
        return self.items[key]

    def put(self, key: Any, value: Any) -> None:
        self.items[key] = value
        self.items.move_to_end(key)
        if len(self.items) > self.maxsize:
            self.items.popitem(last=False)


keys = st.one_of(st.integers(0, 7), st.sampled_from(["a", "b"]), st.tuples(st.integers(0, 2), st.integers(0, 1)))
steps = st.lists(
    st.tuples(st.sampled_from(["get", "put", "composed get", "composed put", "peek", "clear"]), keys), max_size=80
)


@settings(deadline=None)
@given(st.integers(1, 5), steps)
def test_behaves_like_an_ordered_dictionary(maxsize: int, steps: list[tuple[str, Any]]) -> None:
    cache, model = LRUCache[Any, int](maxsize), Model(maxsize)
    for n, (name, key) in enumerate(steps):
        match name:
            case "get":
                assert cache.get(key) == model.get(key)
            case "composed get":
                assert (const(key) >> cache.get)() == model.get(key)
            case "put":
                cache.put(key, n)
                model.put(key, n)
            case "composed put":
                (const((key, n)) >> cache.put)()
                model.put(key, n)
            case "peek":
                assert cache.peek(key, -1) == model.items.get(key, -1)
            case "clear" if n % 5 == 0:
                cache.clear()
                model = Model(maxsize)
        assert list(cache) == list(model.items)
        assert cache.info() == (model.hits, model.misses, maxsize, len(model.items))
        assert (key in cache, len(cache)) == (key in model.items, len(model.items))


def test_as_a_mapping() -> None:
    cache: LRUCache[str, int] = LRUCache(2)
    cache["a"], cache["b"] = 1, 2
    assert (cache["a"], cache.get("x"), cache.get("x", 5), cache.peek("b"), "b" in cache) == (1, None, 5, 2, True)
    cache["c"] = 3
    assert list(cache) == ["a", "c"]
    with pytest.raises(KeyError, match="b"):
        cache["b"]
    cache["a"] = 4
    assert (list(cache), cache["a"], repr(cache).split(", ")[1]) == (["c", "a"], 4, "2 of 2 keys>")
    for call in (cache.get, lambda: cache.get("a", 1, 2), lambda: cache.put("a"), lambda: cache.put("a", value=1)):  # type: ignore[call-arg]
        with pytest.raises(TypeError):
            call()


def test_in_reactions() -> None:
    cache, queue, ref = LRUCache[int, int](2), Queue[Any](), Ref(0)
    for n in range(4):
        ((const((n, 10 * n)) >> cache.put) * (const(1) >> ref.add))()
    (const(3) >> cache.get >> queue.put)()
    (const(2) >> cache.get >> queue.put)()
    assert (queue.get(), queue.get(), ref.get(), list(cache)) == (30, 20, 4, [3, 2])
    # What does not happen leaves nothing behind.
    assert attempt(const((9, 9)) >> cache.put >> lift(lambda _: BLOCK), "blocked")() == "blocked"
    assert attempt(const(3) >> cache.get >> lift(lambda _: BLOCK), "blocked")() == "blocked"
    assert (list(cache), cache.info().hits) == ([3, 2], 2)

    @reagent
    def several(tx: Any, x: int) -> Any:
        seen = [tx(cache.get, 2)]
        for n in range(5):
            tx(cache.put, (n, x))
            seen.append(tx(cache.get, n))
        return seen

    assert several(7) == [20, 7, 7, 7, 7, 7]
    assert list(cache) == [3, 4]


def test_more_used_than_there_are_places_to_put_back() -> None:
    """All were used since they were put, in another order: the next put finds the oldest all the same."""
    cache: LRUCache[int, int] = LRUCache(200)
    for n in range(200):
        cache[n] = n
    order = list(range(200))
    random.Random(1).shuffle(order)
    assert [cache[n] for n in order] == order
    (const((1000, 0)) >> cache.put)()  # in one reaction, without anything being put back before
    assert order.pop(0) not in cache
    cache[1001] = 0
    assert list(cache) == [*order[1:], 1000, 1001]


class Key:
    def __init__(
        self, n: int, on_eq: Callable[[], object] = lambda: None, on_hash: Callable[[], object] = lambda: None
    ) -> None:
        self.n, self.on_eq, self.on_hash = n, on_eq, on_hash

    def __eq__(self, other: object) -> bool:
        self.on_eq()
        return isinstance(other, Key) and self.n == other.n

    def __hash__(self) -> int:
        self.on_hash()
        return self.n


def fail() -> None:
    raise ZeroDivisionError


def test_keys_that_misbehave() -> None:
    cache: LRUCache[Any, int] = LRUCache(2)
    for call in (lambda: cache.get([]), lambda: cache.put([], 1), lambda: [] in cache, lambda: cache.peek([])):  # type: ignore[comparison-overlap]
        with pytest.raises(TypeError, match="unhashable"):
            call()
    trouble: list[Callable[[], object]] = []
    cache[Key(1, on_eq=lambda: [f() for f in trouble])] = 1
    trouble.append(fail)

    def refused(key: Key) -> None:
        for call in (
            cache.get,
            lambda key: cache.put(key, 2),
            cache.__contains__,
            cache.peek,
            lambda key: (const(key) >> cache.get)(),
        ):
            with pytest.raises(ZeroDivisionError):
                call(key)

    refused(Key(1))
    trouble.clear()
    refused(Key(1, on_hash=fail))
    assert (cache[Key(1)], len(cache), cache.info().hits) == (1, 1, 1)
    # One whose comparison uses the cache, and evicts what it is being compared with.
    trouble.append(lambda: trouble.clear() or [cache.put(n, n) for n in range(5)])
    cache.get(Key(1))
    assert list(cache) == [3, 4]


def test_destructors_that_use_it() -> None:
    cache: LRUCache[Any, Any] = LRUCache(3)

    class Value:
        def __del__(self) -> None:
            cache.put("by a destructor", cache.get("x"))

    for n in range(10):
        cache[n] = Value()
    assert len(cache) == 3
    cache.clear()
    assert len(cache) <= 3


def test_lets_go() -> None:
    """Of what is evicted, replaced or cleared; and of cycles through itself."""

    class Value:
        pass

    cache: LRUCache[Any, Any] = LRUCache(1)
    gone = []
    for n in (1, 2, 2):
        value = Value()
        gone.append(weakref.ref(value))
        cache[n] = value
        del value
    gc.collect()
    assert [value() is None for value in gone] == [True, True, False]
    cache.clear()
    gc.collect()
    assert gone[2]() is None
    cache["self"] = [cache]
    reference = weakref.ref(cache)
    del cache
    gc.collect()
    assert reference() is None


def test_its_maxsize_does_not_change() -> None:
    """What evicts would not notice, and the next clear() would."""
    cache: LRUCache[Any, Any] = LRUCache(2)
    for wrong in (0, 5):
        with pytest.raises(AttributeError):
            cache.maxsize = wrong  # type: ignore[misc]
    assert (cache.maxsize, cache.info().maxsize) == (2, 2)


def test_no_force_breaks_it() -> None:
    """What is private can be reached, and refuses what would make the C part look at the wrong things."""
    cache: LRUCache[Any, Any] = LRUCache(2)
    cache[1] = 1
    entries, _ = cache._parts()
    for call in (
        lambda: cache._begin(5),
        lambda: cache._begin(()),
        lambda: cache._begin(({},)),
        lambda: cache._used(5),
        lambda: cache._renewed(Ref(1)),
        lambda: entries[1].at({}),
        lambda: type(entries[1])(),
    ):
        with pytest.raises(TypeError):
            call()
    entries[2] = 5
    with pytest.raises(TypeError, match="entry"):
        cache.get(2)


def test_threads() -> None:
    """Never more than maxsize, the order has what the map has, and a value is of its key."""
    cache: LRUCache[int, tuple[int, int]] = LRUCache(8)
    calls = Counter()
    count = 400 * STRESS

    def work() -> None:
        rng = random.Random(threading.get_ident())
        for n in range(count):
            key = rng.randrange(16)
            if n % 3 == 0:
                cache.put(key, (key, n))
            elif n % 31 == 1:
                (const((key, (key, n))) >> cache.put)()
            else:
                calls.add()
                value = cache.get(key)
                assert value is None or value[0] == key
            assert len(cache) <= 8

    race(work, work, work, meanwhile=[gc.collect])
    entries, order = cache._parts()
    assert len(entries) == order.qsize() == 8
    assert sum(cache.info()[:2]) == calls.value()


def test_clearing_while_others_put() -> None:
    cache: LRUCache[int, int] = LRUCache(4)

    def put() -> None:
        for n in range(200 * STRESS):
            cache.put(n % 9, n)
            assert cache.get(n % 7, n) >= 0

    race(put, put, meanwhile=[cache.clear])
    entries, order = cache._parts()
    assert len(entries) == order.qsize() <= 4


def test_what_is_used_all_the_time_can_be_evicted() -> None:
    """Of one place: who puts does not wait for a moment in which nobody uses what is there."""
    cache: LRUCache[str, int] = LRUCache(1)
    cache["hot"] = 0

    def use() -> None:
        for _ in range(100):
            cache.get("hot")

    def put() -> None:
        for n in range(50 * STRESS):
            cache["cold"] = n
            (const(("hot", n)) >> cache.put)()

    race(put, meanwhile=[use])
    assert list(cache) == ["hot"]


def test_uses_before_a_miss_are_older_than_uses_after_it() -> None:
    """Whatever thread they are by, and however many hits it has had."""
    cache: LRUCache[str, int] = LRUCache(3)
    for key in "abc":
        cache[key] = 1

    def much_used() -> None:
        for _ in range(1000):
            cache["a"]

    race(much_used)
    cache["c"] = 2  # no miss, but a put: clocks agree from here on
    cache["b"]
    cache["d"] = 1
    assert list(cache) == ["c", "b", "d"]


# ---- lru_cache -----------------------------------------------------------------------------------------------------


def test_parameters() -> None:
    def f(x: Any) -> Any:
        """Of f."""
        return x

    plain, named, unbounded, none = (
        lru_cache(f),
        lru_cache(maxsize=3, typed=True)(f),
        lru_cache(None)(f),
        lru_cache(-5)(f),
    )
    assert [g.cache_parameters() for g in (plain, named, unbounded, none)] == [
        {"maxsize": 128, "typed": False},
        {"maxsize": 3, "typed": True},
        {"maxsize": None, "typed": False},
        {"maxsize": 0, "typed": False},
    ]
    for g in (plain, named, unbounded, none):
        assert (g(1), g(1), g.__wrapped__, g.__name__, g.__doc__) == (1, 1, f, "f", "Of f.")
        assert isinstance(g.cache_info(), functools._CacheInfo)
        g.cache_clear()
        assert g.cache_info()[:2] == (0, 0)
    for wrong in ("3", 1.5, [1]):
        with pytest.raises(TypeError):
            lru_cache(wrong)  # type: ignore[call-overload]


calls = st.lists(
    st.tuples(
        st.lists(st.sampled_from([0, 1, 1.0, True, "a", b"a", None, (1, 2), (1, 2.0)]), max_size=2),
        st.dictionaries(st.sampled_from("xy"), st.sampled_from([1, "b"]), max_size=2),
    ),
    max_size=30,
)


@settings(deadline=None)
@given(st.sampled_from([0, 1, 3, None]), st.booleans(), calls)
def test_hits_and_misses_as_functools(
    maxsize: int | None, typed: bool, calls: list[tuple[list[Hashable], dict[str, Hashable]]]
) -> None:
    """The same calls reach the function, in the same order, and the same values come back."""
    reached: list[list[Any]] = [[], []]
    decorators: list[Any] = [functools.lru_cache, lru_cache]

    def cached(i: int) -> Any:
        @decorators[i](maxsize, typed)
        def f(*args: Any, **kwargs: Any) -> Any:
            reached[i].append((args, kwargs))
            return args, kwargs

        return f

    theirs, ours = cached(0), cached(1)
    for args, kwargs in calls:
        assert repr(ours(*args, **kwargs)) == repr(theirs(*args, **kwargs))
        assert ours.cache_info() == theirs.cache_info()
    assert repr(reached[0]) == repr(reached[1])


@lru_cache
def module_level(x: int) -> int:
    return x


def test_is_copied_and_pickled_by_name() -> None:
    assert (
        copy.copy(module_level)
        is copy.deepcopy(module_level)
        is pickle.loads(pickle.dumps(module_level))
        is module_level
    )
    module_level.extra = 1
    assert module_level.__dict__["extra"] == 1
    assert weakref.ref(module_level)() is module_level


def test_methods() -> None:
    class C:
        @lru_cache
        def method(self, x: int) -> tuple[C, int]:
            return self, x

        @staticmethod
        @lru_cache(maxsize=2)
        def static(x: int) -> int:
            return x

        @classmethod
        @lru_cache(maxsize=2)
        def of_class(cls, x: int) -> tuple[type, int]:
            return cls, x

    a, b = C(), C()
    assert (a.method(1), b.method(1), a.method(x=1), C.method(a, 1)) == ((a, 1), (b, 1), (a, 1), (a, 1))
    assert (C.method.cache_info()[:2], a.static(3), C.of_class(4)) == ((1, 3), 3, (C, 4))
    assert a.method.__self__ is a


def test_what_the_function_raises_is_not_kept() -> None:
    answers = iter([KeyError("first"), None])

    @lru_cache
    def f(x: int) -> int:
        if error := next(answers):
            raise error
        return x

    with pytest.raises(KeyError, match="first") as caught:
        f(1)
    assert caught.value.__context__ is None
    assert (f(1), f(1), f.cache_info()[:2]) == (1, 1, (1, 2))
    with pytest.raises(TypeError, match="unhashable"):
        f([])


def test_the_function_may_do_anything() -> None:
    """Call itself, clear, wait in reactions of its own, and be called within a reaction."""
    queue: Queue[int] = Queue()

    @lru_cache(maxsize=4)
    def fib(n: int) -> int:
        if n == 5:
            fib.cache_clear()
        queue.put(n)
        (queue.get >> (lambda x: x))()
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    assert fib(30) == 832040
    ref = Ref(10)
    assert (ref.read >> lift(fib))() == 55


def test_keys_of_calls_are_hashed_once_and_compared_outside() -> None:
    hashed, compared = Counter(), Counter()

    @lru_cache(maxsize=2)
    def f(x: Any, y: int = 0) -> Any:
        return x.n

    for n in (1, 1, 2, 1, 3, 2, 1):
        before = hashed.value()
        assert f(Key(n, compared.add, hashed.add), 5) == n
        assert hashed.value() == before + 1
    assert f.cache_info() == (2, 5, 2, 2)
    assert compared.value() >= 2
    trouble: list[Callable[[], object]] = []
    assert f(Key(4, on_eq=lambda: [g() for g in trouble]), 5) == 4
    trouble.append(fail)
    with pytest.raises(ZeroDivisionError):
        f(Key(4), 5)
    trouble.clear()
    assert f(Key(4), 5) == 4


def test_a_cycle_through_the_function_is_collected() -> None:
    class Value:
        pass

    def make() -> weakref.ref[Any]:
        value = Value()

        @lru_cache
        def f(x: int) -> Any:
            return f, value

        f(1)
        return weakref.ref(value)

    reference = make()
    gc.collect()
    assert reference() is None


def test_many_threads() -> None:
    """Each call is a hit or a miss, the function is called once a miss, and results are right."""
    called, made = Counter(), Counter()

    @lru_cache(maxsize=20)
    def square(n: int) -> int:
        called.add()
        return n * n

    def work() -> None:
        rng = random.Random(threading.get_ident())
        for _ in range(1_000 * STRESS):
            n = min(rng.randrange(40), rng.randrange(40))
            made.add()
            assert square(n) == n * n

    race(work, work, work, meanwhile=[gc.collect])
    info = square.cache_info()
    assert (info.misses, info.hits + info.misses, info.currsize) == (called.value(), made.value(), 20)


def test_a_map_is_what_keeps_all() -> None:
    @lru_cache(maxsize=None)
    def f(n: int) -> list[int]:
        return [n]

    first = [f(n) for n in range(1_000)]
    assert all(f(n) is value for n, value in enumerate(first))
    assert f.cache_info() == (1_000, 1_000, None, 1_000)
    f.cache_clear()
    assert f(1) is not first[1]
    assert isinstance(Map(), Map)
