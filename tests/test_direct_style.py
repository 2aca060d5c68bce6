"""Direct style: @reagent def f(tx, x), which reads and writes as it goes, and is a reagent like any other."""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from lockfree import AtomicInt, Queue, Stack
from racing import PATIENCE, Background, Parked, elsewhere
from reagents import (
    BLOCK,
    Reagent,
    Ref,
    attempt,
    computed,
    const,
    guard,
    identity,
    lift,
    never,
    post_commit,
    reagent,
    stats,
)
from waiting import interrupted, needs_signals


def direct(f: Callable[[Any], Any]) -> Reagent[Any, Any]:
    """Of a function of tx alone."""
    return reagent(lambda tx, _: f(tx))


# ---------------------------------------------------------------- reading and writing


def test_reads_and_writes_happen_at_once() -> None:
    a, b = Ref(1), Ref(2)

    @reagent
    def exchange(tx: Any, x: Any) -> Any:
        old = tx.read(a)
        assert tx.write(a, tx.read(b)) is None
        tx.write(b, old)
        return x, old

    assert exchange("x") == ("x", 1)
    assert (a.get(), b.get()) == (2, 1)
    assert isinstance(exchange, Reagent)


def test_it_sees_its_own_writes_and_nobody_else_does_before_the_end() -> None:
    ref = Ref("before")

    @direct
    def write_twice(tx: Any) -> Any:
        seen = [tx.read(ref)]
        for value in ("first", "second"):
            tx.write(ref, value)
            seen += [tx.read(ref), elsewhere(ref.get)]
        return seen

    assert write_twice() == ["before", "first", "before", "second", "before"]
    assert ref.get() == "second"


def test_a_write_without_a_read() -> None:
    ref = Ref(0)
    direct(lambda tx: tx.write(ref, 5))()
    assert ref.get() == 5


def test_the_input_by_default_is_none() -> None:
    assert reagent(lambda tx, x: (x,))() == (None,)


def test_other_words() -> None:
    number = AtomicInt(3)
    assert direct(lambda tx: (tx.read(number), tx.write(number, 2**40), tx.read(number)))() == (3, None, 2**40)
    assert number.get() == 2**40
    with pytest.raises(OverflowError):
        direct(lambda tx: tx.write(number, 2**70))()
    with pytest.raises(TypeError):
        direct(lambda tx: tx.write(number, "no number"))()
    assert number.get() == 2**40

    class Cell:
        """Has a reagent of each name, and that will do."""

        def __init__(self) -> None:
            inside = Ref(1)
            self.read, self.write = inside.read >> (lambda n: -n), lift(lambda n: -n) >> inside.write

    cell = Cell()
    assert direct(lambda tx: (tx.read(cell), tx.write(cell, 5), tx.read(cell)))() == (-1, None, 5)


def test_words_of_a_segment() -> None:
    shm = pytest.importorskip("lockfree.shm", exc_type=ImportError)
    with shm.Segment.create(f"direct-{os.getpid()}", size=1 << 16) as segment:
        words = segment.array("words", "int64", 4)
        words[0] = 5

        @direct
        def move(tx: Any) -> Any:
            tx.write(words.at(1), tx.read(words.at(1)) + tx.read(words.at(0)))
            tx.write(words.at(0), 0)
            return tx.read(words.at(1))

        assert move() == 5
        assert (words[0], words[1]) == (0, 5)
        ref = Ref(1)
        with pytest.raises(RuntimeError, match="two memories"):
            direct(lambda tx: (tx.read(ref), tx.read(words.at(0))))()


@pytest.mark.parametrize("wrong", [1, None, "ref", Ref(0).read, Queue(), object()])
def test_wrong_types(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"tx\.read"):
        direct(lambda tx: tx.read(wrong))()
    with pytest.raises(TypeError, match=r"tx\.write"):
        direct(lambda tx: tx.write(wrong, 1))()


