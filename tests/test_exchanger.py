"""`Exchanger`: any two meet and exchange what they have."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from conventions import check_reagent_method, check_type
from lockfree import Exchanger, Queue
from racing import PATIENCE, STRESS, Background, Parked, race
from reagents import attempt, catalyse, const, guard, stats


def test_conventions() -> None:
    check_type(Exchanger, Exchanger)
    check_reagent_method(Exchanger().exchange)
    with pytest.raises(TypeError):
        Exchanger(1)  # type: ignore[call-arg]

    class Mine(Exchanger[int]):
        pass

    assert "Mine" in repr(type(Mine()))
    assert ((const(1) >> (mine := Mine()).exchange) * (const(2) >> mine.exchange))() == (2, 1)


def test_two_exchange() -> None:
    e: Exchanger[str] = Exchanger()
    parked = Parked()
    first = Background(lambda: e.exchange("a", timeout=PATIENCE))
    parked.wait_for()
    assert e.exchange("b", timeout=PATIENCE) == "a"
    assert first.result() == "b"
    assert stats()["waiting"] == 0


def test_alone() -> None:
    e: Exchanger[Any] = Exchanger()
    with pytest.raises(TimeoutError):
        e.exchange(1, timeout=0.01)
    with pytest.raises(TimeoutError):
        e.exchange(timeout=0)
    assert attempt(e.exchange, "nobody")(1) == "nobody"
    assert attempt(e.exchange >> e.exchange, "nobody")(1) == "nobody"
    assert stats()["waiting"] == 0


def test_nobody_exchanges_with_itself() -> None:
    """Its own offer is there when it looks again."""
    e: Exchanger[str] = Exchanger()
    queue: Queue[str] = Queue()
    parked = Parked()
    waits = Background(lambda: (e.exchange + (queue.get >> guard(lambda x: x == "right")))("own", timeout=PATIENCE))
    parked.wait_for()
    queue.put("wrong")
    parked.wait_for(2)
    assert waits.running
    assert e.exchange("other", timeout=PATIENCE) == "own"
    assert waits.result() == "other"


def test_oldest_first() -> None:
    e: Exchanger[int] = Exchanger()
    kept: list[Background] = []
    for i in range(5):
        parked = Parked()
        only = e.exchange >> guard(lambda x: x >= 10)  # so they do not meet each other
        kept.append(Background(lambda i=i, only=only: only(i, timeout=PATIENCE)))
        parked.wait_for()
    assert [e.exchange(10 + i, timeout=PATIENCE) for i in range(5)] == list(range(5))
    assert [k.result() for k in kept] == [10 + i for i in range(5)]


def test_many_in_pairs() -> None:
    """Each value is given once and taken once, and exchanges are mutual."""
    e: Exchanger[tuple[int, int]] = Exchanger()
    each = 300 * STRESS
    got = race(*[lambda k=k: [e.exchange((k, i), timeout=PATIENCE) for i in range(each)] for k in range(2)])
    assert got == [[(1, i) for i in range(each)], [(0, i) for i in range(each)]]
    # More than two: who is left alone at the end gives up.
    threads = 4

    def worker(k: int) -> dict[Any, Any]:
        pairs = {}
        for i in range(each):
            try:
                pairs[k, i] = e.exchange((k, i), timeout=0.05)
            except TimeoutError:
                continue
        return pairs

    taken = {}
    for pairs in race(*[lambda k=k: worker(k) for k in range(threads)]):
        taken.update(pairs)
    assert all(taken[b] == a and a[0] != b[0] for a, b in taken.items())
    assert stats()["waiting"] == 0


def test_composed() -> None:
    e: Exchanger[Any] = Exchanger()
    source, sink = Queue[int](), Queue[int]()
    source.put(1)
    parked = Parked()
    waits = Background(lambda: (source.get >> e.exchange >> sink.put)(timeout=PATIENCE))
    parked.wait_for()
    assert not source.empty()
    assert e.exchange("for the sink", timeout=PATIENCE) == 1
    assert waits.result() is None
    assert source.empty()
    assert sink.get_nowait() == "for the sink"


def test_a_catalyst_at_it() -> None:
    e: Exchanger[str] = Exchanger()
    with catalyse(e.exchange, "c"):
        assert e.exchange("x", timeout=PATIENCE) == "c"
        assert e.exchange("y", timeout=PATIENCE) == "c"


def test_it_lives_as_long_as_somebody_waits() -> None:
    e: Exchanger[str] = Exchanger()
    method = e.exchange
    parked = Parked()
    waits = Background(lambda method=method: method("a", timeout=PATIENCE))
    parked.wait_for()
    del e
    gc.collect()
    assert method("b", timeout=PATIENCE) == "a"
    assert waits.result() == "b"
