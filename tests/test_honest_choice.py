"""When the right branch happens, the reason why the left one could not is still true; contention is no reason.

"Happens" is the instant of the commit. A reaction that touched one word only may commit at the instant of its one
read, so each schedule here involves a second word.
"""

from __future__ import annotations

from typing import Any

import pytest

from lockfree import Queue, Stack
from racing import STRESS, elsewhere, race
from reagents import Reagent, Ref, attempt, const, guard, identity

ROUNDS = 3_000 * STRESS


def once(action: Any) -> Any:
    """A function for the middle of a reaction: at its first call another thread does something."""
    calls: list[Any] = []

    def meanwhile(x: Any) -> Any:
        calls.append(x)
        if len(calls) == 1:
            elsewhere(action)
        return x

    return meanwhile


@pytest.mark.parametrize("kind", ["+", "attempt"])
def test_what_the_left_branch_read_is_validated(kind: str) -> None:
    """The left branch becomes possible after it was tried and before the right one commits."""
    ref, stack = Ref("closed"), Stack(["item"])
    left: Reagent[Any, Any] = ref.cas("open", "entered") >> const("left")
    meanwhile = once(lambda: ref.set("open"))
    if kind == "+":
        reaction = left + (stack.pop >> meanwhile)
    else:
        reaction = attempt(left, "default") >> meanwhile >> (identity * stack.peek) >> (lambda pair: pair[0])
    assert reaction() == "left"
    assert ref.get() == "entered"
    assert stack.snapshot() == ["item"]


def test_what_a_guard_of_the_left_branch_saw_is_validated() -> None:
    ref, log = Ref(0), Ref(None)
    positive = ref.read >> guard(lambda n: n > 0)
    assert (positive + (const("none") >> once(lambda: ref.set(5)) >> log.write))() == 5
    assert log.get() is None


def test_emptiness_is_validated() -> None:
    queue, log = Queue(), Ref("")
    nothing = const("the queue was empty") >> once(lambda: queue.put("item")) >> log.write
    assert (queue.get + nothing)() == "item"
    assert log.get() == ""


def test_three_branches() -> None:
    a, b = Queue(), Queue()
    last = const("neither") >> once(lambda: b.put("b"))
    assert (a.get + b.get + last)() == "b"
    assert a.empty()


def test_a_branch_that_failed_after_the_choice_is_validated() -> None:
    """Left was refused by what came after the choice; what that had read counts as well."""
    door, log = Ref("closed"), Ref(None)
    choice = const("left") + (const("right") >> once(lambda: door.set("left")))
    through = choice * door.read >> guard(lambda pair: pair[1] in ("closed", "left"))
    opened = (choice * door.read) >> guard(lambda pair: pair == ("left", "left") or pair[0] == "right")
    assert through() == ("left", "closed")
    assert (opened >> log.write)() == ("left", "left")


def poll_never_empty(reaction: Reagent[Any, Any], meanwhile: list[Any]) -> None:
    def poll() -> None:
        for _ in range(ROUNDS):
            assert reaction() != "empty"

    race(poll, poll, meanwhile=meanwhile)


@pytest.mark.parametrize("kind", ["+", "attempt"])
@pytest.mark.parametrize("operation", ["peek", "pop and push", "read"])
def test_contention_is_never_reported_as_empty(kind: str, operation: str) -> None:
    """Every reaction leaves an item in the stack, so it is empty at no instant, whoever looks."""
    stack = Stack(["item"])
    look = stack.peek if operation == "peek" else stack.pop >> stack.push >> const("there")
    if operation == "read":
        look = stack.peek >> stack.push >> stack.pop
    reaction = attempt(look, "empty") if kind == "attempt" else look + const("empty")
    replace = stack.pop >> (lambda x: x) >> stack.push
    poll_never_empty(reaction, [replace])


def test_contention_in_a_queue_is_never_reported_as_empty() -> None:
    queue = Queue()
    queue.put("item")
    rotate = queue.get >> queue.put >> const("there")
    poll_never_empty(rotate + const("empty"), [rotate])


def test_an_item_is_always_in_one_of_two_places() -> None:
    """It moves between two stacks in one step; a choice over both finds it whatever happens."""
    here, there = Stack(["item"]), Stack([])
    find = here.peek + there.peek + const("empty")
    poll_never_empty(find, [(here.pop >> there.push) + (there.pop >> here.push)])


def test_methods_that_do_not_block_are_honest() -> None:
    """`pop_nowait` and `get_nowait` of what is never empty never raise, each in its own thread."""
    stack, queue, rounds = Stack([0, 0]), Queue(), ROUNDS
    queue.put(0)
    queue.put(0)

    def worker() -> None:
        for _ in range(rounds):
            stack.push(stack.pop_nowait())
            queue.put(queue.get_nowait())

    race(worker, worker)
    assert len(stack) == queue.qsize() == 2
