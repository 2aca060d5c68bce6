"""`a + b`: a choice, left first, that backtracks when a, or anything after the choice, blocks."""

from __future__ import annotations

from typing import Any

import pytest

from lockfree import Queue, Stack
from reagents import BLOCK, Reagent, Ref, choice, computed, const, guard, lift, never


def blocks(reagent: Reagent[Any, Any], x: Any = None) -> bool:
    try:
        reagent(x, timeout=0)
    except (TimeoutError, RuntimeError):
        return True
    return False


def test_left_is_tried_first() -> None:
    assert (const("left") + const("right"))() == "left"


def test_right_when_left_blocks() -> None:
    stack, queue = Stack(), Queue()
    queue.put("from the queue")
    either = stack.pop + queue.get
    assert either() == "from the queue"
    stack.push("from the stack")
    queue.put("still there")
    assert either() == "from the stack"
    assert queue.get_nowait() == "still there"


@pytest.mark.parametrize("blocked", [never, guard(lambda _: False), lift(lambda _: BLOCK)])
def test_every_way_to_block_leads_to_the_right(blocked: Reagent[Any, Any]) -> None:
    assert (blocked + const("right"))() == "right"
    assert (const("left") + blocked)() == "left"


def test_blocks_when_all_do() -> None:
    stack, queue = Stack(), Queue()
    assert blocks(stack.pop + queue.get)


def test_backtracks_when_what_comes_after_blocks() -> None:
    wanted = Ref(2)
    accepted = (const(1) + const(2)) >> computed(lambda x: wanted.cas(x, x) >> const(x))
    assert accepted() == 2
    wanted.set(1)
    assert accepted() == 1


def test_backtracks_through_several_choices() -> None:
    """Search among 2 ** 6 combinations: the only one that the last guard lets pass is the last to be tried."""
    bits: Reagent[Any, tuple[int, ...]] = const(())
    for _ in range(6):
        bits = bits >> (lift(lambda seen: (*seen, 0)) + lift(lambda seen: (*seen, 1)))
    assert (bits >> guard(lambda seen: sum(seen) == 6))() == (1,) * 6
    assert blocks(bits >> guard(lambda seen: sum(seen) == 7))


def test_satisfies_a_formula() -> None:
    """Twenty choices and `never`: the search of OCaml's Reagents."""
    clauses = [{i: bool(i % 3), (i * 7 + 3) % 20: bool(i % 2)} for i in range(20)]
    formula: Reagent[Any, dict[int, bool]] = const({})
    for i in range(20):

        def decide(value: bool, i: int = i) -> Reagent[Any, Any]:
            return lift(lambda model: {**model, i: value})

        def open_clauses_hold(model: dict[int, bool]) -> bool:
            return all(
                not clause.keys() <= model.keys() or any(model[k] == v for k, v in clause.items()) for clause in clauses
            )

        formula = formula >> (decide(False) + decide(True)) >> guard(open_clauses_hold)
    model = formula()
    assert all(any(model[k] == v for k, v in clause.items()) for clause in clauses)


def test_choice_inside_a_pair_backtracks_when_the_other_side_blocks() -> None:
    ref = Ref(0)
    left = (const(1) >> ref.write) + (const(2) >> ref.write)
    assert (left * (ref.read >> guard(lambda x: x == 2)))() == (2, 2)
    assert ref.get() == 2


def test_choice_of_many() -> None:
    stack: Stack[int] = Stack()
    assert choice(never, stack.pop, const("third"), const("fourth"))() == "third"
    assert choice(const("only"))() == "only"


def test_choice_of_none_never_happens() -> None:
    assert blocks(choice())
    assert (choice() + const("right"))() == "right"


def test_branch_not_taken_has_no_effect() -> None:
    a, b = Ref("a"), Stack(["b"])
    tried = (const("changed") >> a.write >> b.push >> b.pop >> b.pop >> b.pop) + (const("untouched") >> never)
    assert blocks(tried)
    assert (a.get(), b.snapshot()) == ("a", ["b"])
