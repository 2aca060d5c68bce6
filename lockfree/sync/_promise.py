"""Promise: a value that comes later, once."""

from __future__ import annotations

from collections.abc import Generator
from types import GenericAlias
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, TypeVar

from reagents import BLOCK, Reagent, Ref, attempt, const, lift

__all__ = ["InvalidStateError", "Promise"]

_T = TypeVar("_T")


class InvalidStateError(RuntimeError):
    """Raised when a Promise that has its value, or its exception, is given another one."""

    __module__ = "lockfree.sync"


class _Pending:
    __slots__ = ()


class _Value:
    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def get(self) -> Any:
        return self.value


class _Error:
    __slots__ = ("error", "traceback")

    def __init__(self, error: BaseException | type[BaseException]) -> None:
        if isinstance(error, type) and issubclass(error, BaseException):
            error = error()
        if not isinstance(error, BaseException):
            raise TypeError(f"set_exception() takes an exception, not {type(error).__name__}")
        if isinstance(error, StopIteration):
            raise TypeError(
                "StopIteration would end the generator that awaits: it cannot be the exception of a Promise"
            )
        self.error, self.traceback = error, error.__traceback__

    def get(self) -> NoReturn:
        raise self.error.with_traceback(self.traceback)  # or it would grow with each look


_PENDING: Final = _Pending()


def _settle(make: Any) -> Any:
    def settle(state: Any, x: Any) -> tuple[Any, None]:
        if state is not _PENDING:
            raise InvalidStateError("the promise has been kept or broken already")
        return make(x), None

    return settle


def _look(state: Any) -> Any:
    return BLOCK if state is _PENDING else state.get()


class Promise(Generic[_T]):
    """A value that is set once, and that any number of threads and tasks wait for (Liskov and Shrira, PLDI 1988).

    `set` and `set_exception` are reagents whose input is the value, or the exception; the second of them raises
    InvalidStateError, and nothing of its reaction happens. `get` is a reagent that waits for the value, or raises the
    exception; called, it waits at most `timeout` seconds if given, and then raises TimeoutError. `wait` waits
    likewise and says True. `await promise` is get in a coroutine. Setting wakes all who wait. Lock-free but for the
    waiting.

    >>> from lockfree.sync import Promise
    >>> p = Promise()
    >>> p.done()
    False
    >>> p.set(42)
    >>> p.get(), p.done()
    (42, True)
    >>> p.set(43)
    Traceback (most recent call last):
    ...
    lockfree.sync.InvalidStateError: the promise has been kept or broken already
    """

    __module__ = "lockfree.sync"
    __slots__ = ("__weakref__", "_state", "get", "set", "set_exception", "wait")

    get: Reagent[Any, _T]
    set: Reagent[_T, None]
    set_exception: Reagent[BaseException | type[BaseException], None]
    wait: Reagent[Any, bool]

    def __init__(self) -> None:
        self._state: Ref[Any] = Ref(_PENDING)
        self.set = self._state.upd(_settle(_Value))
        self.set_exception = self._state.upd(_settle(_Error))
        self.get = self._state.read >> lift(_look)
        self.wait = self._state.read >> lift(lambda state: BLOCK if state is _PENDING else True)

    def try_set(self, value: _T) -> bool:
        """Set the value unless there is one, or an exception; returns whether. Never blocks. Lock-free.

        >>> from lockfree.sync import Promise
        >>> p = Promise()
        >>> p.try_set(1), p.try_set(2), p.get()
        (True, False, 1)
        """
        return attempt(self._state.cas(_PENDING, _Value(value)) >> const(True), False)()

    def done(self) -> bool:
        """Whether it has its value or exception. Never blocks. Wait-free while no reaction is under way on it.

        >>> from lockfree.sync import Promise
        >>> Promise().done()
        False
        """
        return self._state.get() is not _PENDING

    def __await__(self) -> Generator[Any, Any, _T]:
        return self.get.arun().__await__()

    def __repr__(self) -> str:
        state = self._state.get()
        how = "pending" if state is _PENDING else "value" if isinstance(state, _Value) else "exception"
        return f"<{type(self).__module__}.{type(self).__qualname__} at {id(self):#x}: {how}>"

    if not TYPE_CHECKING:
        __class_getitem__ = classmethod(GenericAlias)

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object: it is shared by the threads of one process")
