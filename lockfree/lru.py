"""LRUCache and lru_cache: caches that forget what was used longest ago, without locks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Protocol, Self, TypeAlias, TypeVar, cast, overload

from lockfree.map import Map
from reagents._core import Cache, Cached, CacheEntry, PriorityQueue, Reagent, attempt, computed, const, post_commit

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")
_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)

#: Entries by key; and, in as many places as there may be entries, all of them by the time of their last use. An item is
#: (stamp, entry); no two stamps are equal. The entry may have been used since: then its own stamp is newer.
_Entries: TypeAlias = Map[Any, CacheEntry[Any]]
_Order: TypeAlias = PriorityQueue[tuple[int, CacheEntry[Any]]]


def _parts(maxsize: int) -> tuple[_Entries, _Order]:
    return Map(), PriorityQueue(maxsize)


def _in_order(entry: CacheEntry[Any]) -> tuple[int, CacheEntry[Any]]:
    return entry.stamp, entry


# ---- the compositions: each is part of one reaction ----------------------------------------------------------------


def _evict(entries: _Entries, order: _Order, now: int) -> Reagent[Any, Any]:
    """Take out the entry that was used longest ago; what turns out to have been used since goes back into the order.

    But what goes on being used from `now` on is as good as any: uses by others must not keep us busy for ever.
    """

    def look(item: tuple[int, CacheEntry[Any]]) -> Reagent[None, Any]:
        stamp, entry = item
        if entry.stamp == stamp or stamp > now:
            return entry.at(entries).remove
        return const(_in_order(entry)) >> order.put >> _evict(entries, order, now)

    return order.get >> computed(look)


def _add(entry: CacheEntry[Any], entries: _Entries, order: _Order) -> Reagent[Any, None]:
    """Bind its key to a new entry, in a place of the order, which is made if there is none."""
    enter = const(_in_order(entry)) >> order.put
    return const(entry) >> entry.at(entries).write >> (enter + (_evict(entries, order, entry.stamp) >> enter))


def _renew(cache: Cache[Any, _V], held: CacheEntry[_V], entry: CacheEntry[_V]) -> Reagent[Any, None]:
    """The entry that is there gets the value of the new one."""
    return entry.read >> held.write >> const(held) >> post_commit(cache._renewed)


def _freshen(order: _Order, now: int) -> None:
    """Bring the front of the order up to date, an entry at a time, so that no reaction has to put many back."""
    again = attempt(order.get >> (lambda item: _in_order(item[1])) >> order.put)
    while order.full():
        stamp, entry = attempt(order.peek, (0, None))()
        if entry is None or entry.stamp == stamp or stamp > now:
            return
        again()


# ---- LRUCache -----------------------------------------------------------------------------------------------------


class LRUCache(Cache[_K, _V]):
    """LRUCache(maxsize)

    A mapping of at most maxsize keys that threads share. To put one more takes out the one that was used longest ago,
    in the same step; get, put, `cache[key]` and `cache[key] = value` are uses, peek and `in` are not. get and put are
    methods and reagents.

    With one thread the order of uses is exact. With several a use before a put of a new key is older than any use after
    it; between two such puts, uses by different threads are in no particular order. That is so because a use of
    a key that is there only leaves a stamp, and changes nothing that threads share but the entry itself.

    Composed of a Map and a PriorityQueue. Lock-free. Raises TypeError if maxsize is not an integer, ValueError if it is
    not positive.

    >>> from lockfree import LRUCache
    >>> cache = LRUCache(2)
    >>> cache["a"] = 1; cache["b"] = 2
    >>> cache["a"]
    1
    >>> cache["c"] = 3
    >>> list(cache), cache.get("b", "gone")
    (['a', 'c'], 'gone')
    """

    __slots__ = ("_maxsize",)
    __module__ = "lockfree"
    _maxsize: int

    def __new__(cls, maxsize: int) -> Self:
        self = super().__new__(cls, _parts(_positive(maxsize)))
        self._maxsize = maxsize
        return self

    @property
    def maxsize(self) -> int:
        """How many keys there may be. Does not change."""
        return self._maxsize

    # What the reagents of the C type go on with.

    def _getting(self, key: _K) -> Reagent[Any, Any]:
        def find(parts: tuple[_Entries, _Order]) -> Reagent[Any, Any]:
            found = parts[0].at(key).read >> post_commit(self._used) >> computed(lambda entry: entry.read)
            return found + (post_commit(lambda _: self._missed()) >> const(None))

        return self._parts >> computed(find)

    def _putting(self, pair: tuple[_K, _V]) -> Reagent[Any, None]:
        return self._parts >> computed(lambda parts: self._place(self._entry(*pair), *parts))

    def _place(self, entry: CacheEntry[_V], entries: _Entries, order: _Order) -> Reagent[Any, None]:
        def renewed(held: CacheEntry[_V]) -> Reagent[None, Any]:
            return _renew(self, held, entry)

        renew = entry.at(entries).read >> computed(renewed)
        return (renew + _add(entry, entries, order)) >> const(None)

    def _put(self, key: _K, value: _V) -> None:
        entry = self._entry(key, value)
        _freshen(self._parts()[1], entry.stamp)
        (self._parts >> computed(lambda parts: self._place(entry, *parts)))()

    def _remember(self, entry: CacheEntry[_V]) -> None:
        """Add it, unless its key has an entry by now."""
        _freshen(self._parts()[1], entry.stamp)
        (self._parts >> computed(lambda parts: entry.at(parts[0]).read + _add(entry, *parts)))()

    # The rest of a mapping.

    def __getitem__(self, key: _K) -> _V:
        """The value of key, of which this is a use. Raises KeyError when it is missing. Lock-free."""
        value = self.get(key, _MISSING)
        if value is _MISSING:
            raise KeyError(key)
        return cast("_V", value)

    def __setitem__(self, key: _K, value: _V) -> None:
        """put(key, value)."""
        self.put(key, value)

    @overload
    def peek(self, key: _K, /) -> _V | None: ...
    @overload
    def peek(self, key: _K, default: _T, /) -> _V | _T: ...
    def peek(self, key: _K, default: Any = None, /) -> Any:
        """The value of key, or the default, and no use of it. Lock-free.

        >>> from lockfree import LRUCache
        >>> cache = LRUCache(1)
        >>> cache.put("a", 1)
        >>> cache.peek("a"), cache.info().hits
        (1, 0)
        """
        entry = self._parts()[0].get(key)
        return default if entry is None else entry.read()

    def __contains__(self, key: object) -> bool:
        """Whether key has a value; not a use of it. Lock-free."""
        return key in self._parts()[0]

    def __len__(self) -> int:
        """How many keys there are: never more than maxsize. Lock-free."""
        return len(self._parts()[0])

    def __iter__(self) -> Iterator[_K]:
        """The keys of one instant, from the one that was used longest ago."""
        entries: list[CacheEntry[_V]] = list(self._parts()[0].snapshot().values())
        return (entry.key for _, entry in sorted(map(_in_order, entries)))

    def clear(self) -> None:
        """Forget all at once, and count hits and misses from 0. Lock-free.

        >>> from lockfree import LRUCache
        >>> cache = LRUCache(1)
        >>> cache.put("a", 1); cache.clear(); len(cache)
        0
        """
        self._begin(_parts(self._maxsize))

    def info(self) -> functools._CacheInfo:
        """Hits and misses of get and `cache[key]`, maxsize, and how many keys there are, as of functools.lru_cache.

        Exact when no other thread is using the cache. Lock-free.

        >>> from lockfree import LRUCache
        >>> LRUCache(1).info()
        CacheInfo(hits=0, misses=0, maxsize=1, currsize=0)
        """
        return functools._CacheInfo(*self._stats(), self._maxsize, len(self))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {id(self):#x}, {len(self)} of {self._maxsize} keys>"


_MISSING: Any = object()


def _positive(maxsize: int) -> int:
    if not isinstance(maxsize, int):
        raise TypeError(f"maxsize must be an integer, not {type(maxsize).__name__}")
    if maxsize < 1:
        raise ValueError(f"maxsize must be positive, not {maxsize}")
    return maxsize


# ---- lru_cache ----------------------------------------------------------------------------------------------------


class _Unbounded(Cache[Any, Any]):
    """Results by key, and nothing else."""

    __slots__ = ()

    def __new__(cls) -> Self:
        return super().__new__(cls, (Map(),), plain=True)

    def __len__(self) -> int:
        return len(self._parts()[0])

    def clear(self) -> None:
        self._begin((Map(),))


class _Decorator(Protocol):
    def __call__(self, function: Callable[..., _T], /) -> Cached[_T]: ...


@overload
def lru_cache(maxsize: int | None = 128, typed: bool = False) -> _Decorator: ...
@overload
def lru_cache(maxsize: Callable[..., _T], typed: bool = False) -> Cached[_T]: ...
def lru_cache(maxsize: int | Callable[..., Any] | None = 128, typed: bool = False) -> Any:
    """functools.lru_cache without a lock: keeps the results of the latest calls of a function.

    With cache_info(), cache_clear(), cache_parameters() and __wrapped__, as there; for methods, too. maxsize None keeps
    all results, 0 none. The order in which results are forgotten is that of LRUCache. The function runs outside of
    any reaction; threads that miss the same arguments at the same time call it more than once. Arguments
    must be hashable (TypeError). Lock-free but for the function.

    >>> from lockfree import lru_cache
    >>> @lru_cache(maxsize=32)
    ... def square(x):
    ...     return x * x
    >>> square(3), square(3)
    (9, 9)
    >>> square.cache_info()
    CacheInfo(hits=1, misses=1, maxsize=32, currsize=1)
    """
    if callable(maxsize) and isinstance(typed, bool):
        return _cached(maxsize, 128, typed)
    if maxsize is not None and not isinstance(maxsize, int):
        raise TypeError("Expected first argument to be an integer, a callable, or None")
    size = None if maxsize is None else max(maxsize, 0)
    return lambda function: _cached(function, size, typed)


def _cached(function: Callable[..., _T], maxsize: int | None, typed: bool) -> Cached[_T]:
    cache = _Unbounded() if maxsize is None else LRUCache[Any, Any](maxsize) if maxsize else None
    cached = Cached(function, cache, maxsize, typed, functools._CacheInfo)
    cached.cache_parameters = lambda: {"maxsize": maxsize, "typed": typed}
    functools.update_wrapper(cached, function)
    return cached
