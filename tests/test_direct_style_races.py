"""Direct style: swaps around it, opacity under races and all schedules, and what it keeps alive."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from lockfree import AtomicInt, Queue, Stack
from racing import PATIENCE, STRESS, Background, Parked, elsewhere, race, settle, soon
from reagents import (
    Reagent,
    Ref,
    attempt,
    channel,
    computed,
    const,
    guard,
    identity,
    lift,
    reagent,
    stats,
)
from reagents.testing import explore


def direct(f: Callable[[Any], Any]) -> Reagent[Any, Any]:
    """Of a function of tx alone."""
    return reagent(lambda tx, _: f(tx))


# ---------------------------------------------------------------- swaps


def test_a_refused_swap_out_of_a_stale_state_is_not_shown() -> None:
    """The branch that swaps is taken for what does not hold any more."""
    ref, other, (left, _) = Ref(0), Ref("read"), channel()

    def meddle(x: int) -> int:
        if not calls:
            ref.set(1)
        calls.append(x)
        return x

    calls: list[int] = []
    shown: list[RuntimeError] = []
    inside = ref.read >> lift(meddle) >> computed(lambda x: other.read if x else other.read >> left.swap)

    @reagent
    def look(tx: Any, x: Any) -> Any:
        try:
            return tx(inside, x)
        except RuntimeError as error:
            shown.append(error)
            raise

    assert look(None) == "read"
    assert (calls, shown) == ([0, 1], [])


@pytest.mark.parametrize("how", ["swap", "computed", "together", "sequence", "choice", "direct"])
def test_a_swap_inside_is_refused(how: str) -> None:
    left, right = channel()
    inside: Reagent[Any, Any] = {
        "swap": left.swap,
        "computed": computed(lambda x: left.swap),
        "together": (const(1) >> left.swap) * (const(2) >> right.swap),
        "sequence": const(1) >> left.swap >> identity,
        "choice": (guard(lambda _: False) + left.swap),
        "direct": reagent(lambda tx, x: tx(left.swap, x)),
    }[how]
    with pytest.raises(RuntimeError, match=r"swap.*direct style"):
        reagent(lambda tx, x: tx(inside, x))(1)
    with pytest.raises(RuntimeError, match=r"swap.*direct style"):
        (reagent(lambda tx, x: tx(inside, x)) + const(1))(1)
    waits_parked = Parked()
    waits = Background(lambda: right.swap("partner", timeout=PATIENCE))
    waits_parked.wait_for()
    if how != "together":
        with pytest.raises(RuntimeError, match="direct style"):
            reagent(lambda tx, x: tx(inside, x))(1)
    assert left.swap("mine", timeout=PATIENCE) == "partner"
    assert waits.result() == "mine"
    assert stats()["waiting"] == 0


def test_swaps_around_it() -> None:
    left, right = channel()
    total = Ref(0)
    count = reagent(lambda tx, n: (tx.write(total, tx.read(total) + n), tx.read(total))[1])
    parked = Parked()
    waits = Background(lambda: (count >> left.swap >> count)(1, timeout=PATIENCE))
    parked.wait_for()
    ours = (right.swap >> count)(10, timeout=PATIENCE)
    # 1 at first; then each adds what it got, 1 or 10, in either order.
    assert (ours, waits.result()) in ((2, 12), (12, 11))
    assert total.get() == 12


def test_a_function_that_blocks_as_a_partner() -> None:
    left, right = channel()
    open_ = Ref(False)
    gate = reagent(lambda tx, x: x if tx.read(open_) else tx.block())
    parked = Parked()
    first = Background(lambda: (left.swap >> gate)(1, timeout=PATIENCE))
    parked.wait_for()
    second = Background(lambda: right.swap(2, timeout=PATIENCE))
    parked.wait_for(2)
    open_.set(True)
    assert (first.result(), second.result()) == (2, 1)


# ---------------------------------------------------------------- opacity and races


def test_it_never_sees_a_mix() -> None:
    a, b = Ref(0), Ref(0)
    torn: list[Any] = []
    rounds = 2_000 * STRESS

    @direct
    def look(tx: Any) -> Any:
        x = tx.read(a)
        y = tx.read(b)
        if x != y:
            torn.append((x, y))
            raise ZeroDivisionError
        return x

    @direct
    def nested(tx: Any) -> Any:
        x, y = tx(b.read), tx((lambda _: None) >> a.read)
        if x != y:
            torn.append((x, y))
        return x

    def write(n: int) -> None:
        for i in range(rounds):
            direct(lambda tx, i=i: (tx.write(a, (n, i)), tx.write(b, (n, i))))()

    race(
        lambda: write(0),
        lambda: write(1),
        lambda: [look() for _ in range(rounds)],
        lambda: [nested() for _ in range(rounds)],
    )
    assert torn == []


def test_transfers_conserve() -> None:
    accounts = [Ref(100) for _ in range(3)]
    rounds = 500 * STRESS

    @reagent
    def transfer(tx: Any, what: tuple[int, int, int]) -> Any:
        source, target, n = what
        if tx.read(accounts[source]) < n:
            tx.block()
        tx.write(accounts[source], tx.read(accounts[source]) - n)
        tx.write(accounts[target], tx.read(accounts[target]) + n)

    total = direct(lambda tx: sum(tx.read(a) for a in accounts))
    got = race(
        *[lambda k=k: [attempt(transfer)((k, (k + 1) % 3, 1 + i % 7)) for i in range(rounds)] for k in range(3)],
        lambda: {total() for _ in range(rounds)},
    )
    assert got[3] == {300}
    assert total() == 300


def test_an_error_of_a_stale_try_is_nobody_s() -> None:
    a, b = Ref(1), Ref(1)
    meddled: list[int] = []

    @direct
    def f(tx: Any) -> Any:
        x = tx.read(a)
        if not meddled:
            meddled.append(1)
            elsewhere(lambda: direct(lambda tx: (tx.write(a, 2), tx.write(b, 2)))())
            raise ValueError("out of date")
        return x, tx.read(b)

    assert f() == (2, 2)


def explored(scenario: Any) -> None:
    found = explore(scenario, preemptions=2)
    assert found.failure is None, found.failure
    assert found.complete
    assert found.schedules > 5


def test_opacity_under_all_schedules() -> None:
    def scenario() -> Any:
        a, b = Ref(0), Ref(0)

        @direct
        def look(tx: Any) -> Any:
            x, y = tx.read(a), tx.read(b)
            if x != y:
                raise AssertionError((x, y))

        @direct
        def write(tx: Any) -> Any:
            n = tx.read(a) + 1
            tx.write(a, n)
            tx.write(b, n)

        def after() -> None:
            assert a.get() == b.get() == 2

        return [write, look, write], after

    explored(scenario)


def test_waiting_under_all_schedules() -> None:
    """Two that hand a turn to each other lose no wake-up."""

    def scenario() -> Any:
        turn = Ref(0)

        def mine(me: int) -> Reagent[Any, Any]:
            return direct(lambda tx: tx.write(turn, 1 - me) if tx.read(turn) == me else tx.block())

        def after() -> None:
            assert turn.get() == 0

        return [lambda: (mine(0)(), mine(0)()), lambda: (mine(1)(), mine(1)())], after

    explored(scenario)


def test_queue_and_stack_under_all_schedules() -> None:
    def scenario() -> Any:
        queue, stack = Queue[int](), Stack[int]()
        queue.put(1)

        @direct
        def move(tx: Any) -> Any:
            tx(stack.push, tx(queue.get))

        back = direct(lambda tx: tx(queue.put, tx(stack.pop)))
        look = direct(lambda tx: (tx(attempt(queue.peek)), tx(attempt(stack.peek))))
        seen: list[Any] = []

        def after() -> None:
            assert seen in ([(1, None)], [(None, 1)])
            assert queue.get_nowait() == 1
            assert not stack

        return [move, back, lambda: seen.append(look())], after

    explored(scenario)


# ---------------------------------------------------------------- references


class Thing:
    pass


def test_nothing_is_kept() -> None:
    ref: Ref[Any] = Ref(None)
    things = [Thing() for _ in range(5)]
    dead = [weakref.ref(t) for t in things]
    direct(lambda tx: tx.write(ref, things[0]))()
    direct(lambda tx: (tx.read(ref), tx.write(ref, things[1]), tx.write(ref, things[2])))()
    attempt(direct(lambda tx: (tx.write(ref, things[3]), tx.block())))()
    with pytest.raises(ValueError, match="x"):
        direct(lambda tx: (tx.write(ref, things[4]), int("x")))()
    ref.set(None)
    things.clear()
    soon(lambda: settle() or all(d() is None for d in dead), "the end of all that was written")


@pytest.mark.parametrize("end", ["commit", "wait", "error"])
def test_words_that_the_function_alone_knows(end: str) -> None:
    """They are in the log until the end, whatever becomes of the objects that they were in."""
    log = Ref(0)

    @direct
    def f(tx: Any) -> Any:
        values = []
        for i in range(50):
            values.append(tx.read(Ref([i])))
            tx(Ref(None).write, i)
            tx.write(AtomicInt(), i)
            tx(computed(lambda x, i=i: Ref(i).read))
            tx(attempt(Queue[int]().get))
            tx(Stack[int]().push, i)
        gc.collect()
        junk = [Ref(object()) for _ in range(500)]  # in the same places, if those were free
        assert values == [[i] for i in range(50)]
        tx.write(log, len(junk))
        if end == "wait":
            tx.block()
        if end == "error":
            raise KeyError("mine")
        return values

    for _ in range(5):
        if end == "commit":
            assert f() == [[i] for i in range(50)]
        else:
            with pytest.raises(TimeoutError if end == "wait" else KeyError):
                f(timeout=0.01)
    assert log.get() == (500 if end == "commit" else 0)


def test_a_cycle_through_the_function() -> None:
    def cycle() -> Any:
        ref: Ref[Any] = Ref(None)
        thing = Thing()
        ref.set(reagent(lambda tx, x: (thing, tx.read(ref))))
        assert ref.get()()[0] is thing
        return weakref.ref(thing)

    dead = cycle()
    soon(lambda: settle() or dead() is None, "the end of the cycle")


def test_threads_of_one_reagent() -> None:
    """It has no state of its own: many threads run it at once."""
    number = Ref(0)
    idents: set[int] = set()

    @direct
    def add(tx: Any) -> Any:
        idents.add(threading.get_ident())
        tx.write(number, tx.read(number) + 1)

    each = 1_000 * STRESS
    race(*[lambda: [add() for _ in range(each)]] * 3)
    assert number.get() == 3 * each
    assert len(idents) == 3


def test_what_only_the_reaction_keeps_alive() -> None:
    """A word in the log may belong to an object that the function has dropped."""

    @direct
    def sum_of_temporaries(tx: Any) -> Any:
        total = 0
        for i in range(100):
            temporary = Ref(i)
            total += tx.read(temporary) + tx(Ref(i).upd(lambda v, x: (v + 1, v)))
            del temporary
            gc.collect(0)
        return total

    assert sum_of_temporaries() == 2 * sum(range(100))
