"""Memory that runs out, at each allocation of an operation in turn: what the tests of that share.

A case is a function of a token that builds a small world and returns an operation on it and a look at it. Whatever
allocation fails, the operation raises MemoryError and the world looks as before, or it comes to the end that it has
with memory. Which allocation is the n-th is up to the interpreter, so all are tried until one is past the end.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from racing import GIL, settle, soon

_testcapi = pytest.importorskip("_testcapi", reason="CPython's own test module, which makes allocations fail")

Case = Callable[[Any], tuple[Callable[[], Any], Callable[[], Any]]]

#: Without any memory at all, free-threaded 3.13 corrupts its own heap, whatever runs. And where it finds no
#: memory for the items of a new list, it frees what was never set: a case has no [x] and no f(x, *y) in it.
SURVIVES_WITHOUT_ANY = GIL or sys.version_info >= (3, 14)

#: More allocations than any operation here makes.
MOST = 20_000


class Token:
    """An object that the tests follow, and a function that passes it on."""

    def __call__(self, *args: Any) -> Any:
        return self


class Outcome(NamedTuple):
    """What an operation returned, or the type of what it raised, and whether the interpreter lost that itself."""

    value: Any
    error: type[BaseException] | None
    lost: bool = False


_taken: list[Any] = []


def drain() -> None:
    """Take some of what the interpreter keeps for reuse, so that new objects need new memory."""
    for n in range(8):
        _taken.extend([[n], {n: n}, 1e6 + n, 10**9 + n, 10**25 + n, slice(n), lambda n=n: n])
        _taken.extend((n,) * size for size in range(1, 6))


def _still_ahead() -> bool:
    """Whether the allocation that is to fail has not been asked for yet."""
    try:
        for _ in range(100):
            bytearray(8)
    except MemoryError:
        return True
    return False


def _without_exception(said: tuple[object, ...]) -> bool:
    """Until 3.13 the interpreter itself loses an error where it finds no memory for the traceback."""
    return sys.version_info < (3, 14) and "without" in str(said) and "exception" in str(said)


@contextlib.contextmanager
def no_collector() -> Iterator[None]:
    """That it starts is up to chance, and that of free-threaded 3.13 does not survive when it finds no memory."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def run_without(start: int, stop: int, operation: Callable[[], Any]) -> tuple[Outcome, bool]:
    """Run it with the allocations from start up to stop (0: all) failing; also, whether it came as far as that."""
    value, error, said = None, None, ()
    with no_collector():
        drain()
        _testcapi.set_nomemory(start, stop)
        try:
            value = operation()
        except BaseException as raised:
            error = type(raised)
            said = raised.args
        reached = not _still_ahead()
        _testcapi.remove_mem_hooks()
    return Outcome(value, error, _without_exception(said)), reached


def check(case: Case) -> None:
    """Fail each allocation of the operation alone, and then it and all that follow."""
    token = Token()
    settle()
    references = sys.getrefcount(token)
    operation, look = case(token)
    end, _ = run_without(MOST, 0, operation)
    looks = look()
    last = _check_each(case, token, end, looks, range(MOST), alone=True)
    if SURVIVES_WITHOUT_ANY:
        _check_each(case, token, end, looks, range(last + 1), alone=False)
    del operation, end, looks, look
    _taken.clear()
    soon(lambda: settle() or sys.getrefcount(token) <= references, "the references' end", timeout=2)
    assert sys.getrefcount(token) == references


def _check_each(case: Case, token: Token, end: Outcome, looks: Any, turns: range, *, alone: bool) -> int:
    operation, look = case(token)
    before = look()
    for n in turns:
        outcome, reached = run_without(n, n + 1 if alone else 0, operation)
        if outcome.error is MemoryError or (end.error and outcome.lost):
            assert look() == before, f"changed by what raised MemoryError at allocation {n}"
            continue
        assert outcome == end, f"allocation {n}: {outcome} and not {end}"
        assert look() == looks, f"allocation {n}"
        if alone and not reached:
            return n
        operation, look = case(token)  # it did without
    assert not alone, "allocations fail for ever"
    outcome, _ = run_without(MOST, 0, operation)
    assert (outcome, look()) == (end, looks), "it no longer works"
    return len(turns)


def failing_at_each(operation: Callable[[], Any], unchanged: Callable[[], None]) -> Any:
    """The operation's result once it no longer notices; `unchanged` is called after each MemoryError."""
    for n in range(MOST):
        outcome, _ = run_without(n, n + 1, operation)
        if outcome.error is None:
            return outcome.value
        assert outcome.error is MemoryError or outcome.lost, outcome
        unchanged()
    raise AssertionError("allocations fail for ever")
