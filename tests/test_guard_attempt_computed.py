"""`guard`, `attempt`, `computed`, `lift`, `const`, `never`: what each does with its input, and when it blocks."""

from __future__ import annotations

from typing import Any

import pytest

from lockfree import Queue, Stack
from reagents import BLOCK, Reagent, Ref, attempt, computed, const, guard, identity, lift, never


class Truth:
    def __init__(self, value: bool) -> None:
        self.value = value

    def __bool__(self) -> bool:
        return self.value


def test_guard_passes_its_input_on() -> None:
    marker = object()
    assert guard(lambda x: x is marker)(marker) is marker


@pytest.mark.parametrize(("answer", "passes"), [(1, True), ("", False), (Truth(True), True), (Truth(False), False)])
def test_guard_takes_any_truth_value(answer: Any, passes: bool) -> None:
    assert (guard(lambda _: answer) + const("blocked"))("in") == ("in" if passes else "blocked")


def test_lift_blocks_on_block() -> None:
    half = lift(lambda n: BLOCK if n % 2 else n // 2)
    assert (half(4), attempt(half)(5)) == (2, None)


def test_block_is_only_special_as_an_answer() -> None:
    """It can be stored and passed around like any value."""
    ref = Ref(BLOCK)
    assert ref.read() is BLOCK
    assert const(BLOCK)() is BLOCK
    assert repr(BLOCK)


def test_attempt_returns_the_result_or_the_default() -> None:
    queue = Queue()
    assert attempt(queue.get)() is None
    assert attempt(queue.get, "nothing")() == "nothing"
    queue.put("something")
    assert attempt(queue.get, "nothing")() == "something"


def test_attempt_passes_the_input_on() -> None:
    ref = Ref(0)
    assert attempt(ref.write)(7) == 7
    assert ref.get() == 7


def test_attempt_is_a_reagent() -> None:
    stack: Stack[int] = Stack()
    poll = attempt(stack.pop, "empty") >> (lambda x: [x])
    assert isinstance(poll, Reagent)
    assert poll() == ["empty"]
    stack.push(1)
    assert poll() == [1]


def test_attempt_has_no_effect_where_it_blocks() -> None:
    ref = Ref("old")
    assert attempt(const("new") >> ref.write >> never)() is None
    assert ref.get() == "old"


def test_attempt_never_waits_even_where_nothing_could_wake_it() -> None:
    assert attempt(never, "default")() == "default"
    assert attempt(guard(lambda _: False), "default")() == "default"


def test_default_is_not_an_alternative_result() -> None:
    """The default is for where the reagent would block, not for where what comes after does not like its result."""
    queue: Queue[str] = Queue()
    queue.put("something")
    was_empty = attempt(queue.get) >> guard(lambda x: x is None) >> const("was empty")
    with pytest.raises(TimeoutError):
        was_empty(timeout=0)
    assert attempt(was_empty, "was not")() == "was not"
    assert queue.get_nowait() == "something"
    assert was_empty() == "was empty"


def test_choices_inside_an_attempt_are_still_searched() -> None:
    several = attempt(const(1) + const(2) + const(3), "default")
    assert (several >> guard(lambda x: x == 3))() == 3
    assert attempt(several >> guard(lambda x: x == "default"), "blocked")() == "blocked"


def test_computed_may_block() -> None:
    assert attempt(computed(lambda _: BLOCK), "blocked")() == "blocked"


def test_attempts_nest_and_combine() -> None:
    a, b = Queue(), Queue()
    both = attempt(a.get, "no a") * attempt(b.get, "no b")
    assert both() == ("no a", "no b")
    b.put(1)
    assert both() == ("no a", 1)
    assert attempt(attempt(a.get, "inner"), "outer")() == "inner"
    a.put(BLOCK)
    assert attempt(a.get, "none")() is BLOCK


def test_attempt_passes_errors_on() -> None:
    with pytest.raises(ZeroDivisionError):
        attempt(lift(lambda x: 1 // x), "default")(0)


def test_computed_goes_on_with_the_returned_reagent() -> None:
    accounts = {"a": Ref(1), "b": Ref(2)}
    balance = computed(lambda name: accounts[name].read)
    assert (balance("a"), balance("b")) == (1, 2)


def test_computed_runs_the_returned_reagent_on_none() -> None:
    assert computed(lambda x: lift(lambda y: (x, y)))("input") == ("input", None)


def test_computed_is_part_of_the_same_atomic_step() -> None:
    stack, ref = Stack([3]), Ref(0)
    store = stack.pop >> computed(lambda n: const(n) >> ref.write >> guard(lambda n: n < 3))
    with pytest.raises(TimeoutError):
        store(timeout=0)
    assert (stack.snapshot(), ref.get()) == ([3], 0)
    stack.push(2)
    assert store() == 2
    assert (stack.snapshot(), ref.get()) == ([3], 2)


def test_computed_choice_is_part_of_the_search() -> None:
    """What follows can send it back into the reagent that was computed."""
    numbers = computed(lambda n: const(n) + const(n + 1) + const(n + 2))
    assert (numbers >> guard(lambda n: n % 5 == 0))(13) == 15


def test_computed_sees_what_was_written_before() -> None:
    ref = Ref("old")
    assert (const("new") >> ref.write >> computed(lambda _: ref.read))() == "new"


def test_computed_of_computed() -> None:
    assert computed(lambda x: computed(lambda none: const((x, none))))(1) == (1, None)


def test_the_same_reagent_may_be_computed_for_ever_new_inputs() -> None:
    total = Ref(0)
    add_all = computed(lambda n: const(n) >> total.add)
    for n in range(1_000):
        add_all(n)
    assert total.get() == 499_500


def test_const_lift_identity_never() -> None:
    value = object()
    assert const(value)("ignored") is value
    assert lift(str)(5) == "5"
    assert identity(value) is value
    with pytest.raises(RuntimeError):
        never()


def test_repr_shows_the_structure() -> None:
    stack, queue = Stack(), Queue()

    def positive(n: int) -> bool:
        return n > 0

    reagent = (stack.pop >> guard(positive)) + queue.get * const(5) + attempt(never, "default")
    shown = repr(reagent)
    for part in (">>", "+", "*", "pop", "get", "guard", "positive", "const", "5", "attempt", "never", "default"):
        assert part in shown, (part, shown)
    assert repr((const(1) + const(2)) >> identity) != repr(const(1) + (const(2) >> identity))


def test_stats_count_commits() -> None:
    import reagents

    before = reagents.stats()
    assert {"commits", "retries", "helps", "waits", "wakeups"} <= before.keys()
    ref = Ref(0)
    for _ in range(100):
        (ref.read >> ref.write)()
    assert reagents.stats()["commits"] >= before["commits"] + 100
