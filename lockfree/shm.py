"""Words that processes share: integers in a named memory, with k-CAS and reagents over any of them.

>>> import os
>>> from lockfree.shm import Segment
>>> name = f"lockfree-doc-{os.getpid()}"
>>> with Segment.create(name) as seg:
...     arr = seg.array("counters", "int64", 16)
...     seg.unlink()
>>> arr[0] = 5
>>> arr.add(0, 2), arr[0]
(5, 7)
>>> arr.kcas([(0, 7, 1), (1, 0, 6)])
True
>>> (arr.at(0).upd(lambda value, _: (value + 1, value)) >> arr.at(1).write)()
1
>>> arr[0], arr[1]
(2, 1)

Another process, started in any way, opens the same memory with ``Segment.attach(name)``. A process that is killed in
the middle of an operation holds up nobody: the others finish or undo what it left.

A single operation is one call into C. ``add_many`` and ``kcas_many`` take many operations into one call that gives up
the GIL; each of the operations is atomic, the batch is not.

``numpy.asarray(arr)`` and ``memoryview(arr)`` share the memory. Reading through them is always safe, though an item
that is in the middle of a k-CAS in that instant shows as a number beyond the range of a word; writing through them is
for times when nobody else operates on the array.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Final, NoReturn, final

from reagents._core import BaseArray, Mapping, Word

try:
    from lockfree import _shared
except ImportError as error:
    raise ImportError(
        "lockfree.shm needs cffi and the module lockfree._shared that is built with it; cffi does not exist for the "
        f"free-threaded build of Python 3.13 (3.14 and later have it). The import failed with: {error}",
        name="lockfree._shared",
    ) from error

__all__ = ["Array", "Segment", "Word"]

_ffi: Final[Any] = _shared.ffi
_lib: Final[Any] = _shared.lib

#: Of the bytes of a name, without the slash that it gets.
_NAME_MAX: Final = 250
#: A process that attaches while another one creates waits this many seconds for it to be done.
_PATIENCE: Final = 1.0


def _failed(result: Any, array: Array, what: str) -> NoReturn:
    """Raise what a batch ran into."""
    at = f"{what}: item {result.at} "
    error = result.error
    if error == _lib.RGS_INDEX:
        raise IndexError(at + f"has an index out of range for the array {array.name!r} of {len(array)}")
    if error == _lib.RGS_RANGE:
        raise OverflowError(at + "has an integer out of the range of a word, -2**62 to 2**62 - 1")
    if error == _lib.RGS_OVERFLOW:
        raise OverflowError(at + "takes its word out of range, -2**62 to 2**62 - 1; those before it have been done")
    if error == _lib.RGS_TWICE:
        raise ValueError(at + "has an index twice")
    if error == _lib.RGS_LONG:
        raise ValueError(at + "has more than 32 entries")
    if error == _lib.RGS_UNSOUND:
        raise ValueError(at + "meets a word that holds what is no value: it was written through a buffer (numpy)")
    if error == _lib.RGS_NO_SLOT:
        raise RuntimeError("the Segment has no slot left for one more thread")
    raise RuntimeError("lockfree._shared and reagents._core are not of the same build")


@final
class Array(BaseArray):
    """Integers from -2**62 to 2**62 - 1 in a Segment, made by :meth:`Segment.array`.

    ``arr[i]``, ``arr[i] = v``, ``add``, ``compare_and_set``, ``kcas`` and the batches are sequentially consistent and
    lock-free. The array keeps the memory mapped, closed Segment or not.
    """

    __slots__ = ()

    def add_many(self, pairs: Iterable[tuple[int, int]], /) -> None:
        """Add n to item i for each (i, n), in order; the GIL is given up meanwhile.

        Each addition is one atomic step, the batch is not. With an IndexError, or an OverflowError of an argument,
        nothing has been added; when a sum is beyond the range of a word, what came before has been.

        >>> import os
        >>> from lockfree.shm import Segment
        >>> with Segment.create(f"lockfree-doc-{os.getpid()}") as seg:
        ...     arr = seg.array("counters", "int64", 4)
        ...     seg.unlink()
        >>> arr.add_many([(0, 1), (3, 10), (0, 1)])
        >>> list(arr)
        [2, 0, 0, 10]
        """
        items = [(i, n) for i, n in pairs]
        indices = _words([i for i, _ in items])
        amounts = _words([n for _, n in items])
        result = _lib.rgs_add_many(self._place(), len(items), indices, amounts)
        if result.error:
            _failed(result, self, "add_many()")

    def kcas_many(self, operations: Iterable[Sequence[tuple[int, int, int]]], /) -> list[bool]:
        """Do one k-CAS after the other, each a list of (index, old, new); the GIL is given up meanwhile.

        The result says which of them happened. Bad arguments are found before anything is done.

        >>> import os
        >>> from lockfree.shm import Segment
        >>> with Segment.create(f"lockfree-doc-{os.getpid()}") as seg:
        ...     arr = seg.array("counters", "int64", 4)
        ...     seg.unlink()
        >>> arr.kcas_many([[(0, 0, 1), (1, 0, 1)], [(0, 0, 5)], [(0, 1, 2), (1, 1, 1)]])
        [True, False, True]
        >>> list(arr)
        [2, 1, 0, 0]
        """
        counts: list[int] = []
        indices: list[int] = []
        olds: list[int] = []
        news: list[int] = []
        for operation in operations:
            before = len(indices)
            for index, old, new in operation:
                indices.append(index)
                olds.append(old)
                news.append(new)
            counts.append(len(indices) - before)
        done = _ffi.new("char[]", len(counts) + 1)
        result = _lib.rgs_kcas_many(
            self._place(), len(counts), _words(counts), _words(indices), _words(olds), _words(news), done
        )
        if result.error:
            _failed(result, self, "kcas_many()")
        return [flag != 0 for flag in _ffi.buffer(done, len(counts))[:]]

    def _place(self) -> Any:
        return _ffi.new("rgs_array *", (self._mapping.handle, self._start, len(self)))[0]


def _words(values: list[int]) -> Any:
    return _ffi.new("int64_t[]", values)


def _check_name(name: str) -> None:
    if not isinstance(name, str):
        raise TypeError(f"the name of a Segment is a str, not {type(name).__name__}")
    if not name or "/" in name or "\0" in name or len(name.encode()) > _NAME_MAX:
        raise ValueError(f"the name of a Segment has 1 to {_NAME_MAX} bytes, no slash and no NUL: {name!r}")


@final
class Segment:
    """A named memory that processes share, and the arrays in it.

    ``with`` closes it at the end, and no more: the memory and its name live on for other processes until
    :meth:`unlink`. At most 128 threads of all processes use one at a time, and it holds at most 128 arrays.
    """

    __slots__ = ("__weakref__", "_identity", "_mapping", "_name")

    _mapping: Mapping | None
    _name: str
    _identity: tuple[int, int]

    def __new__(cls, *args: object, **kwargs: object) -> Segment:
        raise TypeError("use Segment.create(name) or Segment.attach(name)")

    @classmethod
    def _of(cls, name: str, size: int | None) -> Segment:
        self = object.__new__(cls)
        self._name = name
        # Last: a memory that was made is there for good, so nothing may fail after it for want of memory of our own.
        self._mapping = mapping = Mapping(name, size)
        self._identity = mapping.identity
        return self

    @classmethod
    def create(cls, name: str, size: int = 1 << 20) -> Segment:
        """Make a memory with room for ``size`` bytes of arrays; what the Segment itself needs (150 KiB) comes on top.

        Raises FileExistsError if the name is taken, and OSError if the system has no such amount of shared memory.
        """
        _check_name(name)
        if not isinstance(size, int):
            raise TypeError(f"size is an int, not {type(size).__name__}")
        if size <= 0:
            raise ValueError(f"size is a positive number of bytes, not {size}")
        if size >= 1 << 47:
            raise OverflowError(f"no machine has {size} bytes of shared memory")
        return cls._of(name, size)

    @classmethod
    def attach(cls, name: str) -> Segment:
        """Open a memory that exists.

        Raises FileNotFoundError if there is none of that name, and ValueError if it is something else than a Segment,
        or one of another version of this library.
        """
        _check_name(name)
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return cls._of(name, None)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ValueError(
                        f"the shared memory {name!r} is no Segment, or its creator died before it was one"
                    ) from None
                time.sleep(0.001)

    @property
    def name(self) -> str:
        """What another process attaches to."""
        return self._name

    @property
    def size(self) -> int:
        """Bytes of room for arrays: at least what was asked for."""
        return self._open().room

    @property
    def closed(self) -> bool:
        """Whether this Segment was closed: it gives no more arrays then."""
        return self._mapping is None

    def _open(self) -> Mapping:
        if self._mapping is None:
            raise ValueError(f"the Segment {self._name!r} is closed")
        return self._mapping

    def array(self, name: str, type: str, n: int) -> Array:
        """The array of that name: ``n`` words of ``type`` (only "int64" so far), all 0 when it is new.

        Raises ValueError if there is one of another type or length, or no room for it. Lock-free: any number of
        processes may ask for the same array at once, and all get the same one.
        """
        mapping = self._open()
        if not isinstance(name, str) or not isinstance(type, str):
            raise TypeError(f"the name and the type of an array are strs, not {name!r} and {type!r}")
        if type != "int64":
            raise ValueError(f"the array {name!r} can be of type 'int64' only, not {type!r}")
        return Array(mapping, name, n)

    def close(self) -> None:
        """Give up this process's hold on the memory. Arrays and words keep theirs as long as they live."""
        self._mapping = None

    def unlink(self) -> None:
        """Remove the name. Whoever has the memory open goes on; nobody can attach to it any more.

        Raises FileNotFoundError if the name is gone already, or was given to another memory since. A closed Segment can
        still do it.
        """
        Mapping.unlink(self._name, self._identity)

    def recover(self) -> int:
        """Finish what killed processes left behind and free their slots now; returns how many slots.

        Never needed for others to go on. It happens by itself whenever a process attaches or a thread uses the Segment
        for the first time.
        """
        return self._open().recover()

    def __enter__(self) -> Segment:
        self._open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("cannot pickle a Segment: send its name, and Segment.attach(name) in the other process")

    def __repr__(self) -> str:
        return f"<lockfree.shm.Segment {self._name!r}{' closed' if self.closed else ''}>"
