"""Map: dict for threads, without locks."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, MutableMapping, ValuesView
from reprlib import recursive_repr
from types import MappingProxyType
from typing import Any, Self, TypeVar, overload

from reagents._core import BaseMap

_K = TypeVar("_K")
_V = TypeVar("_V")
_T = TypeVar("_T")


class _Keys(KeysView[_K]):
    __slots__ = ()
    _mapping: Mapping[_K, Any]

    @property
    def mapping(self) -> MappingProxyType[_K, Any]:
        """The map that this is a view of, to be read only."""
        return MappingProxyType(self._mapping)

    @classmethod
    def _from_iterable(cls, it: Iterable[_T]) -> set[_T]:
        return set(it)

    def __repr__(self) -> str:
        return f"{type(self._mapping).__name__}.keys({list(self)!r})"


class _Values(ValuesView[_V]):
    __slots__ = ()
    _mapping: Map[Any, _V]

    @property
    def mapping(self) -> MappingProxyType[Any, _V]:
        """The map that this is a view of, to be read only."""
        return MappingProxyType(self._mapping)

    def __iter__(self) -> Iterator[_V]:
        return self._mapping._values()

    def __contains__(self, value: object) -> bool:
        return any(v is value or v == value for v in self._mapping._values())

    @recursive_repr()
    def __repr__(self) -> str:
        return f"{type(self._mapping).__name__}.values({list(self)!r})"


class _Items(ItemsView[_K, _V]):
    __slots__ = ()
    _mapping: Map[_K, _V]

    @property
    def mapping(self) -> MappingProxyType[_K, _V]:
        """The map that this is a view of, to be read only."""
        return MappingProxyType(self._mapping)

    @classmethod
    def _from_iterable(cls, it: Iterable[_T]) -> set[_T]:
        return set(it)

    def __iter__(self) -> Iterator[tuple[_K, _V]]:
        return self._mapping._items()

    def __contains__(self, item: object) -> bool:
        if not isinstance(item, tuple) or len(item) != 2:
            return False
        return super().__contains__(item)

    @recursive_repr()
    def __repr__(self) -> str:
        return f"{type(self._mapping).__name__}.items({list(self)!r})"


class Map(BaseMap[_K, _V]):
    """Map(mapping_or_pairs=(), /, **more)

    A dict that threads share without locks: a split-ordered list (Shalev and Shavit, J. ACM 2006).

    It has dict's methods, and is a MutableMapping. Each call on one key is one atomic step, ``len`` is exact,
    and ``snapshot()`` returns all of it at one instant. Reading writes no shared memory but the value's count
    of references. It grows step by step: no insertion has to move what is there. Keys are unordered. While it
    is iterated over it may change: each key that is there throughout comes exactly once, no key comes twice.
    ``update``, ``clear``, ``|=`` and ``==`` are several steps, not one.

    ``m.at(key)`` is a Ref-like view of one key whose operations are reagents and compose.

    Keys must be hashable, and keep their hash: one that changes is not found any more. Hashing and comparing keys runs
    outside of anything protected, may use the map itself, and what it raises is raised, nothing being changed.

    >>> from lockfree import Map
    >>> m = Map(a=1)
    >>> m["b"] = 2
    >>> m.pop("a"), len(m), sorted(m.items())
    (1, 1, [('b', 2)])
    """

    __slots__ = ()

    @overload
    def __init__(self, /) -> None: ...
    @overload
    def __init__(self, other: Mapping[_K, _V] | Iterable[tuple[_K, _V]], /) -> None: ...
    @overload
    def __init__(
        self: Map[str, _V], other: Mapping[str, _V] | Iterable[tuple[str, _V]] = ..., /, **more: _V
    ) -> None: ...
    def __init__(self, other: Any = (), /, **more: Any) -> None:
        self.update(other, **more)

    @classmethod
    @overload
    def fromkeys(cls, keys: Iterable[_T], value: None = None, /) -> Map[_T, Any | None]: ...
    @classmethod
    @overload
    def fromkeys(cls, keys: Iterable[_T], value: _V, /) -> Map[_T, _V]: ...
    @classmethod
    def fromkeys(cls, keys: Iterable[Any], value: Any = None, /) -> Map[Any, Any]:
        """fromkeys(keys, value=None, /)

        A new map with these keys, all of that value.

        >>> from lockfree import Map
        >>> Map.fromkeys("a", 0)
        Map({'a': 0})
        """
        m: Map[Any, Any] = cls()
        for k in keys:
            m[k] = value
        return m

    def update(self, other: Any = (), /, **more: Any) -> None:
        """update(other=(), /, **more)

        Sets the keys of a mapping, or of pairs (key, value), and of the keyword arguments, one after the other.
        Lock-free.

        >>> from lockfree import Map
        >>> m = Map()
        >>> m.update([("a", 1)], b=2)
        >>> len(m)
        2
        """
        if type(other) is dict:
            self._fill(other)
        elif isinstance(other, BaseMap):
            for k, v in other._items():
                self[k] = v
        elif isinstance(other, Mapping) or hasattr(other, "keys"):
            for k in other.keys():  # noqa: SIM118
                self[k] = other[k]
        else:
            for i, pair in enumerate(other):
                try:
                    entry = tuple(pair)
                except TypeError:
                    raise TypeError(f"cannot convert Map update sequence element #{i} to a sequence") from None
                if len(entry) != 2:
                    raise ValueError(f"Map update sequence element #{i} has length {len(entry)}; 2 is required")
                self[entry[0]] = entry[1]
        if more:
            self._fill(more)

    def keys(self) -> KeysView[_K]:
        """keys()

        A view of the keys, as dict.keys().

        >>> from lockfree import Map
        >>> "a" in Map(a=1).keys()
        True
        """
        return _Keys(self)

    def values(self) -> ValuesView[_V]:
        """values()

        A view of the values, as dict.values().

        >>> from lockfree import Map
        >>> list(Map(a=1).values())
        [1]
        """
        return _Values(self)

    def items(self) -> ItemsView[_K, _V]:
        """items()

        A view of the pairs (key, value), as dict.items(). Each pair was there at one instant.

        >>> from lockfree import Map
        >>> list(Map(a=1).items())
        [('a', 1)]
        """
        return _Items(self)

    def copy(self) -> Map[_K, _V]:
        """copy()

        A new map with the keys and values that were there at one instant.

        >>> from lockfree import Map
        >>> Map(a=1).copy()
        Map({'a': 1})
        """
        new: Map[_K, _V] = Map()
        new._fill(self.snapshot())
        return new

    __copy__ = copy

    def __or__(self, other: Any) -> Map[Any, Any]:
        if not isinstance(other, dict | BaseMap):
            return NotImplemented
        new = self.copy()
        new.update(other)
        return new

    def __ror__(self, other: Any) -> Map[Any, Any]:
        if not isinstance(other, dict):
            return NotImplemented
        new: Map[Any, Any] = Map()
        new.update(other)
        new.update(self)
        return new

    def __ior__(self, other: Any) -> Self:
        self.update(other)
        return self

    def __eq__(self, other: object) -> bool:
        if isinstance(other, BaseMap):
            return bool(self.snapshot() == other.snapshot())
        if isinstance(other, Mapping):
            return bool(self.snapshot() == (other if isinstance(other, dict) else dict(other.items())))
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    @recursive_repr("Map({...})")
    def __repr__(self) -> str:
        inside = "{" + ", ".join(f"{k!r}: {v!r}" for k, v in self._items()) + "}"
        return f"{type(self).__name__}({inside if inside != '{}' else ''})"


Map.__module__ = "lockfree"
MutableMapping.register(Map)
