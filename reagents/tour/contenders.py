"""Who takes part in the table of throughput: each makes its structures once, and then one loop for each thread."""

from __future__ import annotations

import collections
import itertools
import queue
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from reagents import BLOCK, Ref

#: Does so many rounds. Made in the thread that runs it, which so has bound methods of its own: sharing one between
#: threads would measure its reference count.
Loop = Callable[[int], None]


class Contender(NamedTuple):
    name: str
    make: Callable[[], Callable[[], Loop]]
    operations: int  # in one round


def in_and_out(add: Callable[[Any], Callable[[Any], Any]], remove: Callable[[Any], Callable[[], Any]]) -> Any:
    """A contender whose rounds put something in and take something out."""

    def contender(make: Callable[[], Any]) -> Callable[[], Callable[[], Loop]]:
        def start() -> Callable[[], Loop]:
            structure = make()

            def bind() -> Loop:
                put, get = add(structure), remove(structure)

                def loop(rounds: int) -> None:
                    for _ in itertools.repeat(None, rounds):
                        put(None)
                        get()

                return loop

            return bind

        return start

    return contender


def stack() -> Any:
    from lockfree import Stack

    return Stack()


def lockfree_queue() -> Any:
    from lockfree import Queue

    return Queue()


push_pop = in_and_out(lambda s: s.push, lambda s: s.pop)
put_get = in_and_out(lambda s: s.put, lambda s: s.get)
append_pop = in_and_out(lambda s: s.append, lambda s: s.pop)
append_popleft = in_and_out(lambda s: s.append, lambda s: s.popleft)


def locked_deque() -> Callable[[], Loop]:
    """What one writes who wants to be sure: a deque inside `with` of a Lock."""
    items: collections.deque[None] = collections.deque()
    lock = threading.Lock()

    def bind() -> Loop:
        def loop(rounds: int) -> None:
            for _ in itertools.repeat(None, rounds):
                with lock:
                    items.append(None)
                with lock:
                    items.popleft()

        return loop

    return bind


def composed_move() -> Callable[[], Loop]:
    """There and back, so that no stack runs empty."""
    from lockfree import Stack

    a, b = Stack(range(1_000)), Stack(range(1_000))

    def bind() -> Loop:
        there, back = a.pop >> b.push, b.pop >> a.push

        def loop(rounds: int) -> None:
            for _ in itertools.repeat(None, rounds):
                there()
                back()

        return loop

    return bind


def locked_move() -> Callable[[], Loop]:
    """Two deques under two Locks, always taken in the same order."""
    a, b = collections.deque(range(1_000)), collections.deque(range(1_000))
    lock_a, lock_b = threading.Lock(), threading.Lock()

    def bind() -> Loop:
        def loop(rounds: int) -> None:
            for _ in itertools.repeat(None, rounds):
                with lock_a, lock_b:
                    b.append(a.pop())
                with lock_a, lock_b:
                    a.append(b.pop())

        return loop

    return bind


def transfer_by_functions() -> Callable[[], Loop]:
    """`upd >> upd` with Python functions."""
    a, b = Ref(10**6), Ref(10**6)

    def bind() -> Loop:
        def withdraw(money: int, amount: int) -> Any:
            return (money - amount, amount) if money >= amount else BLOCK

        def deposit(money: int, amount: int) -> tuple[int, int]:
            return money + amount, amount

        there = a.upd(withdraw) >> b.upd(deposit)
        back = b.upd(withdraw) >> a.upd(deposit)

        def loop(rounds: int) -> None:
            for _ in itertools.repeat(None, rounds):
                there(1)
                back(1)

        return loop

    return bind


def transfer_by_add() -> Callable[[], Loop]:
    """The built-in `add` of both refs."""
    a, b = Ref(10**6), Ref(10**6)

    def bind() -> Loop:
        def minus(amount: int) -> int:
            return -amount

        there = (minus >> a.add) * b.add
        back = a.add * (minus >> b.add)

        def loop(rounds: int) -> None:
            for _ in itertools.repeat(None, rounds):
                there(1)
                back(1)

        return loop

    return bind


class Account:
    def __init__(self) -> None:
        self.money = 10**6
        self.lock = threading.Lock()


def locked_transfer() -> Callable[[], Loop]:
    """Two accounts with a Lock each, taken in the same order."""
    a, b = Account(), Account()

    def bind() -> Loop:
        def loop(rounds: int) -> None:
            for _ in itertools.repeat(None, rounds):
                with a.lock, b.lock:
                    if a.money >= 1:
                        a.money -= 1
                        b.money += 1
                with a.lock, b.lock:
                    if b.money >= 1:
                        b.money -= 1
                        a.money += 1

        return loop

    return bind


#: Ours first in each group, then what the standard library offers for the same.
GROUPS: list[tuple[str, list[Contender]]] = [
    (
        "last in, first out",
        [
            Contender("lockfree.Stack push, pop", push_pop(stack), 2),
            Contender("list append, pop", append_pop(list), 2),
            Contender("deque append, pop", append_pop(collections.deque), 2),
        ],
    ),
    (
        "first in, first out",
        [
            Contender("lockfree.Queue put, get", put_get(lockfree_queue), 2),
            Contender("SimpleQueue put, get", put_get(queue.SimpleQueue), 2),
            Contender("deque append, popleft", append_popleft(collections.deque), 2),
            Contender("deque inside a Lock", locked_deque, 2),
        ],
    ),
    (
        "move an item between two",
        [
            Contender("a.pop >> b.push", composed_move, 2),
            Contender("deques, two Locks", locked_move, 2),
        ],
    ),
    (
        "transfer between two accounts",
        [
            Contender("a.upd(f) >> b.upd(g)", transfer_by_functions, 2),
            Contender("(minus >> a.add) * b.add", transfer_by_add, 2),
            Contender("ints, two Locks", locked_transfer, 2),
        ],
    ),
]
