"""Santa Claus (Trono, 1994): he sleeps until all nine reindeer are back, or three of his ten elves have a question.

Taking nine reindeer from their queue is one step: `together` of nine `get`s; so is taking three elves. Santa waits for
`harness + advise`, an honest choice: where he takes elves, fewer than nine reindeer were there at that instant. Who
comes leaves an end of his channel in the queue. There Santa gives all of a group one latch: their barrier, and his.

    python examples/santa_claus.py --christmases 20 --questions 20
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor

from lockfree import Queue
from reagents import Endpoint, Reagent, Ref, channel, const, together

Latch = Ref[int]  # how many of the group are still at work
Visitor = Endpoint[Latch, None]
REINDEER, ELVES, AT_ONCE = 9, 10, 3


class Door:
    """Where the visitors of one kind wait; `count` changes with the queue in one step."""

    def __init__(self) -> None:
        self.queue, self.count = Queue[Visitor](), Ref(0)
        self.enter = self.queue.put * (const(1) >> self.count.add)

    def group(self, size: int) -> Reagent[object, tuple[Visitor, ...]]:
        return const(-size) >> self.count.add >> together(*[self.queue.get] * size)


def visit(door: Door, closed: Ref[bool], works: list[object]) -> None:
    pair: tuple[Endpoint[None, Latch], Visitor] = channel()
    called = pair[0].swap + (closed.cas(True, True) >> const(None))
    door.enter(pair[1])
    while (latch := called()) is not None:
        works.append(door)
        latch.update(lambda n: n - 1)
        latch.cas(0, 0)()  # waits for the others of the group
        door.enter(pair[1])


def santa(reindeer: Door, elves: Door, christmases: int, questions: int) -> tuple[int, int, bool]:
    harness = reindeer.group(REINDEER) * const(0)
    advise = elves.group(AT_ONCE) * reindeer.count.read
    trips, advices, fair = 0, 0, True
    while trips < christmases or advices < questions:
        group, reindeer_there = (harness + advise)()
        trips, advices = trips + (len(group) == REINDEER), advices + (len(group) == AT_ONCE)
        fair &= reindeer_there < REINDEER
        latch: Latch = Ref(len(group))
        for visitor in group:
            visitor.swap(latch)
        latch.cas(0, 0)()
    return trips, advices, fair


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Reindeer by nines, elves by threes, reindeer first.")
    parser.add_argument("--christmases", type=int, default=20)
    parser.add_argument("--questions", type=int, default=20, help="that elves ask, by threes")
    args = parser.parse_args(argv)
    reindeer, elves, closed, works = Door(), Door(), Ref(False), list[object]()
    with ThreadPoolExecutor(REINDEER + ELVES) as threads:
        for door in [reindeer] * REINDEER + [elves] * ELVES:
            threads.submit(visit, door, closed, works)
        trips, advices, fair = santa(reindeer, elves, args.christmases, args.questions)
        closed.set(True)
    whole = (works.count(reindeer), works.count(elves)) == (REINDEER * trips, AT_ONCE * advices)
    print(f"{trips} Christmases, {advices} questions answered")
    print(f"everybody of each group did his work: {whole}; reindeer went first: {fair}")
    return 0 if whole and fair else 1


if __name__ == "__main__":
    sys.exit(main())