def test_wrong_arguments() -> None:
    ref = Ref(0)
    for call in (
        lambda tx: tx.read(),
        lambda tx: tx.read(ref, ref),
        lambda tx: tx.write(ref),
        lambda tx: tx.block(1),
        lambda tx: tx(),
        lambda tx: tx(len),
        lambda tx: tx(ref),
        lambda tx: tx(ref.read, 1, 2),
    ):
        with pytest.raises(TypeError):
            direct(call)()
    with pytest.raises(TypeError, match="callable"):
        reagent(1)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        reagent()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        reagent(lambda: None)()


def test_what_a_property_raises_goes_through() -> None:
    class Odd:
        @property
        def read(self) -> Any:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        direct(lambda tx: tx.read(Odd()))()


# ---------------------------------------------------------------- blocking


@pytest.mark.parametrize("how", ["tx.block", "BLOCK", "never", "a nested reagent"])
def test_block_waits_for_what_was_read(how: str) -> None:
    ref, other = Ref(0), Ref(0)
    tries: list[int] = []

    @direct
    def until_two(tx: Any) -> Any:
        value = tx.read(ref)
        tries.append(value)
        if value < 2:
            if how == "BLOCK":
                return BLOCK
            if how == "tx.block":
                tx.block()
            elif how == "never":
                tx(never)
            else:
                tx(ref.cas(2, 2))
            raise AssertionError("not reached")
        return value

    with pytest.raises(TimeoutError):
        until_two(timeout=0.01)
    parked = Parked()
    waits = Background(lambda: until_two(timeout=PATIENCE))
    parked.wait_for()
    other.set(1)
    ref.set(1)
    parked.wait_for(2)
    ref.set(2)
    assert waits.result() == 2
    assert tries == [0, 0, 1, 2]
    assert stats()["waiting"] == 0


def test_nothing_that_could_wake_it() -> None:
    with pytest.raises(RuntimeError, match="for ever"):
        direct(lambda tx: tx.block())()
    with pytest.raises(RuntimeError, match="for ever"):
        reagent(lambda tx, x: BLOCK)()


def test_block_takes_the_writes_back() -> None:
    ref, log = Ref(0), Ref(0)

    @direct
    def writes_then_blocks(tx: Any) -> Any:
        tx.write(log, 1)
        tx.read(ref)
        tx.block()

    assert attempt(writes_then_blocks, "blocked")() == "blocked"
    assert (writes_then_blocks + log.read)() == 0
    assert log.get() == 0


def test_blocked_is_not_said_of_contention() -> None:
    """Another thread changes what it has read before it blocks: it runs again, and does not block."""
    a, b = Ref(0), Ref(0)
    meddled: list[int] = []

    @direct
    def needs_one(tx: Any) -> Any:
        total = tx.read(a) + tx.read(b)
        if not meddled:
            meddled.append(1)
            elsewhere(a.set, 1)
        if not total:
            tx.block()
        return "came"

    assert attempt(needs_one, "blocked")() == "came"


@needs_signals
def test_an_interrupt_while_it_waits() -> None:
    ref = Ref(0)
    with interrupted():
        direct(lambda tx: tx.read(ref) or tx.block())(timeout=PATIENCE)
    assert stats()["waiting"] == 0
    assert ref.get() == 0


