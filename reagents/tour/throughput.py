"""The last room: a table of this interpreter's throughput, the standard library beside us in the same run."""

from __future__ import annotations

from collections.abc import Callable

from reagents.tour.contenders import GROUPS, Contender
from reagents.tour.crew import run_crew
from reagents.tour.screen import Screen

THREADS = (1, 2, 4)

#: Rounds between two looks at the clock: the look costs as much as a few operations.
BATCH = 500

NAME_WIDTH = 28


def measure(contender: Contender, threads: int, seconds: float) -> float:
    """Million operations a second of so many threads on one structure."""
    bind = contender.make()

    def worker(go_on: Callable[[], bool]) -> int:
        loop = bind()
        rounds = 0
        while go_on():
            loop(BATCH)
            rounds += BATCH
        return rounds

    rounds, taken = run_crew([worker] * threads, seconds)
    return sum(rounds) * contender.operations / taken / 1e6


def show(screen: Screen, seconds: float) -> list[str]:
    """Measure all and print the table as it grows; there is no invariant here that could break."""
    screen.heading("Throughput")
    screen.say(
        "Million operations a second, all threads together on the same structures; more is better.\n"
        "Each figure is one short run: `asv run` in a clone measures with care.\n"
    )
    screen.say(" " * NAME_WIDTH + "".join(f"{count:>4} thread{'s' if count > 1 else ' '}" for count in THREADS))
    cells = sum(len(contenders) for _, contenders in GROUPS) * len(THREADS)
    each = seconds / cells
    done = 0
    for title, contenders in GROUPS:
        screen.say(f"{title}:")
        for contender in contenders:
            line = f"  {contender.name:<{NAME_WIDTH - 2}}"
            for threads in THREADS:
                screen.progress(f"{line}   ... {done} of {cells} measured")
                line += f"{measure(contender, threads, each):>12.2f}"
                done += 1
            screen.say(line)
    return []
