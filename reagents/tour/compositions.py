"""The first room: a few compositions, each shown with the lines that it is and with what they return."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from reagents import BLOCK, Ref, attempt, channel, guard, post_commit, together
from reagents.tour.screen import Screen


def moving() -> Any:
    """From one structure to another in one atomic step: nobody sees the item in neither place, or in both."""
    from lockfree import Queue, Stack

    orders, audit = Stack(["tea", "milk"]), Queue[str]()
    move = orders.pop >> audit.put
    move()
    return orders.snapshot(), audit.get()


def choosing() -> Any:
    """Whichever can happen, the left one first."""
    from lockfree import Queue

    urgent, normal = Queue[str](), Queue[str]()
    next_job = urgent.get + normal.get
    normal.put("sweep")
    normal.put("dust")
    first = next_job()
    urgent.put("fire!")
    return first, next_job(), next_job()


def transferring() -> Any:
    """Both accounts change, or neither; `BLOCK` says "not now", and waiting for it can time out."""
    checking, savings = Ref(100), Ref(0)

    def withdraw(money: int, amount: int) -> Any:
        return (money - amount, amount) if money >= amount else BLOCK

    transfer = checking.upd(withdraw) >> savings.add
    balances = checking.read * savings.read
    transfer(70)
    try:
        transfer(70, timeout=0.01)
    except TimeoutError:
        return balances(), "and the second transfer timed out"


def backtracking() -> Any:
    """When what comes after a choice cannot happen, the choice tries its next branch."""
    small, large = Ref(3), Ref(40)
    enough = (small.read + large.read) >> guard(lambda n: n >= 10)
    return enough()


def polling() -> Any:
    """`attempt` never waits, and never says "empty" only because other threads are busy."""
    from lockfree import Stack

    stack = Stack[int]()
    poll = together(attempt(stack.pop, "empty"), attempt(stack.peek, "empty"))
    before = poll()
    stack.push(1)
    return before, poll()


def acting() -> Any:
    """What has effects waits until the reaction has happened, and then runs once."""
    printed: list[str] = []
    door = Ref("open")
    close = door.cas("open", "closed") >> door.read >> post_commit(printed.append)
    attempt(close * door.cas("open", "locked"))()  # never both: nothing is printed
    close()
    return printed


def meeting() -> Any:
    """Three threads exchange pairwise, all in one step: whoever comes last finds the others waiting."""
    (ab, ba), (bc, cb), (ca, ac) = channel(), channel(), channel()
    parties = {"a": ab.swap * ac.swap, "b": ba.swap * bc.swap, "c": ca.swap * cb.swap}
    with ThreadPoolExecutor(3) as threads:
        results = [threads.submit(party, name, timeout=60) for name, party in parties.items()]
    return [result.result() for result in results]


COMPOSITIONS: list[tuple[Callable[[], Any], Any]] = [
    (moving, (["tea"], "milk")),
    (choosing, ("sweep", "fire!", "dust")),
    (transferring, ((30, 70), "and the second transfer timed out")),
    (backtracking, 40),
    (polling, (("empty", "empty"), (1, "empty"))),
    (acting, ["closed"]),
    (meeting, [("b", "c"), ("a", "c"), ("a", "b")]),
]


def body_of(function: Callable[[], Any]) -> str:
    """The lines of a function without its head, its docstring and its imports."""
    lines = inspect.getsource(function).splitlines()
    last_of_docstring = max(i for i, line in enumerate(lines) if '"""' in line)
    kept = [line for line in lines[last_of_docstring + 1 :] if not line.strip().startswith("from lockfree import")]
    return textwrap.dedent("\n".join(kept)).strip("\n")


def show(screen: Screen) -> list[str]:
    """Show and run them; return what did not come out as it must."""
    screen.heading("A few compositions")
    problems = []
    for function, expected in COMPOSITIONS:
        screen.say(f"\n# {function.__doc__}")
        screen.say(textwrap.indent(body_of(function), "    "))
        found = function()
        screen.say(f"    -> {found!r}")
        if found != expected:
            problems.append(f"the composition {function.__name__!r} returned {found!r}, not {expected!r}")
    return problems
