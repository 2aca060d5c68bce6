"""One run of a scenario: its threads take turns, and a chooser says whose turn it is.

One thread runs at a time; the others wait, each at a gate of its own. At a hand-over the running thread itself
asks the chooser who goes on, and real threads switch only where that is another one. A thread that has handed
over says what it does next, so a turn is (thread, what it did with it), and a run is the list of its turns.

What a thread does before its first operation nobody else can see: all do that first, one after the other.
"""

from __future__ import annotations

import gc
import os
import select
from collections.abc import Callable, Sequence
from threading import Thread
from types import TracebackType
from typing import Protocol

from reagents._core import _explore_begin, _explore_end

Turn = tuple[int, str]
Thunk = Callable[[], object]

_NEW, _READY, _WAITING, _TIMED, _DONE = range(5)


class Deadlock(RuntimeError):
    """The threads of a scenario wait, and nobody is left who could wake them."""


class StepLimit(RuntimeError):
    """A run has taken more turns than `max_steps`: a thread spins, or retries for ever."""


class NotDeterministic(RuntimeError):
    """A scenario did something else when the same schedule was run again.

    Schedules decide everything only if the scenario depends on nothing else: no clock, no random numbers, no
    threads of its own, no state kept from one run to the next, no order of a set of objects. Such a scenario cannot
    be explored. That is no bug of what it uses.
    """


class Chooser(Protocol):
    turns: list[Turn]  # filled by the run

    def choose(self, step: int, current: int | None, doing: dict[int, str]) -> int:
        """Whose turn number `step` is: a key of `doing`, which says what each thread that can go on would do.

        `current` has just handed over and can go on; None where it waits or has ended. Threads whose timeout
        could be over come last in `doing`.
        """


class _Abandoned(BaseException):
    """Ends what runs in the threads of a run that is over. No Exception, so that what catches errors lets it pass."""


class _Gate:
    """Where one thread waits until another lets it through, once.

    A pipe: to switch threads by it takes 2 us with the GIL and without. A Lock takes 25 us without, as it spins first.
    """

    __slots__ = ("_read", "_write")

    def __init__(self) -> None:
        self._read, self._write = os.pipe()

    def open(self) -> None:
        os.write(self._write, b".")

    def wait(self) -> None:
        os.read(self._read, 1)

    def opens_within(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._read, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)


class _Actor:
    """A thread, and what it is about."""

    __slots__ = ("does", "gate", "index", "state", "thread", "thunk", "woken")

    thread: Thread

    def __init__(self, index: int) -> None:
        self.index = index
        self.state = _DONE
        self.does = ""
        self.thunk: Thunk | None = None
        self.woken = bytearray(1)  # set from C, when the reaction that waits here is woken
        self.gate = _Gate()


