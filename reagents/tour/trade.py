"""The second room: dealers sell goods for money, each sale one reaction, while a snapshot reagent audits them all.

A sale takes an item from one dealer's shelf and puts it on another's, moves its price the other way, and corrects the
value of both stocks: two structures and four refs, at once or not at all. So at every instant each dealer's stock and
purse add up to what the dealer began with, and no purse is below zero. The auditor reads all of them in one reaction
and checks just that, as fast as it can; at the end the shelves are counted item by item.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from reagents import Reagent, Ref, attempt, computed, const, guard, stats, together
from reagents.tour.crew import run_crew
from reagents.tour.machine import cores
from reagents.tour.screen import Screen

if TYPE_CHECKING:
    from lockfree import Queue, Stack

GOODS = 300
MONEY = 500

#: Steps between two looks at the clock.
BATCH = 50


class Dealer:
    """A shelf of goods, the value of what is on it, and a purse."""

    def __init__(self, shelf: Stack[int] | Queue[int], take: Reagent[Any, int], give: Reagent[int, Any]) -> None:
        self.shelf = shelf
        self.take = take
        self.give = give
        self.stock = Ref(0)
        self.purse = Ref(MONEY)
        self.worth = MONEY


def sale(seller: Dealer, buyer: Dealer) -> Reagent[Any, Any]:
    """One item for its price; blocks where the shelf is empty or the purse too light."""

    def settle(price: int) -> Reagent[Any, Any]:
        return together(
            const(price) >> buyer.give,
            const(price) >> seller.purse.add,
            const(-price) >> buyer.purse.add >> guard(lambda money: money >= price),
            const(-price) >> seller.stock.add,
            const(price) >> buyer.stock.add,
        )

    return seller.take >> computed(settle)


def open_market() -> list[Dealer]:
    """Three dealers, two with a stack for a shelf and one with a queue; an item is its price."""
    from lockfree import Queue, Stack

    stacks, queue = [Stack[int](), Stack[int]()], Queue[int]()
    dealers = [Dealer(stack, stack.pop, stack.push) for stack in stacks]
    dealers.append(Dealer(queue, queue.get, queue.put))
    for item in range(GOODS):
        dealer, price = dealers[item % 3], 1 + item % 10
        (const(price) >> dealer.give)()
        dealer.stock.add(price)
        dealer.worth += price
    return dealers


def audit(dealers: list[Dealer]) -> Callable[[], str | None]:
    """A function that takes a snapshot of all and says what is wrong with it."""
    snapshot = together(*(each.stock.read for each in dealers), *(each.purse.read for each in dealers))
    worths = [each.worth for each in dealers]

    def look() -> str | None:
        seen = snapshot()
        stocks, purses = seen[: len(dealers)], seen[len(dealers) :]
        if [sum(each) for each in zip(stocks, purses, strict=True)] != worths:
            return f"stocks {stocks} and purses {purses} do not add up to {worths}"
        if min(purses) < 0:
            return f"a purse is below zero: {purses}"
        return None

    return look


def trader(dealers: list[Dealer], seed: int) -> Callable[[Callable[[], bool]], int]:
    """Tries sales between dealers at random; returns how many there were."""
    sales = [
        attempt(sale(seller, buyer) >> const(1), 0) for seller in dealers for buyer in dealers if seller is not buyer
    ]
    choose = random.Random(seed).choice

    def work(go_on: Callable[[], bool]) -> int:
        done = 0
        while go_on():
            for _ in range(BATCH):
                done += choose(sales)()
        return done

    return work


def goods_left(dealer: Dealer) -> list[int]:
    """All that is on a shelf; empties it."""
    take = attempt(dealer.take)
    return list(iter(take, None))


def show(screen: Screen, seconds: float) -> list[str]:
    """Let them trade; return what broke."""
    screen.heading("Goods for money")
    dealers = open_market()
    count = max(2, cores())
    screen.say(
        f"{count} threads sell {GOODS} items among {len(dealers)} dealers. One sale is one reaction over two\n"
        "structures and four refs. One more thread audits all of them in one snapshot, over and over."
    )
    look, problems, audits = audit(dealers), list[str](), [0]

    def auditor(go_on: Callable[[], bool]) -> int:
        while go_on() and not problems:
            problem = look()
            if problem is not None:
                problems.append(problem)
            audits[0] += 1
        return 0

    def watch(gone: float) -> None:
        screen.progress(f"{gone:4.1f} of {seconds:.0f} s, {audits[0]:,} snapshots audited")

    before = stats()
    sold, taken = run_crew([*(trader(dealers, seed) for seed in range(count)), auditor], seconds, watch)
    after = stats()
    screen.say(
        f"{sum(sold):,} sales and {audits[0]:,} audits in {taken:.1f} s "
        f"({after['retries'] - before['retries']:,} retries because another thread was faster)."
    )
    problems += check_shelves(dealers, look)
    if not problems:
        screen.say("Every snapshot added up, and so do the shelves, item by item.")
    return problems


def check_shelves(dealers: list[Dealer], look: Callable[[], str | None]) -> list[str]:
    problems = [problem] if (problem := look()) is not None else []
    stocks = [each.stock.get() for each in dealers]
    shelves = [goods_left(each) for each in dealers]
    if list(map(sum, shelves)) != stocks:
        problems.append(f"the shelves hold {list(map(sum, shelves))}, the books say {stocks}")
    if sorted(itertools.chain.from_iterable(shelves)) != sorted(1 + item % 10 for item in range(GOODS)):
        problems.append("the goods at the end are not those of the beginning")
    return problems
