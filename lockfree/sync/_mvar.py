"""MVar: a place for one value."""

from __future__ import annotations

from operator import itemgetter
from types import GenericAlias
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from lockfree.sync._locks import Lock
from reagents import Reagent, attempt, identity
from reagents._core import Queue, const, together

__all__ = ["MVar"]

_T = TypeVar("_T")

_first = itemgetter(0)


class MVar(Generic[_T]):
    """A place that is empty or holds one value (Peyton Jones, Gordon and Finne, "Concurrent Haskell", POPL 1996).

    take waits while it is empty and leaves it empty; put waits while it is full; read waits while it is empty, and
    takes nothing. Each is a reagent: called, it waits at most `timeout` seconds if given, and then raises
    TimeoutError. One put wakes one taker, and one take one who puts, the longest waiting first. Made of a Queue of
    one item and a Lock that is held while it is full: put is (acquire, then put) and take (get, and release), each in
    one step. Lock-free but for the waiting.

    >>> from lockfree.sync import MVar
    >>> m = MVar()
    >>> m.put("a")
    >>> m.read(), m.take(), m.try_take("empty")
    ('a', 'a', 'empty')
    >>> n = MVar("b")
    >>> (n.take >> m.put)()                     # from one to the other in one step
    >>> m.take(timeout=1)
    'b'
    """

    __module__ = "lockfree.sync"
    __slots__ = ("__weakref__", "_full", "_item", "put", "read", "take")

    put: Reagent[_T, None]
    take: Reagent[Any, _T]
    read: Reagent[Any, _T]

    def __init__(self, *value: _T) -> None:
        if len(value) > 1:
            raise TypeError(f"MVar() takes one value or none, not {len(value)}")
        item: Queue[_T] = Queue()
        full = Lock()
        self._item, self._full = item, full
        self.put = together(identity, full.acquire) >> _first >> item.put
        self.take = together(item.get, full.release) >> _first
        self.read = const(None) >> item.peek
        if value:
            self.put(value[0])

    def try_put(self, value: _T) -> bool:
        """Put value if there is room for it now; returns whether. Never blocks. Lock-free.

        >>> from lockfree.sync import MVar
        >>> m = MVar()
        >>> m.try_put(1), m.try_put(2)
        (True, False)
        """
        return attempt(self.put >> const(True), False)(value)

    def try_take(self, default: Any = None) -> _T | Any:
        """Take the value if there is one now, else return default. Never blocks. Lock-free.

        >>> from lockfree.sync import MVar
        >>> MVar().try_take("none")
        'none'
        """
        return attempt(self.take, default)()

    def try_read(self, default: Any = None) -> _T | Any:
        """The value, which stays, if there is one now, else default. Never blocks. Lock-free.

        >>> from lockfree.sync import MVar
        >>> MVar(3).try_read()
        3
        """
        return attempt(self.read, default)()

    def empty(self) -> bool:
        """Whether it is empty at this instant. Never blocks.

        >>> from lockfree.sync import MVar
        >>> MVar().empty()
        True
        """
        return not self._full.locked()

    def __repr__(self) -> str:
        how = "empty" if self.empty() else "full"
        return f"<{type(self).__module__}.{type(self).__qualname__} at {id(self):#x}: {how}>"

    if not TYPE_CHECKING:
        __class_getitem__ = classmethod(GenericAlias)

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object: it is shared by the threads of one process")
