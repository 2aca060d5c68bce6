"""The third room, with real input: the words of this interpreter's standard library, by one thread and by many.

One thread counts them with a `collections.Counter`. Then threads take the same files from a `lockfree.Queue` and add
each word as they meet it to a `lockfree.Counter` of its own. The two results must be equal.
"""

from __future__ import annotations

import collections
import re
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from reagents.tour.crew import run_crew
from reagents.tour.machine import cores
from reagents.tour.screen import Screen

if TYPE_CHECKING:
    from lockfree import Counter

WORD = re.compile(r"[^\W\d_]+")

#: The threads add word by word, the one thread in C loops; of the time for both it may use so much.
ONE_THREAD_SHARE = 0.3

#: Where packages that were installed later live, inside the directory of the standard library.
NOT_STANDARD = {"site-packages", "dist-packages"}


def standard_library() -> list[Path]:
    """All its `.py` files."""
    root = Path(sysconfig.get_path("stdlib"))
    return sorted(path for path in root.rglob("*.py") if not NOT_STANDARD & set(path.relative_to(root).parts))


def words_of(path: Path) -> list[str]:
    return WORD.findall(path.read_text(encoding="utf-8", errors="replace"))


def count_alone(paths: list[Path], seconds: float, screen: Screen) -> tuple[dict[str, int], int]:
    """The words of as many files as one thread counts in that time, and how many files those are."""
    counts: collections.Counter[str] = collections.Counter()
    deadline = time.perf_counter() + seconds
    for done, path in enumerate(paths):
        # At least one file, however short the time.
        if done and time.perf_counter() > deadline:
            return counts, done
        counts.update(words_of(path))
        screen.progress(f"one thread: {done + 1:,} of {len(paths):,} files")
    return counts, len(paths)


def count_together(paths: list[Path], threads: int, screen: Screen) -> dict[str, int]:
    """The same by threads that share a Queue of files and a Counter a word."""
    from lockfree import Counter, Queue

    files: Queue[Path | None] = Queue()
    counters: dict[str, Counter] = {}

    def worker(go_on: Callable[[], bool]) -> int:
        done = 0
        for path in iter_until_none(files.get):
            for word in words_of(path):
                counter = counters.get(word)
                if counter is None:
                    # setdefault is atomic: whoever comes second gets the first one's counter.
                    counter = counters.setdefault(word, Counter())
                counter.add()
            done += 1
            if not go_on():
                break
        return done

    def feeder(go_on: Callable[[], bool]) -> int:
        for path in paths:
            files.put(path)
        for _ in range(threads):
            files.put(None)
        return 0

    def watch(gone: float) -> None:
        screen.progress(f"{threads} threads: {len(paths) - files.qsize():,} of {len(paths):,} files")

    # No end to the time: the files are as many as one thread managed in its share of it.
    done, _ = run_crew([feeder, *[worker] * threads], float("inf"), watch)
    assert sum(done) == len(paths), f"{sum(done)} of {len(paths)} files came through the queue"
    return {word: counter.value() for word, counter in counters.items()}


def iter_until_none(get: Callable[[], Path | None]) -> Iterator[Path]:
    while (path := get()) is not None:
        yield path


def show(screen: Screen, seconds: float) -> list[str]:
    """Count in both ways and compare; return what broke."""
    screen.heading("The words of the standard library")
    paths = standard_library()
    if not paths:
        screen.say("This interpreter came without its source files: nothing to count.")
        return []
    found = len(paths)
    start = time.perf_counter()
    alone, done = count_alone(paths, seconds * ONE_THREAD_SHARE, screen)
    middle = time.perf_counter()
    if done < found:
        screen.say(f"In the time given, {done:,} of {found:,} files.")
    threads = max(2, cores())
    together = count_together(paths[:done], threads, screen)
    end = time.perf_counter()

    screen.say(f"{done:,} files, {sum(alone.values()):,} words, {len(alone):,} different ones.")
    frequent = sorted(together.items(), key=lambda item: (-item[1], item[0]))[:8]
    screen.say("Most frequent: " + ", ".join(f"{word} {count:,}" for word, count in frequent) + ".")
    screen.say(
        f"One thread, collections.Counter: {middle - start:.2f} s. "
        f"{threads} threads, a Queue and a Counter per word: {end - middle:.2f} s."
    )
    if together != alone:
        wrong = sum(alone.get(word) != together.get(word) for word in alone.keys() | together.keys())
        return [f"the threads counted {wrong:,} words differently from one thread"]
    screen.say("The two agree on every word.")
    return []
