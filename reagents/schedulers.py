"""How a coroutine waits: what arun() asks of an event loop.

arun() knows no event loop. It asks a `Scheduler` for a `Suspension`, waits there when its reaction blocks, and whoever
lets the reaction go on calls `resume()`, from any thread. There are adapters for asyncio and trio, found by
looking which of them is running; any other comes in by `use()`.

A toy one, which runs coroutines one after another and parks its thread when none can go on:

>>> import queue
>>> from collections.abc import Callable, Coroutine
>>> from typing import Any
>>> from reagents import schedulers
>>> class Yield:
...     def __await__(self):
...         yield
>>> class ToySuspension:
...     def __init__(self, loop):
...         self.loop, self.coroutine = loop, loop.running
...     def resume(self):                           # any thread
...         self.loop.ready.put(self.coroutine)
...     async def wait(self, withdraw, seconds=None):
...         await Yield()                           # nothing here can be cancelled
...     async def enter(self): pass
...     async def leave(self): pass
>>> class ToyLoop:
...     def __init__(self):
...         self.ready, self.running = queue.SimpleQueue(), None
...     def suspension(self):
...         return ToySuspension(self)
...     def run(self, *coroutines):
...         results, names = {}, {c: i for i, c in enumerate(coroutines)}
...         for c in coroutines:
...             self.ready.put(c)
...         with schedulers.use(self):
...             while len(results) < len(coroutines):
...                 self.running = self.ready.get()
...                 if names[self.running] in results:
...                     continue                    # a resume() too many
...                 try:
...                     self.running.send(None)
...                 except StopIteration as end:
...                     results[names[self.running]] = end.value
...         return [results[i] for i in range(len(coroutines))]
>>> from reagents import channel
>>> left, right = channel()
>>> ToyLoop().run(left.swap.arun("a"), right.swap.arun("b"))
['b', 'a']
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Protocol

__all__ = ["Scheduler", "Suspension", "current", "use"]


class Suspension(Protocol):
    """Where one arun() waits, any number of times, one at a time. Made in the coroutine that is to wait.

    As long as the event loop lives, it keeps the coroutines that wait in it: what they wait for does not.
    """

    def resume(self) -> None:
        """Let the wait that is under way return, or else the next one, at once.

        In any thread, at any point of its program: signal handlers and destructors wake too. Must not block or raise;
        may be called too often, or after the coroutine has ended.
        """

    async def wait(self, withdraw: Callable[[], bool], seconds: float | None = None) -> None:
        """Wait for resume(), or for so many seconds if they are given.

        When the coroutine is cancelled meanwhile: call withdraw(). If that returns True the reaction did not happen:
        raise the cancellation. If False it has happened, and its result must reach the coroutine: keep the
        cancellation until leave(), and return when resume() is called or was called before.
        """

    async def enter(self) -> None:
        """Before the reaction is first tried; may raise a cancellation that is due."""

    async def leave(self) -> None:
        """After it has happened. Must not raise; a cancellation that came too late is due from here on."""


class Scheduler(Protocol):
    def suspension(self) -> Suspension:
        """A new one for the coroutine that runs."""


_chosen: ContextVar[Scheduler | None] = ContextVar("reagents.schedulers", default=None)


_running: dict[str, Callable[[], Scheduler | None]] = {}


def _adapter(library: str) -> Callable[[], Scheduler | None]:
    running: Callable[[], Scheduler | None] = import_module(f"reagents._{library}").running
    _running[library] = running
    return running


@contextmanager
def use(scheduler: Scheduler) -> Iterator[None]:
    """Within this context arun() waits in `scheduler`, whatever else is running."""
    token = _chosen.set(scheduler)
    try:
        yield
    finally:
        _chosen.reset(token)


def current() -> Scheduler:
    """The scheduler of the coroutine that runs. Raises RuntimeError when there is none."""
    chosen = _chosen.get()
    if chosen is not None:
        return chosen
    for library in ("trio", "asyncio"):
        if library in sys.modules:
            found = (_running.get(library) or _adapter(library))()
            if found is not None:
                return found
    raise RuntimeError(
        "arun() outside a running event loop: neither asyncio nor trio is running in this thread, and no scheduler "
        "was chosen with reagents.schedulers.use(); from plain code, call the reagent"
    )