def test_an_interrupt_in_the_function() -> None:
    ref = Ref(0)

    @direct
    def interrupted_(tx: Any) -> Any:
        tx.write(ref, 1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        (interrupted_ + const(1))()
    assert ref.get() == 0


# ---------------------------------------------------------------- nesting


def test_reagents_within() -> None:
    queue, stack, total = Queue[int](), Stack[int](), Ref(0)

    @reagent
    def move(tx: Any, n: int) -> Any:
        for _ in range(n):
            item = tx(queue.get)
            tx(stack.push, item)
            tx(total.add, item)
        return tx.read(total), tx(x=None, reagent=stack.peek)

    for i in (1, 2, 3):
        queue.put(i)
    assert attempt(move, "too few")(4) == "too few"
    assert (queue.qsize(), stack.snapshot(), total.get()) == (3, [], 0)
    assert move(3) == (6, 3)
    assert (queue.empty(), stack.snapshot(), total.get()) == (True, [3, 2, 1], 6)


def test_within_combinators() -> None:
    a, b = Ref(1), Ref(10)
    bump = reagent(lambda tx, n: (tx.write(a, tx.read(a) + n), tx.read(a))[1])
    assert (const(2) >> bump >> b.add)() == 10
    assert (a.get(), b.get()) == (3, 13)
    assert (bump * bump)(1) == (4, 5)
    assert (bump >> bump)(1) == 12
    assert (bump >> (lambda n: n + 1))(0) == 13
    assert ((bump >> never) + const("else"))(1) == "else"
    assert a.get() == 12
    assert computed(lambda n: const(n) >> bump)(1) == 13
    assert repr(bump)


def test_direct_style_within_direct_style() -> None:
    ref = Ref(0)
    inner = reagent(lambda tx, n: (tx.write(ref, tx.read(ref) + n), tx.read(ref))[1])
    outer = reagent(lambda tx, n: [tx(inner, n), tx.read(ref), tx(inner >> inner, n)])
    assert outer(1) == [1, 1, 4]
    assert ref.get() == 4
    deep: Reagent[Any, Any] = inner
    for _ in range(20):
        deep = reagent(lambda tx, n, inside=deep: tx(inside, n))
    assert deep(1) == 5


def test_choice_around() -> None:
    ref = Ref(0)
    low = direct(lambda tx: "low" if tx.read(ref) < 5 else tx.block())
    high = direct(lambda tx: "high" if tx.read(ref) >= 5 else BLOCK)
    assert (low + high)() == "low"
    ref.set(5)
    assert (low + high)() == "high"
    assert (high + low)() == "high"


def test_choice_inside_backtracks_within_itself() -> None:
    queue = Queue[int]()
    ref = Ref(0)

    @direct
    def one(tx: Any) -> Any:
        first = tx((const(7) >> ref.write >> never) + const("second"))
        return first, tx.read(ref), tx(queue.get + const("empty")), tx(attempt(queue.get, "none"))

    assert one() == ("second", 0, "empty", "none")
    queue.put(1)
    assert one() == ("second", 0, 1, "none")


def test_what_has_come_through_inside_is_not_taken_back() -> None:
    """What follows blocks, so the function as a whole has: Python code cannot be gone back into."""
    a, b = Ref("a"), Ref("b")
    ran: list[Any] = []

    @direct
    def committed(tx: Any) -> Any:
        ran.append(tx(a.read + b.read))
        tx(guard(lambda x: x == "b"), ran[-1])
        return ran[-1]

    assert attempt(committed, "blocked")() == "blocked"
    assert ran == ["a"]
    assert ((committed >> identity) + const("outer"))() == "outer"


def test_the_outer_choice_is_tried_after_the_function() -> None:
    ref = Ref(0)
    body = reagent(lambda tx, x: (tx.write(ref, x), x)[1])
    assert ((const(1) + const(2)) >> body >> guard(lambda x: x == 2))() == 2
    assert ref.get() == 2


def test_post_commit_inside() -> None:
    ran: list[Any] = []
    ref = Ref(0)
    meddled: list[int] = []

    @direct
    def acts(tx: Any) -> Any:
        tx((post_commit(lambda _: ran.append("not taken")) >> never) + post_commit(ran.append), "first")
        tx.write(ref, tx.read(ref) + 1)
        if not meddled:
            meddled.append(1)
            elsewhere(ref.set, 5)  # it starts again
        tx(post_commit(ran.append), "second")
        assert ran == []
        return "done"

    assert acts() == "done"
    assert ran == ["first", "second"]
    assert ref.get() == 6


# ---------------------------------------------------------------- errors


def test_an_error_commits_nothing() -> None:
    ref, queue = Ref(0), Queue[int]()
    ran: list[Any] = []

    @direct
    def fails(tx: Any) -> Any:
        tx.write(ref, 1)
        tx(queue.put, 1)
        tx(post_commit(ran.append), 1)
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        (fails + const("else"))()
    assert (ref.get(), queue.empty(), ran) == (0, True, [])


def test_an_error_of_what_is_inside_may_be_caught() -> None:
    """What it did before it failed stays in the log, as in any function: a choice is what takes things back."""
    ref = Ref(0)

    def fail(x: Any) -> Any:
        raise ValueError(x)

    @direct
    def catches(tx: Any) -> Any:
        with pytest.raises(ValueError, match="x"):
            tx(lift(fail), "x")
        with pytest.raises(TypeError):
            tx.read(1)
        tx.write(ref, 1)
        return tx.read(ref)

    assert catches() == 1
    assert ref.get() == 1


@pytest.mark.parametrize("how", ["block", "nested"])
def test_swallowing_the_unwinding_gains_nothing(how: str) -> None:
    ref = Ref(0)
    told: list[Any] = []  # judged outside: what the function raises after it was unwound is dropped

    @direct
    def swallows(tx: Any) -> Any:
        ways = (tx.block, lambda: tx(never))
        first = ways[how == "nested"]
        for again in (first, lambda: tx.write(ref, 1), lambda: tx.read(ref), lambda: tx(const(1)), *ways):
            try:
                told.append(again())
            except BaseException as unwinding:
                told.append(type(unwinding))
        return "went on"

    assert attempt(swallows, "blocked")() == "blocked"
    assert len(told) == 6
    assert len(set(told)) == 1
    assert issubclass(told[0], BaseException)
    assert not issubclass(told[0], Exception)
    assert ref.get() == 0


def test_another_error_after_the_unwinding_is_not_told() -> None:
    @direct
    def raises(tx: Any) -> Any:
        try:
            tx.block()
        finally:
            raise ValueError

    assert attempt(raises, "blocked")() == "blocked"


def test_a_transaction_after_its_function() -> None:
    ref = Ref(0)
    kept: list[Any] = []
    assert reagent(lambda tx, _: kept.append(tx))() is None
    tx = kept[0]
    for use in (lambda: tx.read(ref), lambda: tx.write(ref, 1), tx.block, lambda: tx(ref.read)):
        with pytest.raises(RuntimeError, match="over"):
            use()
    for refused in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="cannot pickle"):
            refused(tx)
    with pytest.raises(TypeError):
        type(tx)()
    assert ref.get() == 0


