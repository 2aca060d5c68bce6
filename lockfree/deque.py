"""A deque that threads share without locks: what of it is not in C.

The operations at the ends and whatever only looks are in :mod:`reagents._core`. Those here change several items: each
works its change out on a copy of one instant, and the result takes the copy's place if nothing else has happened
meanwhile; else it starts over. So each is atomic, and lock-free, but takes time in proportion to the length.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, MutableSequence
from copy import deepcopy
from operator import index as at
from reprlib import recursive_repr
from sys import maxsize
from typing import Any, Self, SupportsIndex, TypeVar

from reagents._core import _Deque

_T = TypeVar("_T")
_R = TypeVar("_R")

_Items = tuple[list[_T] | None, _R]


class Deque(_Deque[_T]):
    """Deque(iterable=(), maxlen=None)

    A double-ended queue that threads share without locks, with the interface of collections.deque: Michael,
    Euro-Par 2003. append, appendleft, pop and popleft are methods and reagents; called on an empty one, pop and popleft
    raise Empty, an IndexError, unless told to wait (block, timeout); as reagents they wait.

    Everything is atomic. Iteration goes over the items of one instant, and nothing that happens meanwhile raises.
    len is exact. The operations at the ends take one CAS or two, and looking near an end (`d[0]`, `d[-1]`) none; what
    changes the middle, or everything, takes time in proportion to the length and starts over when somebody else was
    faster. Blocked pops are woken in the order of their arrival; who comes later may still be faster.

    >>> from lockfree import Deque
    >>> d = Deque("bc")
    >>> d.appendleft("a")
    >>> d.pop(), d
    ('c', Deque(['a', 'b']))
    """

    __slots__ = ()
    __module__ = "lockfree"
    __hash__ = None  # type: ignore[assignment]

    def _change(self, f: Callable[[list[_T]], _Items[_T, _R]]) -> _R:
        return self._edit(f)

    def _room(self, items: list[_T], *, left: bool = False) -> list[_T]:
        """What of the items a maxlen leaves when they come from one side."""
        most = self.maxlen
        if most is None or len(items) <= most:
            return items
        return items[:most] if left else items[len(items) - most :]

    def extend(self, iterable: Iterable[_T], /) -> None:
        """Put all items of iterable at the right end, at one instant. Never blocks. Lock-free.

        >>> from lockfree import Deque
        >>> d = Deque("a", maxlen=3)
        >>> d.extend("bcd")
        >>> d
        Deque(['b', 'c', 'd'], maxlen=3)
        """
        new = list(iterable)
        if self.maxlen is None:
            self._add_all(new, True)
        elif new:
            self._change(lambda items: (self._room(items + new), None))

    def extendleft(self, iterable: Iterable[_T], /) -> None:
        """Put all items of iterable at the left end, the last one leftmost, at one instant. Never blocks. Lock-free.

        >>> from lockfree import Deque
        >>> d = Deque("a")
        >>> d.extendleft("bc")
        >>> d
        Deque(['c', 'b', 'a'])
        """
        new = list(iterable)
        if self.maxlen is None:
            self._add_all(new, False)
        elif new:
            self._change(lambda items: (self._room(new[::-1] + items, left=True), None))

    def copy(self) -> Self:
        """A new Deque with the items of one instant, and the same maxlen. Never blocks. Lock-free.

        >>> from lockfree import Deque
        >>> Deque([1, 2], 5).copy()
        Deque([1, 2], maxlen=5)
        """
        new = type(self)(self.snapshot()) if self.maxlen is None else type(self)(self.snapshot(), self.maxlen)
        if not isinstance(new, Deque):
            raise TypeError(f"{type(self).__name__}() must return a Deque, not {type(new).__name__}")
        return new

    __copy__ = copy

    def count(self, value: Any, /) -> int:
        """How many items equal value, of those of one instant. Runs __eq__. Never blocks.

        >>> from lockfree import Deque
        >>> Deque("abca").count("a")
        2
        """
        return self.snapshot().count(value)

    def index(self, value: Any, start: SupportsIndex = 0, stop: SupportsIndex = maxsize, /) -> int:
        """Where value is first, from start and before stop; ValueError if nowhere. Runs __eq__. Never blocks.

        >>> from lockfree import Deque
        >>> Deque("abca").index("a", 1)
        3
        """
        items = self.snapshot()
        for i in range(*slice(at(start), at(stop)).indices(len(items))):
            if items[i] is value or items[i] == value:
                return i
        raise ValueError(f"{value!r} is not in deque")

    def insert(self, index: SupportsIndex, value: _T, /) -> None:
        """Put value before index. IndexError if there is a maxlen, and it is reached. Never blocks. Lock-free.

        >>> from lockfree import Deque
        >>> d = Deque("ac")
        >>> d.insert(1, "b")
        >>> d
        Deque(['a', 'b', 'c'])
        """

        def step(items: list[_T]) -> _Items[_T, None]:
            if len(items) == self.maxlen:
                raise IndexError("deque already at its maximum size")
            items.insert(index, value)
            return items, None

        self._change(step)

    def remove(self, value: Any, /) -> None:
        """Take out the first item that equals value; ValueError if there is none. Runs __eq__. Never blocks.

        >>> from lockfree import Deque
        >>> d = Deque("aba")
        >>> d.remove("a")
        >>> d
        Deque(['b', 'a'])
        """

        def step(items: list[_T]) -> _Items[_T, None]:
            for i, item in enumerate(items):
                if item is value or item == value:
                    del items[i]
                    return items, None
            raise ValueError("deque.remove(x): x not in deque")

        self._change(step)

    def reverse(self) -> None:
        """Turn the order of the items round. Never blocks. Lock-free.

        >>> from lockfree import Deque
        >>> d = Deque("ab")
        >>> d.reverse()
        >>> d
        Deque(['b', 'a'])
        """
        self._change(lambda items: (items[::-1], None))

    def rotate(self, n: SupportsIndex = 1, /) -> None:
        """Move n items from the right end to the left one; if n is negative, the other way. Never blocks. Lock-free.

        One step takes no longer in a long deque than in a short one.

        >>> from lockfree import Deque
        >>> d = Deque("abc")
        >>> d.rotate()
        >>> d
        Deque(['c', 'a', 'b'])
        """
        by = at(n)
        if by == 1 or by == -1:
            self._turn(by == 1)
            return

        def step(items: list[_T]) -> _Items[_T, None]:
            k = by % len(items) if items else 0
            return (items[-k:] + items[:-k] if k else None), None

        self._change(step)

    def __setitem__(self, index: SupportsIndex, value: _T, /) -> None:
        def step(items: list[_T]) -> _Items[_T, None]:
            try:
                items[at(index)] = value
            except IndexError:
                raise IndexError("deque index out of range") from None
            return items, None

        self._change(step)

    def __delitem__(self, index: SupportsIndex, /) -> None:
        def step(items: list[_T]) -> _Items[_T, None]:
            try:
                del items[at(index)]
            except IndexError:
                raise IndexError("deque index out of range") from None
            return items, None

        self._change(step)

    def __reversed__(self) -> Iterator[_T]:
        return reversed(tuple(self.snapshot()))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        new: Self = type(self)() if self.maxlen is None else type(self)((), self.maxlen)
        memo[id(self)] = new
        new.extend([deepcopy(item, memo) for item in self.snapshot()])
        return new

    def __contains__(self, value: object, /) -> bool:
        return value in self.snapshot()

    def __add__(self, other: Self | deque[_T], /) -> Self:
        if not isinstance(other, (Deque, deque)):
            raise TypeError(f'can only concatenate deque (not "{type(other).__name__}") to deque')
        new = self.copy()
        new.extend(other)
        return new

    def __iadd__(self, other: Iterable[_T], /) -> Self:
        self.extend(other)
        return self

    def __mul__(self, n: SupportsIndex, /) -> Self:
        new = self.copy()
        new *= n
        return new

    __rmul__ = __mul__

    def __imul__(self, n: SupportsIndex, /) -> Self:
        by = at(n)
        self._change(lambda items: (self._room(items * by), None))
        return self

    def _compare(self, other: object, by: str) -> Any:
        if not isinstance(other, (Deque, deque)):
            return NotImplemented
        return getattr(self.snapshot(), by)(list(other))

    def __eq__(self, other: object, /) -> bool:
        return self._compare(other, "__eq__")  # type: ignore[no-any-return]

    def __ne__(self, other: object, /) -> bool:
        return self._compare(other, "__ne__")  # type: ignore[no-any-return]

    def __lt__(self, other: Self | deque[_T], /) -> bool:
        return self._compare(other, "__lt__")  # type: ignore[no-any-return]

    def __le__(self, other: Self | deque[_T], /) -> bool:
        return self._compare(other, "__le__")  # type: ignore[no-any-return]

    def __gt__(self, other: Self | deque[_T], /) -> bool:
        return self._compare(other, "__gt__")  # type: ignore[no-any-return]

    def __ge__(self, other: Self | deque[_T], /) -> bool:
        return self._compare(other, "__ge__")  # type: ignore[no-any-return]

    @recursive_repr("[...]")
    def __repr__(self) -> str:
        maxlen = "" if self.maxlen is None else f", maxlen={self.maxlen}"
        return f"{type(self).__name__}({self.snapshot()!r}{maxlen})"


MutableSequence.register(Deque)
