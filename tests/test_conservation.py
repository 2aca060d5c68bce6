"""Nothing is lost and nothing appears: threads move items and money by composed reagents while a snapshot audits."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable
from itertools import chain
from typing import Any

import pytest

from lockfree import AtomicInt, Queue, Stack
from racing import STRESS, race
from reagents import BLOCK, Reagent, Ref, attempt, computed, const, guard, lift, post_commit, together

ROUNDS = 3_000 * STRESS


def drain(place: Stack[Any] | Queue[Any]) -> list[Any]:
    take = attempt(place.pop if isinstance(place, Stack) else place.get, drain)
    return list(iter(take, drain))


def take(place: Any) -> Reagent[Any, Any]:
    return place.pop if isinstance(place, Stack) else place.get


def give(place: Any) -> Reagent[Any, Any]:
    return place.push if isinstance(place, Stack) else place.put


@pytest.mark.parametrize(("make_a", "make_b"), [(Stack, Stack), (Queue, Queue), (Stack, Queue)])
def test_items_moved_to_and_fro(make_a: Any, make_b: Any) -> None:
    a, b = make_a(), make_b()
    items = [object() for _ in range(50)]
    for item in items:
        (const(item) >> give(a))()
    there, back = attempt(take(a) >> give(b)), attempt(take(b) >> give(a))

    def worker(move: Reagent[Any, Any]) -> None:
        for _ in range(ROUNDS):
            move()

    race(lambda: worker(there), lambda: worker(back), lambda: worker(there), lambda: worker(back))
    left = drain(a) + drain(b)
    assert sorted(map(id, left)) == sorted(map(id, items))


def test_items_among_many_places() -> None:
    """Rings of different shapes: pairs moved together, the first of several that has one, whatever is computed."""
    places: list[Any] = [Stack(), Queue(), Stack(), Queue()]
    items = list(range(40))
    for item in items:
        (const(item) >> give(places[item % 4]))()
    a, b, c, d = places
    moves: list[Reagent[Any, Any]] = [
        (take(a) >> give(b)) * (take(c) >> give(d)),
        (take(b) + take(d)) >> give(c),
        take(d) >> computed(lambda item: const(item) >> give(places[item % 4])),
        take(c) >> guard(lambda item: item % 3 != 0) >> give(a),
        (take(a) * take(a)) >> ((lift(lambda two: two[0]) >> give(c)) * (lift(lambda two: two[1]) >> give(b))),
        take(b) >> give(b),
        (take(a) >> give(a)) * (take(b) >> give(a)),
    ]

    def worker(seed: int) -> None:
        choose = random.Random(seed)
        polls = [attempt(move) for move in moves]
        for _ in range(ROUNDS):
            choose.choice(polls)()

    race(*(lambda seed=seed: worker(seed) for seed in range(3)), meanwhile=[gc.collect])
    assert sorted(chain.from_iterable(map(drain, places))) == items


def transfer_by_upd(source: Any, target: Any, amount: int) -> Reagent[Any, Any]:
    withdraw = source.upd(lambda money, _: (money - amount, amount) if money >= amount else BLOCK)
    return withdraw >> target.upd(lambda money, x: (money + x, None))


def transfer_by_add(source: Any, target: Any, amount: int) -> Reagent[Any, Any]:
    return (const(-amount) >> source.add >> guard(lambda money: money >= amount)) * (const(amount) >> target.add)


def transfer_by_reads(source: Any, target: Any, amount: int) -> Reagent[Any, Any]:
    return (source.read * target.read) >> computed(
        lambda both: (
            (const(both[0] - amount) >> guard(lambda rest: rest >= 0) >> source.write)
            * (const(both[1] + amount) >> target.write)
        )
    )


TRANSFERS = {"upd": transfer_by_upd, "add": transfer_by_add, "reads": transfer_by_reads}


@pytest.mark.parametrize("account", [Ref, AtomicInt])
@pytest.mark.parametrize("how", sorted(TRANSFERS))
def test_money(account: Callable[[int], Any], how: str) -> None:
    """Nobody is ever overdrawn, and every snapshot has the same total."""
    accounts = [account(100) for _ in range(4)]
    snapshot = together(*(each.read for each in accounts))
    transfer = TRANSFERS[how]

    def clerk(seed: int) -> None:
        choose = random.Random(seed)
        polls = [
            attempt(transfer(source, target, amount))
            for source in accounts
            for target in accounts
            if source is not target
            for amount in (1, 30)
        ]
        for _ in range(ROUNDS):
            choose.choice(polls)()

    def audit() -> None:
        seen = snapshot()
        assert sum(seen) == 400, seen
        assert min(seen) >= 0, seen

    race(lambda: clerk(1), lambda: clerk(2), meanwhile=[audit])
    audit()


def test_transfer_to_the_same_account() -> None:
    account = Ref(100)
    transfer_by_upd(account, account, 30)()
    transfer_by_add(account, account, 30)()
    assert account.get() == 100


def test_goods_for_money() -> None:
    """Items go one way and their price the other; stock plus money of each dealer is the same in every snapshot."""
    price = {name: i for i, name in enumerate("abcdefgh", 1)}
    shelves = [Stack("aceg"), Queue()]
    for name in "bdfh":
        shelves[1].put(name)
    stocks = [Ref(sum(price[n] for n in "aceg")), Ref(sum(price[n] for n in "bdfh"))]
    purses = [Ref(50), Ref(50)]
    worth = [stocks[0].get() + 50, stocks[1].get() + 50]

    def sell(seller: int, buyer: int) -> Reagent[Any, Any]:
        def settle(name: str) -> Reagent[Any, Any]:
            return together(
                const(name) >> give(shelves[buyer]),
                const(-price[name]) >> stocks[seller].add,
                const(price[name]) >> stocks[buyer].add,
                const(price[name]) >> purses[seller].add,
                const(-price[name]) >> purses[buyer].add >> guard(lambda money: money >= price[name]),
            )

        return attempt(take(shelves[seller]) >> computed(settle))

    def trade(seller: int, buyer: int) -> None:
        sale = sell(seller, buyer)
        for _ in range(ROUNDS // 2):
            sale()

    audit_all = together(stocks[0].read, purses[0].read, stocks[1].read, purses[1].read)

    def audit() -> None:
        stock_a, purse_a, stock_b, purse_b = audit_all()
        assert [stock_a + purse_a, stock_b + purse_b] == worth

    race(lambda: trade(0, 1), lambda: trade(1, 0), meanwhile=[audit])
    names = [drain(shelf) for shelf in shelves]
    assert [sum(price[n] for n in each) for each in names] == [stock.get() for stock in stocks]
    assert sorted(names[0] + names[1]) == list("abcdefgh")


def test_producers_and_consumers_through_stages() -> None:
    """Blocking moves through three stages; each item arrives once, and each is counted once after its commit."""
    first, second, third = Queue(), Stack(), Queue()
    count, stages = 1_000 * STRESS, 2

    def produce() -> list[int]:
        for i in range(count):
            first.put(i)
        return []

    def middle(source: Any, target: Any) -> list[int]:
        counted: list[int] = []
        move = take(source) >> post_commit(counted.append) >> give(target)
        for _ in range(count):
            move()
        return counted

    def consume() -> list[int]:
        return [third.get() for _ in range(count)]

    results = race(produce, lambda: middle(first, second), lambda: middle(second, third), consume)
    for counted in results[1 : 2 + stages]:
        assert sorted(counted) == list(range(count))
