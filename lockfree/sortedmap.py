"""SortedMap: what of a MutableMapping is not worth C."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping, MutableMapping, ValuesView
from itertools import islice
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from reagents._core import BaseSortedMap

if TYPE_CHECKING:
    from reagents import Reagent

__all__ = ["SortedMap"]

_K = TypeVar("_K")
_V = TypeVar("_V")
_T = TypeVar("_T")

_KEYS, _VALUES, _ITEMS = range(3)


class _Reversible:
    __slots__ = ()
    _gives = _KEYS
    _mapping: SortedMap[Any, Any]

    def __iter__(self) -> Iterator[Any]:
        return self._mapping._iterate(self._gives, None, None, True, True, False)

    def __reversed__(self) -> Iterator[Any]:
        return self._mapping._iterate(self._gives, None, None, True, True, True)


class SortedKeysView(_Reversible, KeysView[_K]):
    """The keys of a SortedMap, in their order; a set-like view."""

    __slots__ = ()


class SortedValuesView(_Reversible, ValuesView[_V]):
    """The values of a SortedMap, in the order of their keys."""

    __slots__ = ()
    _gives = _VALUES


class SortedItemsView(_Reversible, ItemsView[_K, _V]):
    """The bindings (key, value) of a SortedMap, in the order of their keys; a set-like view."""

    __slots__ = ()
    _gives = _ITEMS


class SortedRange(Generic[_K, _V]):
    """What `between(lo, hi)` of a SortedMap returns: reagents on the bindings with lo <= key < hi.

    >>> from lockfree import Queue
    >>> m, q = SortedMap(a=1, b=2, c=3), Queue()
    >>> (m.between('b', None).pop_min >> q.put)()
    >>> q.get()
    ('b', 2)
    """

    __slots__ = ("_hi", "_lo", "_map")

    def __init__(self, mapping: SortedMap[_K, _V], lo: _K | None, hi: _K | None) -> None:
        self._map, self._lo, self._hi = mapping, lo, hi

    @property
    def min(self) -> Reagent[Any, tuple[_K, _V]]:
        """A reagent: the binding with the smallest key; blocks while there is none."""
        return self._map._within(0, self._lo, self._hi)

    @property
    def max(self) -> Reagent[Any, tuple[_K, _V]]:
        """A reagent: the binding with the largest key; blocks while there is none."""
        return self._map._within(1, self._lo, self._hi)

    @property
    def pop_min(self) -> Reagent[Any, tuple[_K, _V]]:
        """A reagent: takes out the binding with the smallest key; blocks while there is none."""
        return self._map._within(2, self._lo, self._hi)

    @property
    def pop_max(self) -> Reagent[Any, tuple[_K, _V]]:
        """A reagent: takes out the binding with the largest key; blocks while there is none."""
        return self._map._within(3, self._lo, self._hi)

    @property
    def snapshot(self) -> Reagent[Any, list[tuple[_K, _V]]]:
        """A reagent: a list of the bindings, all at one instant; never blocks."""
        return self._map._within(4, self._lo, self._hi)

    def __repr__(self) -> str:
        return f"<{type(self._map).__name__} at {id(self._map):#x} from {self._lo!r} to {self._hi!r}>"


class SortedMap(BaseSortedMap[_K, _V]):
    """SortedMap(mapping_or_iterable=(), /, **kwargs)

    A mapping in the order of its keys that threads share without locks: a skip list after Fraser (2004) and Herlihy and
    Shavit (2008). It stands in for sortedcontainers.SortedDict, and for dict where keys can be compared.

    Keys are ordered by `<` alone: they need no hash, and two of which neither is less are the same key. Keys that
    cannot be compared raise TypeError, as sorted() would, and what `<` raises is passed on; either way nothing has
    changed. NaN raises ValueError. An order that changes, or contradicts itself, may hide bindings, and does no other
    harm.

    Single operations are lock-free and linearizable. min, max, pop_min, pop_max and snapshot are methods and reagents;
    `m.at(key)` is one key as a Ref, `m.between(lo, hi)` a range. A reaction that looks at a range (these five) logs two
    words for each binding that it has passed, and starts again when one of them changed; bindings that come or go
    elsewhere do not disturb it. A missing key that a reaction asks for has a place in the map until that reaction ends,
    not bound: to reactions that look at the range around it this is a change when it comes and one when it goes.
    Iterating, the views and what is computed from them (==, repr, copy, |) go on while the map changes, in the order of
    the keys: what is bound all the while is seen, what comes or goes meanwhile may be. len() is exact when nobody is in
    the middle of a change.

    >>> m = SortedMap({3: 'c', 1: 'a'})
    >>> m[2] = 'b'
    >>> list(m), m.pop_min(), m.max()
    ([1, 2, 3], (1, 'a'), (3, 'c'))
    """

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, other: Any = (), /, **kwargs: Any) -> None:
        self.update(other, **kwargs)

    def update(self, other: Any = (), /, **kwargs: Any) -> None:
        """Bind the keys of a mapping, or of an iterable of pairs, then the keywords, one after the other. Lock-free.

        >>> m = SortedMap()
        >>> m.update({'b': 2}, a=1)
        >>> m
        SortedMap({'a': 1, 'b': 2})
        """
        MutableMapping.update(self, other, **kwargs)

    def popitem(self, last: bool = True) -> tuple[_K, _V]:
        """Take out the binding with the largest key, or the smallest if not last; KeyError if there is none. Lock-free.

        As in OrderedDict and sortedcontainers.

        >>> SortedMap(a=1, b=2).popitem()
        ('b', 2)
        """
        return self.pop_max() if last else self.pop_min()

    def peekitem(self, index: int = -1) -> tuple[_K, _V]:
        """The binding at an index in the order of keys; IndexError if there are fewer. As in sortedcontainers.

        0 and -1 are min() and max(); any other index counts its way there, and is as vague as iterating if others
        change the map meanwhile.

        >>> SortedMap(a=1, b=2, c=3).peekitem(1)
        ('b', 2)
        """
        if index in (0, -1):
            try:
                return self.min() if index == 0 else self.max()
            except KeyError:
                raise IndexError("the index is out of range") from None
        pairs = self.range() if index >= 0 else self.range(reverse=True)
        for pair in islice(pairs, index if index >= 0 else -1 - index, None):
            return pair
        raise IndexError("the index is out of range")

    def between(self, lo: _K | None = None, hi: _K | None = None) -> SortedRange[_K, _V]:
        """Reagents min, max, pop_min, pop_max and snapshot on the bindings with lo <= key < hi, None being no bound.

        As reagents only: m.min(lo, hi) and the like act at once.

        >>> SortedMap(a=1, b=2, c=3).between('b').snapshot()
        [('b', 2), ('c', 3)]
        """
        return SortedRange(self, lo, hi)

    def range(
        self,
        lo: _K | None = None,
        hi: _K | None = None,
        *,
        inclusive: tuple[bool, bool] = (True, False),
        reverse: bool = False,
    ) -> Iterator[tuple[_K, _V]]:
        """The bindings from lo to hi, in the order of keys, or backwards; None is no bound.

        Whether the bounds themselves belong to it, `inclusive` says. It never raises RuntimeError when the map changes:
        what is bound all the while is seen, once; what comes or goes meanwhile may be. snapshot(lo, hi) is one instant.

        >>> list(SortedMap(a=1, b=2, c=3).range('b'))
        [('b', 2), ('c', 3)]
        """
        with_lo, with_hi = inclusive
        return self._iterate(_ITEMS, lo, hi, with_lo, with_hi, reverse)

    def irange(
        self,
        minimum: _K | None = None,
        maximum: _K | None = None,
        inclusive: tuple[bool, bool] = (True, True),
        reverse: bool = False,
    ) -> Iterator[_K]:
        """The keys from minimum to maximum, as sortedcontainers.SortedDict.irange; otherwise as range().

        >>> list(SortedMap(a=1, b=2, c=3).irange('a', 'b'))
        ['a', 'b']
        """
        with_minimum, with_maximum = inclusive
        return self._iterate(_KEYS, minimum, maximum, with_minimum, with_maximum, reverse)

    def get_or_compute(self, key: _K, f: Callable[[_K], _V]) -> _V:
        """The value of key; a missing key is bound to f(key) first. Threads that race may each call f; one value wins.

        >>> SortedMap().get_or_compute(3, lambda k: k * k)
        9
        """
        value = self.get(key, _missing)
        return value if value is not _missing else self.setdefault(key, f(key))

    def copy(self) -> SortedMap[_K, _V]:
        """A SortedMap with the bindings of one instant.

        >>> SortedMap(a=1).copy()
        SortedMap({'a': 1})
        """
        return type(self)(self.snapshot())

    @classmethod
    def fromkeys(cls, iterable: Iterable[_K], value: Any = None) -> SortedMap[_K, Any]:
        """A SortedMap with these keys, each bound to value.

        >>> SortedMap.fromkeys('ab')
        SortedMap({'a': None, 'b': None})
        """
        new: SortedMap[_K, Any] = cls()
        for key in iterable:
            new[key] = value
        return new

    def keys(self) -> SortedKeysView[_K]:
        """A set-like view of the keys, in their order.

        >>> list(SortedMap(b=2, a=1).keys())
        ['a', 'b']
        """
        return SortedKeysView(self)

    def values(self) -> SortedValuesView[_V]:
        """A view of the values, in the order of their keys.

        >>> list(SortedMap(b=2, a=1).values())
        [1, 2]
        """
        return SortedValuesView(self)

    def items(self) -> SortedItemsView[_K, _V]:
        """A set-like view of the bindings, in the order of their keys.

        >>> list(SortedMap(b=2, a=1).items())
        [('a', 1), ('b', 2)]
        """
        return SortedItemsView(self)

    def __reversed__(self) -> Iterator[_K]:
        return self._iterate(_KEYS, None, None, True, True, True)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        if len(self) != len(other):
            return False
        theirs = dict(other.items()) if not isinstance(other, SortedMap) else other
        try:
            return all(
                mine is their or mine == their
                for mine, their in ((value, theirs.get(key, _missing)) for key, value in self.items())
            )
        except TypeError:
            return False

    @overload
    def __or__(self, other: Mapping[_K, _V], /) -> SortedMap[_K, _V]: ...
    @overload
    def __or__(self, other: Mapping[_K, _T], /) -> SortedMap[_K, _V | _T]: ...
    def __or__(self, other: Any, /) -> Any:
        if not isinstance(other, Mapping):
            return NotImplemented
        new: SortedMap[Any, Any] = self.copy()
        new.update(other)
        return new

    def __ror__(self, other: Mapping[_K, _T], /) -> SortedMap[_K, _V | _T]:
        if not isinstance(other, Mapping):
            return NotImplemented
        new: SortedMap[Any, Any] = type(self)(other)
        new.update(self)
        return new

    def __ior__(self, other: Any, /) -> SortedMap[_K, _V]:  # type: ignore[misc]
        self.update(other)
        return self

    @recursive_repr("SortedMap({...})")
    def __repr__(self) -> str:
        return f"{type(self).__name__}({{{', '.join(f'{k!r}: {v!r}' for k, v in self.items())}}})"


_missing: Any = object()
MutableMapping.register(SortedMap)
SortedMap.__module__ = SortedRange.__module__ = "lockfree"
