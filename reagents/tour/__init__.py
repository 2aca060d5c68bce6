"""The tour behind `python -m reagents`.

Four rooms: a few compositions with their source lines; dealers who trade goods for money while a snapshot audits
them; the words of the standard library counted by threads and by one; this interpreter's throughput beside the
standard library's. Each room checks what it shows. The process exits with 1 if an invariant broke.

The tour shows the structures of `lockfree` and so is the one place in `reagents` that imports them, and only when it
runs.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence

from reagents.tour.screen import Screen

__all__ = ["main"]

#: The default length of the tour: long enough for steady figures, and under a minute.
SECONDS = 40.0

# Shares of the time. The compositions take none that could be noticed.
TRADE_SHARE, WORDS_SHARE, THROUGHPUT_SHARE = 0.2, 0.3, 0.5


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tour; return 0, or 1 if an invariant broke."""
    options = parser().parse_args(arguments)
    screen = Screen()
    start = time.monotonic()
    try:
        problems = tour(screen, options.seconds)
    except KeyboardInterrupt:
        screen.say("\nInterrupted.")
        return 130
    screen.heading("Done")
    screen.say(f"{time.monotonic() - start:.1f} seconds.")
    for problem in problems:
        screen.say(f"BROKEN: {problem}")
    if not problems:
        screen.say("Every invariant held.")
    return 1 if problems else 0


def tour(screen: Screen, seconds: float) -> list[str]:
    """Walk through all the rooms; return what broke."""
    # Imported here, not above: `--help` and a mistyped option need none of it.
    from reagents.tour import compositions, machine, throughput, trade, words

    screen.say(machine.describe())
    return [
        *compositions.show(screen),
        *trade.show(screen, seconds * TRADE_SHARE),
        *words.show(screen, seconds * WORDS_SHARE),
        *throughput.show(screen, seconds * THROUGHPUT_SHARE),
    ]


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="python -m reagents",
        description="A tour of reagents: compositions, threads that trade, real input, and this machine's figures.",
    )
    found.add_argument(
        "--seconds",
        type=positive_seconds,
        default=SECONDS,
        help="about how long the whole tour may take (default: %(default)g)",
    )
    return found


def positive_seconds(text: str) -> float:
    seconds = float(text)
    if not (seconds > 0 and math.isfinite(seconds)):
        raise argparse.ArgumentTypeError(f"a number above 0 is needed, not {text}")
    return seconds