class Crew:
    """The threads of an exploration: the same for all runs, as to start one takes longer than most runs."""

    def __init__(self) -> None:
        self._actors: list[_Actor] = []
        self._over = _Gate()
        self._stuck = False
        self._collecting = False

    def __enter__(self) -> Crew:
        self._collecting = gc.isenabled()
        gc.disable()  # it would run destructors anywhere
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Ends the threads; not one that is stuck, which nobody can end: it is a daemon."""
        if self._collecting:
            gc.enable()
        if self._stuck:
            self._ending = True
            for actor in self._actors:  # it ends with the others if it waits for what they have and give up now
                actor.thunk = None
                actor.gate.open()  # out of its turn
                actor.gate.open()  # and out
            return
        for actor in self._actors:
            actor.thunk = None
            actor.gate.open()
            actor.thread.join()
            actor.gate.close()
        self._over.close()

    def run(self, thunks: Sequence[Thunk], chooser: Chooser, max_steps: int, patience: float) -> BaseException | None:
        """Runs each thunk in a thread until all have ended, or one fails; what went wrong, if anything did.

        Raises RuntimeError if a turn takes more than `patience` seconds.
        """
        while len(self._actors) < len(thunks):
            actor = _Actor(len(self._actors))
            actor.thread = Thread(target=self._body, args=(actor,), name=f"explored-{actor.index}", daemon=True)
            actor.thread.start()
            self._actors.append(actor)
        self._playing = self._actors[: len(thunks)]
        for actor, thunk in zip(self._playing, thunks, strict=True):
            actor.thunk = thunk
            actor.state = _NEW
        self._chooser = chooser
        self._max_steps = max_steps
        self._error: BaseException | None = None
        self._ending = False
        self._numbers: dict[int, int] = {}
        self._objects: list[object] = []  # keeps what was numbered alive, so that no address comes back
        self._stuck = True  # unless we come to the end of this
        first = self._next(None)
        if first is not None:
            first.gate.open()
            self._wait(patience)
        self._ending = True
        for actor in self._playing:
            if actor.state != _DONE:
                self._running = actor.index
                actor.gate.open()
                self._wait(patience)
        self._stuck = False
        self._objects.clear()
        return self._error

    def _wait(self, patience: float) -> None:
        turns = -1
        while not self._over.opens_within(patience):
            if turns == len(self._chooser.turns):
                self._ending = True
                raise RuntimeError(
                    f"thread {self._running} has not come back from its turn for {patience} seconds: it waits for"
                    " another thread by other means than reagents, or computes for long"
                )
            turns = len(self._chooser.turns)
        self._over.wait()

    # ---- in the threads

    def _body(self, me: _Actor) -> None:
        def hand_over(kind: str, what: object) -> None:
            self._hand_over(me, kind, what)

        while True:
            me.gate.wait()
            thunk = me.thunk
            if thunk is None:
                return
            try:
                if not self._ending:
                    _explore_begin(hand_over, me.woken)
                    try:
                        thunk()
                    finally:
                        _explore_end()
            except _Abandoned:
                pass
            except BaseException as error:
                if not self._ending:
                    self._error = error
            me.state = _DONE
            me.thunk = thunk = None
            self._pass_on(None if self._ending else self._next(me))

    def _hand_over(self, me: _Actor, kind: str, what: object) -> None:
        if self._ending:
            raise _Abandoned
        if what is not None:
            pass  # an operation, whatever its name is
        elif kind == "wait":
            me.state = _WAITING
        elif kind == "timed wait":
            me.state = _TIMED
        me.does = kind if what is None else f"{self._name(what)}.{kind}"
        following = self._next(me)
        if following is not me:
            self._pass_on(following)
            me.gate.wait()
            if self._ending:
                raise _Abandoned

    def _pass_on(self, following: _Actor | None) -> None:
        (self._over if following is None else following.gate).open()

    def _name(self, what: object) -> str:
        """Its type, and a number in the order of first use: the same in each run of the same schedule."""
        number = self._numbers.setdefault(id(what), len(self._numbers))
        if number == len(self._objects):
            self._objects.append(what)
        return f"{type(what).__name__}{number}"

    def _next(self, me: _Actor | None) -> _Actor | None:
        """Who goes on, entered into the turns; None: the run is over."""
        if self._error is not None:
            return None
        try:
            return self._chosen(me)
        except Exception as error:
            self._error = error
            return None

    def _chosen(self, me: _Actor | None) -> _Actor | None:
        doing: dict[int, str] = {}
        timed = blocked = False
        for actor in self._playing:
            if actor.state == _READY:
                doing[actor.index] = actor.does
            elif actor.state == _NEW:
                actor.state = _READY
                self._running = actor.index
                return actor
            elif actor.state != _DONE:
                if actor.woken[0]:
                    doing[actor.index] = "woken"
                elif actor.state == _TIMED:
                    timed = True
                else:
                    blocked = True
        if timed:
            for actor in self._playing:
                if actor.state == _TIMED and not actor.woken[0]:
                    doing[actor.index] = "timeout"
        if not doing:
            if blocked:
                waiting = [str(actor.index) for actor in self._playing if actor.state != _DONE]
                raise Deadlock(f"nobody can wake {' and '.join(f'thread {index}' for index in waiting)}")
            return None
        turns = self._chooser.turns
        if len(turns) >= self._max_steps:
            raise StepLimit(f"the threads have taken {self._max_steps} turns and have not ended")
        # Whoever came last to its first operation has no more right to go on than the others.
        current = me.index if me is not None and me.state == _READY and turns else None
        chosen = self._chooser.choose(len(turns), current, doing)
        turns.append((chosen, doing[chosen]))
        self._running = chosen
        actor = self._playing[chosen]
        actor.state = _READY
        return actor