def test_a_transaction_in_another_thread() -> None:
    ref = Ref(0)

    @direct
    def shares(tx: Any) -> Any:
        def use() -> None:
            for f in (lambda: tx.read(ref), lambda: tx.write(ref, 1), tx.block, lambda: tx(ref.read)):
                with pytest.raises(RuntimeError, match="thread"):
                    f()

        elsewhere(use)
        return tx.read(ref)

    assert shares() == 0


def test_another_reaction_inside_is_another_reaction() -> None:
    """Not of this transaction: it happens at once, and this one sees that it has."""
    ref, log = Ref(0), Ref(0)
    tries: list[int] = []

    @direct
    def f(tx: Any) -> Any:
        tries.append(tx.read(ref))
        if len(tries) == 1:
            ref.add(1)
        tx.write(log, tries[-1])
        return tx.read(ref)

    assert f() == 1
    assert tries == [0, 1]


def test_what_would_only_make_a_coroutine_or_a_generator_is_refused() -> None:
    async def coroutine(tx: Any, x: Any) -> None:
        pass

    def generator(tx: Any, x: Any) -> Any:
        yield

    async def both(tx: Any, x: Any) -> Any:
        yield

    for function in coroutine, generator, both:
        with pytest.raises(TypeError, match="plain function"):
            reagent(function)
