"""Set: set for threads, without locks."""

from __future__ import annotations

from collections.abc import Iterable, MutableSet
from collections.abc import Set as AbstractSet
from reprlib import recursive_repr
from typing import Any, Self, TypeVar

from reagents._core import BaseSet

_T = TypeVar("_T")


def _frozen(other: Iterable[Any]) -> AbstractSet[Any]:
    """The items of any iterable, in a built-in set."""
    if isinstance(other, set | frozenset):
        return other
    return other.snapshot() if isinstance(other, BaseSet) else frozenset(other)


def _is_set(other: object) -> bool:
    return isinstance(other, set | frozenset | BaseSet)


def _new(items: Iterable[Any]) -> Set[Any]:
    new: Set[Any] = Set()
    for item in items:
        new.add(item)
    return new


class Set(BaseSet[_T]):
    """Set(iterable=(), /)

    A set that threads share without locks: a split-ordered list (Shalev and Shavit, J. ACM 2006).

    It has set's methods, and is a MutableSet. Adding, discarding and looking for one item is one atomic step,
    ``len`` is exact, and ``snapshot()`` returns all of it at one instant, as a frozenset. Items are unordered.
    While it is iterated over it may change: each item that is there throughout comes exactly once, none comes
    twice. Operations with another set work on a snapshot of this one; those that change it take item after
    item, and are several steps, not one. About hashing and comparing see Map.

    >>> from lockfree import Set
    >>> s = Set([1, 2])
    >>> s.add(3)
    >>> sorted(s & {2, 3, 4})
    [2, 3]
    """

    __slots__ = ()

    def __init__(self, iterable: Iterable[_T] = (), /) -> None:
        self.clear()
        for item in iterable:
            self.add(item)

    def copy(self) -> Set[_T]:
        """copy()

        A new Set with the items that were there at one instant.

        >>> from lockfree import Set
        >>> Set([1]).copy()
        Set({1})
        """
        return _new(self.snapshot())

    __copy__ = copy

    # ---- new sets

    def union(self, *others: Iterable[Any]) -> Set[Any]:
        """union(*others)

        >>> from lockfree import Set
        >>> Set([1]).union([2]) == {1, 2}
        True
        """
        return _new(self.snapshot().union(*map(_frozen, others)))

    def intersection(self, *others: Iterable[Any]) -> Set[_T]:
        """intersection(*others)

        >>> from lockfree import Set
        >>> Set([1, 2]).intersection([2])
        Set({2})
        """
        return _new(self.snapshot().intersection(*map(_frozen, others)))

    def difference(self, *others: Iterable[Any]) -> Set[_T]:
        """difference(*others)

        >>> from lockfree import Set
        >>> Set([1, 2]).difference([2])
        Set({1})
        """
        return _new(self.snapshot().difference(*map(_frozen, others)))

    def symmetric_difference(self, other: Iterable[Any], /) -> Set[Any]:
        """symmetric_difference(other, /)

        >>> from lockfree import Set
        >>> Set([1, 2]).symmetric_difference([2, 3]) == {1, 3}
        True
        """
        return _new(self.snapshot().symmetric_difference(_frozen(other)))

    def __or__(self, other: Any) -> Set[Any]:
        return self.union(other) if _is_set(other) else NotImplemented

    def __and__(self, other: Any) -> Set[_T]:
        return self.intersection(other) if _is_set(other) else NotImplemented

    def __sub__(self, other: Any) -> Set[_T]:
        return self.difference(other) if _is_set(other) else NotImplemented

    def __xor__(self, other: Any) -> Set[Any]:
        return self.symmetric_difference(other) if _is_set(other) else NotImplemented

    __ror__, __rand__, __rxor__ = __or__, __and__, __xor__

    def __rsub__(self, other: Any) -> Set[Any]:
        return _new(_frozen(other) - self.snapshot()) if _is_set(other) else NotImplemented

    # ---- changing this one, item after item

    def update(self, *others: Iterable[_T]) -> None:
        """update(*others)

        Adds all their items, one after the other.

        >>> from lockfree import Set
        >>> s = Set()
        >>> s.update([1], [2])
        >>> len(s)
        2
        """
        for other in others:
            for item in _frozen(other) if other is self else other:
                self.add(item)

    def intersection_update(self, *others: Iterable[Any]) -> None:
        """intersection_update(*others)

        Discards the items that are not in all of them, one after the other.

        >>> from lockfree import Set
        >>> s = Set([1, 2])
        >>> s.intersection_update([2])
        >>> s
        Set({2})
        """
        mine = self.snapshot()
        for item in mine - mine.intersection(*map(_frozen, others)):
            self.discard(item)

    def difference_update(self, *others: Iterable[Any]) -> None:
        """difference_update(*others)

        Discards all their items, one after the other.

        >>> from lockfree import Set
        >>> s = Set([1, 2])
        >>> s.difference_update([2])
        >>> s
        Set({1})
        """
        for other in others:
            for item in _frozen(other):
                self.discard(item)

    def symmetric_difference_update(self, other: Iterable[_T], /) -> None:
        """symmetric_difference_update(other, /)

        Discards its items that are here and adds those that are not, one after the other.

        >>> from lockfree import Set
        >>> s = Set([1])
        >>> s.symmetric_difference_update([1, 2])
        >>> s
        Set({2})
        """
        for item in _frozen(other):
            if not self.try_discard(item):
                self.add(item)

    def __ior__(self, other: Any) -> Self:
        if not _is_set(other):
            return NotImplemented
        self.update(other)
        return self

    def __iand__(self, other: Any) -> Self:
        if not _is_set(other):
            return NotImplemented
        self.intersection_update(other)
        return self

    def __isub__(self, other: Any) -> Self:
        if not _is_set(other):
            return NotImplemented
        self.difference_update(other)
        return self

    def __ixor__(self, other: Any) -> Self:
        if not _is_set(other):
            return NotImplemented
        self.symmetric_difference_update(other)
        return self

    # ---- comparing

    def isdisjoint(self, other: Iterable[Any], /) -> bool:
        """isdisjoint(other, /)

        >>> from lockfree import Set
        >>> Set([1]).isdisjoint([2])
        True
        """
        return self.snapshot().isdisjoint(_frozen(other))

    def issubset(self, other: Iterable[Any], /) -> bool:
        """issubset(other, /)

        >>> from lockfree import Set
        >>> Set([1]).issubset([1, 2])
        True
        """
        return self.snapshot().issubset(_frozen(other))

    def issuperset(self, other: Iterable[Any], /) -> bool:
        """issuperset(other, /)

        >>> from lockfree import Set
        >>> Set([1, 2]).issuperset([1])
        True
        """
        return self.snapshot().issuperset(_frozen(other))

    def __eq__(self, other: object) -> bool:
        return self.snapshot() == _frozen(other) if _is_set(other) else NotImplemented  # type: ignore[arg-type]

    def __le__(self, other: Any) -> bool:
        return self.snapshot() <= _frozen(other) if _is_set(other) else NotImplemented

    def __lt__(self, other: Any) -> bool:
        return self.snapshot() < _frozen(other) if _is_set(other) else NotImplemented

    def __ge__(self, other: Any) -> bool:
        return self.snapshot() >= _frozen(other) if _is_set(other) else NotImplemented

    def __gt__(self, other: Any) -> bool:
        return self.snapshot() > _frozen(other) if _is_set(other) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    @recursive_repr("...")
    def _inside(self) -> str:
        return ", ".join(map(repr, self))

    def __repr__(self) -> str:
        inside = self._inside()
        if inside and inside != "...":
            inside = f"{{{inside}}}"
        return f"{type(self).__name__}({inside})"


Set.__module__ = "lockfree"
MutableSet.register(Set)
