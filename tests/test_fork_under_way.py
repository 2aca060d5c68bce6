"""Fork where the forking thread is itself in the middle of something, and in a signal handler."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from threading import Event, main_thread
from typing import Any

import pytest

from lockfree import Queue, Stack
from racing import STRESS, Background, Parked
from reagents import Reagent, Ref, computed, const, guard, post_commit, stats
from test_fork import check as check_load
from test_fork import in_child, make_load, work
from waiting import handling

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


class Forks:
    """Forks when it is called first. Parent and child both return, and go on with what they are in."""

    def __init__(self) -> None:
        self.pid: int | None = None

    def __call__(self, x: Any = None) -> Any:
        if self.pid is None:
            self.pid = os.fork()
            if self.pid == 0:
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(30)
        return x

    def both(self, function: Callable[[], Any]) -> None:
        """The function, that forks, in both; the child leaves after it, and the parent sees that it went well."""
        status = 1
        try:
            function()
            status = 0
        except BaseException as error:
            if self.pid != 0:
                raise
            os.write(2, f"in the child: {error!r}\n".encode())
        finally:
            if self.pid == 0:
                os._exit(status)
        assert self.pid is not None
        assert os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]) == 0


def afterwards() -> None:
    """All works, waiting included."""
    assert stats()["waiting"] == 0
    for wait in (Queue[Any](), Queue[Any]()):
        parked = Parked()
        getting = Background(wait.get)
        parked.wait_for()
        wait.put("woken")
        assert getting.result() == "woken"
    assert stats()["waiting"] == 0


@pytest.mark.parametrize("where", ["lift", "guard", "upd", "computed"])
def test_in_a_function(where: str) -> None:
    """Each finishes a reaction of its own, in its own copy of the memory."""
    forks = Forks()
    stack, queue, ref = Stack(["item"]), Queue[Any](), Ref(0)
    middle: dict[str, Reagent[Any, Any]] = {
        "lift": const(1) >> forks,
        "guard": const(1) >> guard(forks),
        "upd": const(1) >> ref.upd(lambda value, x: (value, forks(x))),
        "computed": const(1) >> computed(lambda x: const(forks(x))),
    }

    def run() -> None:
        assert ((stack.pop >> queue.put >> middle[where] >> ref.write) * queue.get)() == (1, "item")
        assert (len(stack), queue.qsize(), ref.get()) == (0, 0, 1)
        afterwards()

    forks.both(run)


def test_in_an_action() -> None:
    """The reaction has happened in both, and the actions that follow run in both."""
    forks, ref, after = Forks(), Ref(0), Stack[int]()

    def run() -> None:
        assert (ref.upd(lambda value, _: (value + 1, value)) >> post_commit(forks) >> post_commit(after.push))() == 0
        assert (ref.get(), after.snapshot()) == (1, [0])
        afterwards()

    forks.both(run)


def fork_in_a_handler(wait: Callable[[], Any], finish: Callable[[], Any]) -> None:
    """Signals come while it waits: the first handler forks, later ones finish, each in its own process."""
    forks, over, parked = Forks(), Event(), Parked()
    called: list[None] = []

    def handler() -> None:
        called.append(None)
        if len(called) > 1:  # the first may still be on its way to the fork
            if forks.pid is not None:
                finish()
            return
        forks()
        if forks.pid == 0:  # the parent's sender is not there
            signal.signal(signal.SIGALRM, lambda number, frame: finish())
            signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)

    def send() -> None:
        parked.wait_for()
        while not over.wait(0.001):
            signal.pthread_kill(main, signal.SIGUSR1)

    def run() -> None:
        with handling(handler):
            sender = Background(send)
            wait()
            over.set()
            if forks.pid == 0:
                signal.setitimer(signal.ITIMER_REAL, 0)
            else:
                sender.result()
        afterwards()

    main = main_thread().ident
    assert main is not None
    forks.both(run)


def test_in_a_signal_handler_while_blocked() -> None:
    """The child waits on, and what its own handler brings wakes it."""
    queue: Queue[Any] = Queue()
    fork_in_a_handler(lambda: queue.get(), lambda: queue.put("brought"))


def test_in_a_signal_handler_until_the_timeout() -> None:
    """Both time out, and both can wait again."""
    queue: Queue[Any] = Queue()

    def wait() -> None:
        with pytest.raises(TimeoutError):
            (queue.get >> (lambda x: x))(timeout=0.1)

    fork_in_a_handler(wait, lambda: None)


def test_in_a_signal_handler_under_load() -> None:
    """The handler finds its thread anywhere in an operation, others being in the middle of theirs; the child checks."""
    load, children = make_load(), []

    def handler(number: int, frame: Any) -> None:
        children.append(number)
        in_child(partial(check_load, load, 3))  # one more in our own hands: between the pop and the push

    def others() -> None:
        while not over.is_set():
            work(load)

    over, before = Event(), signal.signal(signal.SIGALRM, handler)
    threads = [Background(others) for _ in range(2)]
    try:
        while len(children) < 5 * STRESS:
            signal.setitimer(signal.ITIMER_REAL, 0.002)
            for _ in range(20):
                work(load)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        over.set()
        for thread in threads:
            thread.result()
