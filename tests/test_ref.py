"""`Ref`: operations that act at once, the reagents of the same name, and what counts as the same value."""

from __future__ import annotations

from typing import Any

import pytest

from racing import STRESS, elsewhere, race
from reagents import BLOCK, Ref, const, identity


def test_get_and_set() -> None:
    value = object()
    ref: Ref[Any] = Ref(value)
    assert ref.get() is value
    assert ref.set(None) is None
    assert ref.get() is None


def test_compare_and_set() -> None:
    old, new = object(), object()
    ref = Ref(old)
    assert ref.compare_and_set(new, old) is False
    assert ref.get() is old
    assert ref.compare_and_set(old, new) is True
    assert ref.get() is new


def test_update_returns_the_new_value() -> None:
    ref = Ref([1])
    assert ref.update(lambda current: [*current, 2]) == [1, 2]
    assert ref.get() == [1, 2]


def test_update_that_raises_changes_nothing() -> None:
    ref = Ref(1)
    with pytest.raises(ZeroDivisionError):
        ref.update(lambda n: n // 0)
    assert ref.get() == 1


def test_swap_returns_the_old_value() -> None:
    ref = Ref("old")
    assert ref.swap("new") == "old"
    assert ref.get() == "new"


def test_add_returns_the_old_value() -> None:
    ref = Ref(40)
    assert ref.add(2) == 40
    assert ref.get() == 42


@pytest.mark.parametrize(("start", "n", "total"), [(0.5, 0.25, 0.75), ("a", "b", "ab"), (2**70, 1, 2**70 + 1)])
def test_add_adds_whatever_can_be_added(start: Any, n: Any, total: Any) -> None:
    ref = Ref(start)
    assert ref.add(n) == start
    assert ref.get() == total


def test_reagents_of_the_same_name() -> None:
    ref = Ref(1)
    assert ref.read() == 1
    assert ref.read("an input that does not matter") == 1
    assert ref.write(2) == 2, "write passes its input on"
    assert ref.get() == 2
    assert (const(3) >> ref.swap)() == 2
    assert (const(4) >> ref.add)() == 3
    assert ref.get() == 7
    ref.cas(7, 8)()
    assert ref.get() == 8
    assert ref.upd(lambda current, x: (current + x, (current, x)))(10) == (8, 10)
    assert ref.get() == 18


def test_cas_blocks_while_the_value_is_another() -> None:
    ref = Ref(1)
    with pytest.raises(TimeoutError):
        ref.cas(2, 3)(timeout=0)
    assert ref.get() == 1


def test_upd_can_block() -> None:
    ref = Ref(0)
    take_one = ref.upd(lambda n, _: (n - 1, n) if n > 0 else BLOCK)
    with pytest.raises(TimeoutError):
        take_one(timeout=0)
    ref.set(2)
    assert (take_one(), take_one(), ref.get()) == (2, 1, 0)


def fresh(value: Any) -> Any:
    """An equal object of the same type that is another object, where there can be one."""
    if type(value) is int:
        return int(str(value))
    if type(value) is str:
        return "".join(list(value))
    return bytes(bytearray(value)) if type(value) is bytes else value


@pytest.mark.parametrize("value", [0, -1, 10**6, 2**62, -(2**63), 10**40, True, False, "", "word" * 9, b"", b"x" * 40])
def test_int_bool_str_and_bytes_are_compared_by_value(value: Any) -> None:
    ref: Ref[Any] = Ref(value)
    assert ref.compare_and_set(fresh(value), "next")
    ref.set(fresh(value))
    ref.cas(fresh(value), "next")(timeout=0)
    assert ref.get() == "next"


@pytest.mark.parametrize("value", [10**6, 10**40, "word" * 9, b"x" * 40])
def test_a_different_value_of_the_same_type_is_different(value: Any) -> None:
    ref = Ref(value)
    for other in (value + value, value * 3):
        assert not ref.compare_and_set(other, "next")
    assert ref.get() is value


class Word(str):
    """Not exactly a str."""


class Number(int):
    """Not exactly an int."""


@pytest.mark.parametrize("make", [lambda: float("1.5"), lambda: tuple("a"), list, Word, Number, lambda: Word("a")])
def test_everything_else_is_compared_by_identity(make: Any) -> None:
    value, twin = make(), make()
    assert value == twin
    assert value is not twin
    ref = Ref(value)
    assert not ref.compare_and_set(twin, "next")
    with pytest.raises(TimeoutError):
        ref.cas(twin, "next")(timeout=0)
    assert ref.compare_and_set(value, "next")


def test_comparison_runs_no_user_code() -> None:
    class Touchy:
        def __eq__(self, other: object) -> bool:
            raise AssertionError("compared")

        __hash__ = None  # type: ignore[assignment]

    value, other = Touchy(), Touchy()
    ref = Ref(value)
    assert not ref.compare_and_set(other, value)
    assert ref.compare_and_set(value, other)
    ref.cas(other, value)()
    (ref.read >> identity >> ref.write)()


def test_reagents_read_equal_values_as_unchanged() -> None:
    """A reaction commits although what it read was replaced by an equal object: by value, nothing changed."""
    ref = Ref(10**20)
    runs = []

    def replace_meanwhile(value: int) -> int:
        runs.append(value)
        if len(runs) < 3:
            elsewhere(ref.set, fresh(value))
        return value + 1

    assert (ref.read >> replace_meanwhile >> ref.write)() == 10**20 + 1
    assert ref.get() == 10**20 + 1


INCREMENTS = {
    "update": lambda ref: ref.update(lambda n: n + 1),
    "add": lambda ref: ref.add(1),
    "add reagent": lambda ref: (const(1) >> ref.add)(),
    "upd": lambda ref: ref.upd(lambda n, _: (n + 1, None))(),
    "read then write": lambda ref: (ref.read >> (lambda n: n + 1) >> ref.write)(),
    "swap": lambda ref: (ref.read >> (lambda n: n + 1) >> ref.swap)(),
    "cas": lambda ref: any(iter(lambda: ref.compare_and_set(n := ref.get(), n + 1), True)),
}


@pytest.mark.parametrize("first", sorted(INCREMENTS))
@pytest.mark.parametrize("second", ["add", "upd"])
def test_no_increment_is_lost(first: str, second: str) -> None:
    ref, rounds = Ref(0), 2_000 * STRESS

    def increment(name: str) -> None:
        for _ in range(rounds):
            INCREMENTS[name](ref)

    race(lambda: increment(first), lambda: increment(second), lambda: increment(first))
    assert ref.get() == 3 * rounds
