"""`lockfree.AtomicFlag`: a bool in a word; every operation both a plain method and a reagent."""

from __future__ import annotations

from typing import Any

import pytest

from conventions import check_reagent_method, check_type
from lockfree import AtomicFlag, Queue
from racing import STRESS, parked, race
from reagents import BLOCK, Ref, attempt, const, never, reagent


def test_conventions() -> None:
    check_type(AtomicFlag, AtomicFlag, generic=False)
    for method in ("get", "set", "clear", "test_and_set", "swap", "read", "write"):
        check_reagent_method(getattr(AtomicFlag(), method))
    check_reagent_method(AtomicFlag().cas(False, True))
    check_reagent_method(AtomicFlag().upd(lambda v, _: (v, v)))


def test_methods() -> None:
    flag = AtomicFlag()
    assert flag.get() is False
    assert not flag
    assert flag.set() is None
    assert flag.get() is True
    assert flag
    assert flag.set(False) is None
    assert flag.test_and_set() is False
    assert flag.test_and_set() is True
    assert flag.clear() is None
    assert flag.swap(True) is False
    assert flag.compare_and_set(False, True) is False
    assert flag.compare_and_set(True, False) is True
    assert flag.update(lambda v: not v) is True
    assert repr(flag) == "AtomicFlag(True)"
    assert AtomicFlag(value=True).get() is True


def test_reagents() -> None:
    flag, q = AtomicFlag(), Queue[Any]()
    assert flag.read() is False
    flag.set.__call__()
    assert (flag.read >> q.put)() is None
    assert q.get() is True
    assert (const("x") >> flag.clear)() == "x", "clear passes its input on"
    assert (const(None) >> flag.set)() is None
    assert flag.get() is True
    assert (const(False) >> flag.set)() is False
    assert (const(None) >> flag.test_and_set)() is False
    assert (const(False) >> flag.swap)() is True
    assert (const(True) >> flag.write)() is True
    flag.cas(True, False)()
    assert flag.upd(lambda v, x: (x, v))(True) is False
    assert attempt(const(None) >> flag.clear >> never, "blocked")() == "blocked"
    assert flag.get() is True


def test_in_direct_style() -> None:
    flag = AtomicFlag()

    @reagent
    def toggle(tx: Any, _: Any) -> bool:
        tx.write(flag, not tx.read(flag))
        return bool(tx.read(flag))

    assert [toggle(), toggle()] == [True, False]


@pytest.mark.parametrize("value", [1, 0, "yes", None])
def test_only_bools(value: Any) -> None:
    flag = AtomicFlag()
    for call in (
        lambda: AtomicFlag(value),
        lambda: flag.set(value),
        lambda: flag.swap(value),
        lambda: flag.write(value),
        lambda: flag.cas(value, True),
        lambda: flag.compare_and_set(False, value),
        lambda: flag.update(lambda v: value),
        lambda: flag.upd(lambda v, _: (value, None))(),
    ):
        with pytest.raises(TypeError, match="bool is required"):
            call()
    assert flag.get() is False


def test_waits_until_it_is_set() -> None:
    flag = AtomicFlag()
    waiting = parked(flag.cas(True, False))
    flag.set()
    waiting.result()
    assert flag.get() is False
    waiting = parked(flag.upd(lambda v, _: (v, "set") if v else BLOCK))
    (const(None) >> flag.set)()
    assert waiting.result() == "set"


def test_one_of_many_sets_it() -> None:
    for _ in range(20 * STRESS):
        flag, first = AtomicFlag(), Ref(0)

        def contender(flag: AtomicFlag = flag, first: Ref[int] = first) -> None:
            if not flag.test_and_set():
                first.add(1)

        race(*[contender] * 4)
        assert first.get() == 1
