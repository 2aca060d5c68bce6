"""Threads that do the work of a room, from a common start, and stop when told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

#: Seconds between two calls of the watcher.
TICK = 0.1


def run_crew(
    workers: Sequence[Callable[[Callable[[], bool]], int]],
    seconds: float,
    watch: Callable[[float], None] | None = None,
) -> tuple[list[int], float]:
    """Run each worker in a thread; return what each returned, and how long they took.

    A worker gets a function that says whether to go on, which it asks now and then. Any error in a thread stops all,
    and is raised here; so does Ctrl-C. `watch` is called in this thread with the time gone by.
    """
    results = [0] * len(workers)
    errors: list[BaseException] = []
    stop = threading.Event()
    barrier = threading.Barrier(len(workers) + 1)

    def go_on() -> bool:
        return not stop.is_set()

    def body(index: int) -> None:
        try:
            barrier.wait()
            results[index] = workers[index](go_on)
        except BaseException as error:
            errors.append(error)
            stop.set()

    threads = [threading.Thread(target=body, args=(i,), daemon=True) for i in range(len(workers))]
    for thread in threads:
        thread.start()
    barrier.wait()
    start = time.perf_counter()
    try:
        while (alive := [thread for thread in threads if thread.is_alive()]) and (
            gone := time.perf_counter() - start
        ) < seconds:
            if watch is not None:
                watch(gone)
            # Not a sleep: the end of the last thread is the end of the wait.
            alive[0].join(min(TICK, seconds - gone))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    taken = time.perf_counter() - start
    if errors:
        raise errors[0]
    return results, taken
