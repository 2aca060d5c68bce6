"""Memory that runs out, at each allocation of a rendezvous: it happens as it should for all, or for nobody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lockfree import Exchanger, Queue, Stack
from no_memory import Case, check
from reagents import (
    Reagent,
    Ref,
    attempt,
    catalyse,
    channel,
    choice,
    computed,
    const,
    lift,
    post_commit,
    reagent,
    stats,
    together,
)
from reagents._core import Pending


def nothing() -> None:
    """The look at what cannot change; what a Pending calls."""


class Waiting:
    """One that waits without a thread. Looked at, it is what it has come to."""

    def __init__(self, r: Reagent[Any, Any], x: Any) -> None:
        self.pending = Pending(r, x, nothing)
        assert not self.pending.turn()
        self.end: Any = None

    def look(self) -> Any:
        if self.end is None:
            try:
                if self.pending.turn():
                    self.end = ("done", self.pending.value)
            except BaseException as error:
                self.end = (type(error),)
        return self.end

    def __del__(self) -> None:
        self.pending.withdraw()


def with_one(mine: Callable[..., Any], theirs: Callable[..., Any], *, blind: bool = False) -> Case:
    """mine(left) meets theirs(right), which waits."""

    def case(token: Any) -> Any:
        left, right = channel()
        r = mine(left, token)
        waiting = Waiting(theirs(right, token), token)
        return lambda: r("here", timeout=0), lambda: waiting.look() if not blind else waiting is None

    return case


def fail(*_: Any) -> Any:
    raise LookupError


def swap(end: Any, token: Any) -> Any:
    return end.swap


def twice(end: Any, token: Any) -> Any:
    return end.swap >> end.swap


def both(end: Any, token: Any) -> Any:
    return end.swap * end.swap


def in_choice(end: Any, token: Any) -> Any:
    return choice(end.swap >> end.swap >> end.swap, end.swap * const(token))


def attempted(end: Any, token: Any) -> Any:
    return attempt(end.swap, "nothing")


def failing(end: Any, token: Any) -> Any:
    return end.swap >> lift(fail)


def attempting_after(end: Any, token: Any) -> Any:
    return attempt(end.swap, "nothing") >> lift(token)


def acting(end: Any, token: Any) -> Any:
    return end.swap >> post_commit(token)


def computing(end: Any, token: Any) -> Any:
    further = end.swap
    return computed(lambda x, further=further: further) >> lift(token)


def within_one_reaction(token: Any) -> Any:
    left, right = channel()
    r = (const(token) >> left.swap) * (const("x") >> right.swap)
    return r, nothing


def three_within(token: Any) -> Any:
    (ab, ba), (ac, ca), (bc, cb) = channel(), channel(), channel()
    r = together(const(token) >> ab.swap * ac.swap, const(2) >> ba.swap * bc.swap, const(3) >> ca.swap * cb.swap)
    return r, nothing


def three_meet(token: Any) -> Any:
    (ab, ba), (ac, ca), (bc, cb) = channel(), channel(), channel()
    b, c = Waiting(ba.swap * bc.swap, token), Waiting(ca.swap * cb.swap, "c")
    mine = ab.swap * ac.swap
    return lambda: mine("a", timeout=0), lambda: (b.look(), c.look())


def exchanged(token: Any) -> Any:
    e = Exchanger()
    waiting = Waiting(e.exchange, token)
    return lambda: e.exchange("x", timeout=0), waiting.look


def nobody(token: Any) -> Any:
    left, right = channel()
    mine = left.swap
    return lambda: mine(token, timeout=0), lambda: (right is None, stats()["waiting"])


def with_a_catalyst(token: Any) -> Any:
    left, right = channel()
    stack: Stack[Any] = Stack()
    c = catalyse(right.swap >> stack.push, token)
    mine = left.swap
    return lambda: mine("x", timeout=0), lambda: (stack.snapshot(), c.active)


def a_catalyst_that_finds_one(token: Any) -> Any:
    """It may meet it, and then have no memory to go on waiting; the meeting stands."""
    left, right = channel()
    waiting = Waiting(left.swap, token)
    made: list[Any] = [None]
    r = right.swap

    def run() -> Any:
        made[0] = catalyse(r)
        made[0].cancel()

    return run, lambda: waiting is None


def direct(token: Any) -> Any:
    word: Ref[Any] = Ref(token)
    queue: Queue[Any] = Queue()
    choose = (queue.get + const(3)) >> const(token)

    @reagent
    def f(tx: Any, x: Any) -> Any:
        tx.write(word, (tx.read(word), x))
        tx(choose)
        return tx(queue.put, x)

    return lambda: f(token), lambda: (word.get(), queue.qsize())


CASES: dict[str, Case] = {
    "swap": with_one(swap, swap),
    "swap twice": with_one(twice, twice),
    "pairs": with_one(both, both),
    "choice with swap": with_one(in_choice, swap),
    "attempt": with_one(attempted, swap),
    "attempt fails": with_one(attempted, twice),
    "I fail": with_one(failing, swap),
    "both act": with_one(acting, acting),
    "attempt and more": with_one(attempting_after, swap),
    "partner attempts": with_one(swap, lambda end, token: end.swap >> attempt(Ref(token).cas(1, 2))),
    "computed": with_one(computing, computing),
    "within one": within_one_reaction,
    "three within one": three_within,
    "three": three_meet,
    "Exchanger": exchanged,
    "nobody": nobody,
    "catalyst": with_a_catalyst,
    "catalyse": a_catalyst_that_finds_one,
    "direct style": direct,
}


@pytest.mark.parametrize("name", CASES)
def test_no_memory(name: str) -> None:
    check(CASES[name])
    assert stats()["waiting"] == 0 or "catalyst" in name
