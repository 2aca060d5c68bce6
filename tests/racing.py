"""What the tests share to put threads against each other: no sleeps, no unbounded waits.

`race` lets all workers go from one barrier and raises what any of them raised; `Background` is one thread whose
result is asked for later; `soon` waits for a condition with a deadline; `Parked` knows when a reaction has gone to
sleep, from `reagents.stats()`; `run_python` runs a script in a fresh interpreter that finds the same packages.
"""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import reagents

#: Multiplies the length of the stress tests; 1 keeps the whole suite short enough for two cores.
STRESS = int(os.environ.get("REAGENTS_STRESS", "1"))

#: The part to make of the examples that are meant: where the same code is tested many times over, less is enough.
_EXAMPLES = float(os.environ.get("REAGENTS_EXAMPLES", "1"))

#: A thread that has not come back after this many seconds is lost, and the test says so.
PATIENCE = 60.0

GIL = getattr(sys, "_is_gil_enabled", lambda: True)()


def examples(n: int) -> int:
    """How many examples of a property to try, where n are meant."""
    return max(1, round(n * STRESS * _EXAMPLES))


@contextlib.contextmanager
def eager_switching() -> Iterator[None]:
    """With a GIL, hand it over a thousand times as often, so that threads do meet inside an operation."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def race(*workers: Callable[[], Any], meanwhile: Sequence[Callable[[], Any]] = ()) -> list[Any]:
    """Run each worker in its own thread, from one barrier; return their results in order.

    Each of `meanwhile` is called again and again, in a thread of its own, until the last worker has returned; the
    collector, which stops the others, for half of the time. The first exception of any thread is raised here.
    """
    count = len(workers) + len(meanwhile)
    barrier = threading.Barrier(count)
    over = threading.Event()
    results: list[Any] = [None] * len(workers)
    errors: list[BaseException] = []

    def once(index: int, worker: Callable[[], Any]) -> None:
        try:
            barrier.wait(PATIENCE)
            results[index] = worker()
        except BaseException as error:
            errors.append(error)
            over.set()

    def again(worker: Callable[[], Any]) -> None:
        try:
            barrier.wait(PATIENCE)
            while not over.is_set():
                began = time.monotonic()
                worker()
                if worker is gc.collect:
                    over.wait(time.monotonic() - began)
        except BaseException as error:
            errors.append(error)
            over.set()

    foreground = [threading.Thread(target=once, args=pair, daemon=True) for pair in enumerate(workers)]
    background = [threading.Thread(target=again, args=(worker,), daemon=True) for worker in meanwhile]
    deadline = time.monotonic() + PATIENCE * STRESS
    with eager_switching():
        for thread in foreground + background:
            thread.start()
        for thread in foreground:
            while thread.is_alive() and not errors and time.monotonic() < deadline:
                thread.join(0.1)
        over.set()
        # After an error the others may wait for what will never come; they are daemons and need not be waited for.
        for thread in foreground + background:
            thread.join(1.0 if errors else max(0.0, deadline - time.monotonic()))
    if errors:
        raise errors[0]
    stuck = [thread.name for thread in foreground + background if thread.is_alive()]
    assert not stuck, f"still running after {PATIENCE * STRESS:.0f} s: {stuck}"
    return results


class Background:
    """A function running in a thread of its own, from now on."""

    def __init__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self._error: BaseException | None = None
        self._value: Any = None

        def run() -> None:
            try:
                self._value = function(*args, **kwargs)
            except BaseException as error:
                self._error = error

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def result(self, timeout: float = PATIENCE) -> Any:
        """Its value, or what it raised."""
        self._thread.join(timeout)
        assert not self._thread.is_alive(), f"no result after {timeout} s"
        if self._error is not None:
            raise self._error
        return self._value


def elsewhere(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function in another thread and wait for its result: a step of a schedule that the test dictates."""
    return Background(function, *args).result()


def soon(condition: Callable[[], Any], what: str = "the condition", timeout: float = PATIENCE) -> None:
    """Wait until the condition holds; fail if it does not within the timeout."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about within {timeout} s"
        pause.wait(0.001)


def settle() -> None:
    """Without a GIL, what words and structures give up is dropped late; some more operations bring that about."""
    ref: reagents.Ref[Any] = reagents.Ref(None)
    for i in range(2_000):
        ref.set([i])
    gc.collect()


class Parked:
    """Counts the reactions that have gone to sleep since it was made."""

    def __init__(self) -> None:
        self._before = reagents.stats()["waits"]

    @property
    def count(self) -> int:
        return int(reagents.stats()["waits"]) - self._before

    def wait_for(self, count: int = 1) -> None:
        soon(lambda: self.count >= count, f"the {count}th parked reaction")


def parked(r: reagents.Reagent[Any, Any], x: Any = None) -> Background:
    """A thread that runs it and has parked."""
    before = Parked()
    thread = Background(lambda: r(x, timeout=PATIENCE))
    before.wait_for()
    return thread


def run_python(code: str, *options: str, timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
    """Run a script in a fresh interpreter; fail with its output unless it exits with 0."""
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def environment() -> dict[str, str]:
    """This process' environment, with the packages under test on the path."""
    home = str(Path(reagents.__file__).parent.parent)
    path = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}


#: CPython 3.12 and 3.13 let destructors nest ten thousand deep before they put them off: nested tuples need as much.
NESTING_DESTRUCTORS = (3, 12) <= sys.version_info < (3, 14)


def in_small_stack(function: Callable[[], Any], size: int = 512 * 1024 if NESTING_DESTRUCTORS else 256 * 1024) -> Any:
    """Call a function in a thread with a small C stack, where deep recursion in C would crash at once."""
    before = threading.stack_size(size)
    try:
        background = Background(function)
    finally:
        threading.stack_size(before)
    return background.result()
