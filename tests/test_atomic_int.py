"""`lockfree.AtomicInt`: an integer in a word; every operation both a plain method and a reagent."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conventions import check_reagent_method, check_type
from lockfree import AtomicInt
from racing import STRESS, race
from reagents import BLOCK, Ref, attempt, const, never

LOW, HIGH = -(2**62), 2**62 - 1


class Index:
    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


def test_conventions() -> None:
    check_type(AtomicInt, AtomicInt, generic=False)
    for method in ("get", "set", "add", "swap", "read", "write"):
        check_reagent_method(getattr(AtomicInt(), method))
    check_reagent_method(AtomicInt().cas(0, 1))
    check_reagent_method(AtomicInt().upd(lambda n, _: (n, n)))


def test_methods() -> None:
    number = AtomicInt()
    assert number.get() == 0
    assert number.set(5) is None
    assert number.add() == 5
    assert number.add(4) == 6
    assert number.swap(-1) == 10
    assert number.get() == -1
    assert number.compare_and_set(0, 9) is False
    assert number.compare_and_set(-1, 9) is True
    assert number.update(lambda n: n * 2) == 18
    assert number.get() == 18
    assert AtomicInt(value=3).get() == 3


def test_reagents() -> None:
    number, log = AtomicInt(1), Ref(0)
    assert (number.get >> log.write)() == number.read() == 1
    assert (const(7) >> number.set >> log.write)() == 7, "set passes its input on, as write does"
    assert (const(8) >> number.write)() == 8
    assert (const(2) >> number.add)() == 8
    assert (const(3) >> number.swap)() == 10
    number.cas(3, 4)()
    assert number.upd(lambda n, x: (n + x, (n, x)))(5) == (4, 5)
    assert number.get() == 9


def test_blocks() -> None:
    number = AtomicInt(0)
    take = number.upd(lambda n, _: (n - 1, n) if n else BLOCK)
    assert attempt(take)() is None
    assert attempt(number.cas(1, 2), "blocked")() == "blocked"
    assert attempt(const(9) >> number.set >> never, "blocked")() == "blocked"
    assert number.get() == 0
    number.add(1)
    assert take() == 1


@pytest.mark.parametrize("value", [LOW, -1, 0, 1, HIGH])
def test_range(value: int) -> None:
    number = AtomicInt(value)
    assert number.get() == value
    number.set(value)
    assert number.swap(value) == value
    assert number.compare_and_set(value, value)
    assert (const(value) >> number.write >> number.read)() == value


@pytest.mark.parametrize("value", [LOW - 1, HIGH + 1, 2**63, 2**64, 10**30, -(2**63), -(10**30)])
def test_beyond_the_range(value: int) -> None:
    number = AtomicInt(7)
    for call in (
        lambda: AtomicInt(value),
        lambda: number.set(value),
        lambda: number.swap(value),
        lambda: number.compare_and_set(7, value),
        lambda: number.update(lambda _: value),
        lambda: number.cas(7, value)(),
        lambda: (const(value) >> number.write)(),
        lambda: (const(value) >> number.add)(),
        lambda: number.upd(lambda n, x: (value, x))(),
    ):
        with pytest.raises(OverflowError):
            call()
        assert number.get() == 7


@pytest.mark.parametrize(("start", "n"), [(HIGH, 1), (LOW, -1), (HIGH, HIGH), (LOW, LOW), (1, HIGH)])
def test_add_that_overflows(start: int, n: int) -> None:
    number = AtomicInt(start)
    with pytest.raises(OverflowError):
        number.add(n)
    with pytest.raises(OverflowError):
        (const(n) >> number.add)()
    assert number.get() == start


def test_exact_integers_only() -> None:
    class Big(int):
        pass

    for value, expected in ((True, 1), (Index(5), 5), (Big(6), 6)):
        number = AtomicInt(value)
        number.set(value)
        assert number.get() == expected
        assert type(number.get()) is int
        assert number.compare_and_set(value, 0)


@pytest.mark.parametrize("value", [1.0, "1", None, 1j, [1]])
def test_refuses_other_types(value: Any) -> None:
    number = AtomicInt(7)
    for call in (
        lambda: AtomicInt(value),
        lambda: number.set(value),
        lambda: number.add(value),
        lambda: number.compare_and_set(7, value),
        lambda: number.update(lambda _: value),
        lambda: (const(value) >> number.write)(),
        lambda: (const(value) >> number.add)(),
    ):
        with pytest.raises(TypeError):
            call()
        assert number.get() == 7


inside = st.integers(LOW, HIGH)


@given(inside, inside)
def test_add_is_exact_or_an_error(start: int, n: int) -> None:
    number = AtomicInt(start)
    if LOW <= start + n <= HIGH:
        assert number.add(n) == start
        assert number.get() == start + n
    else:
        with pytest.raises(OverflowError):
            number.add(n)
        assert number.get() == start


ADDS = {
    "add": lambda number: number.add(1),
    "compare_and_set": lambda number: any(iter(lambda: number.compare_and_set(n := number.get(), n + 1), True)),
    "update": lambda number: number.update(lambda n: n + 1),
    "reaction": lambda number: (const(1) >> number.add)(),
    "upd": lambda number: number.upd(lambda n, _: (n + 1, n))(),
}


@pytest.mark.parametrize("first", sorted(ADDS))
def test_no_add_is_lost(first: str) -> None:
    number, rounds = AtomicInt(), 2_000 * STRESS

    def worker(name: str) -> None:
        for _ in range(rounds):
            ADDS[name](number)

    race(lambda: worker(first), lambda: worker("add"), lambda: worker("upd"))
    assert number.get() == 3 * rounds


def test_every_old_value_is_handed_out_once() -> None:
    number, rounds = AtomicInt(), 5_000 * STRESS

    def worker() -> list[int]:
        return [number.add(1) for _ in range(rounds)]

    assert sorted(chain.from_iterable(race(worker, worker, worker))) == list(range(3 * rounds))
