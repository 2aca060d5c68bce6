"""`reagents.testing.check`: right verdicts on right, wrong and subtly wrong histories, and readable ones.

The last word has brute force: on small random histories the checker must agree with trying all orders.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checker_histories import NEVER, RIGHT, WRONG, KeyedSpec, op
from racing import examples
from reagents.testing import Operation, Spec, Verdict, check, read_only
from specs import EMPTY, QueueSpec, StackSpec, WordSpec


@pytest.mark.parametrize("what", RIGHT)
def test_right_histories(what: str) -> None:
    spec, history = RIGHT[what]
    verdict = check(history, spec)
    assert verdict.ok is True, verdict.explain()
    assert verdict
    assert all(operation in verdict.longest for operation in history if operation.ret is not None)


@pytest.mark.parametrize("what", WRONG)
def test_wrong_histories(what: str) -> None:
    spec, history = WRONG[what]
    verdict = check(history, spec)
    assert verdict.ok is False
    assert not verdict
    assert "Not linearizable" in verdict.explain()


def test_the_order_of_the_list_says_nothing() -> None:
    for spec, history in [*RIGHT.values(), *WRONG.values()]:
        if len({(o.client, o.call, o.ret) for o in history}) == len(history):  # ties keep the list's order
            assert check(reversed(history), spec).ok is check(history, spec).ok


# ---------------------------------------------------------------- brute force


def brute_force(history: list[Operation], spec: Spec) -> tuple[bool, int]:
    """Whether any order will do, and how many returned operations the best partial order has; tries all."""
    best = 0

    def must_precede(first: int, second: int) -> bool:
        one, other = history[first], history[second]
        if one.client == other.client:
            return first < second
        return one.ret is not None and one.ret < other.call

    def orders(rest: frozenset[int], state: Any, placed: int) -> None:
        nonlocal best
        best = max(best, placed)
        for number in rest:
            operation = history[number]
            # What never returned need not be placed, and precedes nothing.
            if any(must_precede(other, number) for other in rest if other != number):
                continue
            after, answer = getattr(spec, operation.name)(state, *operation.args)
            if operation.ret is None or answer == operation.result:
                orders(rest - {number}, after, placed + (operation.ret is not None))

    orders(frozenset(range(len(history))), spec.initial, 0)
    return best == sum(operation.ret is not None for operation in history), best


class PlainWordSpec(WordSpec):
    """Without the declaration, so that the pruning can be compared with its absence."""

    def get(self, state: int) -> tuple[Any, Any]:
        return state, state


class TogetherSpec(Spec):
    """The same without partitions."""

    initial: tuple[tuple[str, int], ...] = (("a", 0), ("b", 0))

    def set(self, state: tuple[tuple[str, int], ...], key: str, value: int) -> tuple[Any, Any]:
        return tuple(sorted({**dict(state), key: value}.items())), None

    def get(self, state: tuple[tuple[str, int], ...], key: str) -> tuple[Any, Any]:
        return state, dict(state)[key]


small = st.integers(0, 2)
CALLS: dict[type[Spec], st.SearchStrategy[tuple[Any, ...]]] = {
    StackSpec: st.one_of(
        st.tuples(st.just("push"), small), st.tuples(st.just("pop_nowait")), st.tuples(st.just("snapshot"))
    ),
    QueueSpec: st.one_of(
        st.tuples(st.just("put"), small), st.tuples(st.just("get_nowait")), st.tuples(st.just("empty"))
    ),
    WordSpec: st.one_of(
        st.tuples(st.just("set"), small),
        st.tuples(st.just("get")),
        st.tuples(st.just("add"), small),
        st.tuples(st.just("compare_and_set"), small, small),
    ),
    TogetherSpec: st.one_of(
        st.tuples(st.just("set"), st.sampled_from("ab"), small), st.tuples(st.just("get"), st.sampled_from("ab"))
    ),
}


@st.composite
def histories(draw: Callable[..., Any], spec: Spec) -> list[Operation]:
    """Overlapping calls of up to three clients whose answers come from some order, then at most two are spoilt.

    Purely random answers are nearly always wrong, and at the first step; these are on the edge.
    """
    shapes = []
    for client in range(draw(st.integers(1, 3))):
        time = draw(st.integers(0, 3))
        for _ in range(draw(st.integers(0, 3))):
            length = draw(st.integers(0, 4))
            shapes.append([client, draw(CALLS[type(spec)]), time, time + length])
            time += length + draw(st.integers(0, 2))
    # Each takes effect at some time within its bounds.
    instants = sorted((draw(st.integers(2 * start, 2 * end)), n) for n, (_, _, start, end) in enumerate(shapes))
    state, answers = spec.initial, {}
    for _, number in instants:
        name, *args = shapes[number][1]
        state, answers[number] = getattr(spec, name)(state, *args)
    for number in draw(st.lists(st.sampled_from(range(len(shapes))), max_size=2)) if shapes else ():
        answers[number] = draw(st.sampled_from([0, 1, 2, True, False, None, EMPTY]))
    lost = draw(st.booleans())
    history = []
    for number, (client, (name, *args), start, end) in enumerate(shapes):
        is_last = number + 1 == len(shapes) or shapes[number + 1][0] != client
        ret = NEVER if lost and is_last and draw(st.booleans()) else end
        history.append(op(client, name, *args, gives=answers[number], at=(start, ret)))
    return history


@pytest.mark.parametrize("spec", [StackSpec, QueueSpec, WordSpec])
def test_agrees_with_brute_force(spec: type[Spec]) -> None:
    seen: set[bool] = set()

    @settings(deadline=None, max_examples=examples(300))
    @given(histories(spec()))
    def compare(history: list[Operation]) -> None:
        verdict = check(history, spec)
        expected, longest = brute_force(history, spec())
        assert verdict.ok is expected, verdict.explain()
        assert sum(o.ret is not None for o in verdict.longest) == longest, verdict.explain()
        verify(verdict, history)
        if spec is WordSpec:
            assert check(history, PlainWordSpec).ok is expected
        seen.add(expected)

    compare()
    assert seen == {True, False}, "the histories were all of one kind"


@settings(deadline=None, max_examples=examples(200))
@given(histories(TogetherSpec()))
def test_partitions_change_no_verdict(history: list[Operation]) -> None:
    together = check(history, TogetherSpec)
    assert together.ok is brute_force(history, TogetherSpec())[0]
    assert check(history, KeyedSpec).ok is together.ok


def verify(verdict: Verdict, history: list[Operation]) -> None:
    """The order that a verdict shows is one: each answer is right in it, and real time is kept."""
    spec = verdict.parts[0].spec if verdict.parts else Spec()
    state = spec.initial
    for place, operation in enumerate(verdict.longest):
        state, answer = getattr(spec, operation.name)(state, *operation.args)
        assert operation.ret is None or answer == operation.result
        for later in verdict.longest[place + 1 :]:
            assert later.ret is None or later.ret >= operation.call
    # Nothing was left out that had to come before something in the order.
    left_out = [o for o in history if o.ret is not None and not any(o is placed for placed in verdict.longest)]
    for missing in left_out:
        for placed in verdict.longest:
            assert missing.ret is not None
            assert missing.ret >= placed.call


# ---------------------------------------------------------------- limits, size, misuse


def hopeless(size: int) -> list[Operation]:
    """All orders of `size` overlapping pushes are possible, and none gives what the last pop says."""
    pushes = [op(n, "push", n, at=(0, 100)) for n in range(size)]
    return [*pushes, op("last", "pop_nowait", gives="nobody pushed this", at=(101, 102))]


def test_timeout_is_undecided_never_wrong() -> None:
    verdict = check(hopeless(14), StackSpec, timeout=0.05)
    assert verdict.ok is None
    assert not verdict
    assert verdict.seconds < 5
    assert verdict.explain().startswith("Undecided after")
    assert check(hopeless(5), StackSpec).ok is False


def test_partitions_take_turns() -> None:
    """One partition is hopeless; the other one fails at once and ends all, whichever comes first."""

    class ByKey(StackSpec):
        def partition(self, operation: Operation) -> Any:
            return isinstance(operation.client, str) and operation.client.startswith("simple")

    simple = op("simple", "pop_nowait", gives=1, at=(0, 1))
    for history in ([*hopeless(14), simple], [simple, *hopeless(14)]):
        verdict = check(history, ByKey, timeout=20)
        assert verdict.ok is False
        assert verdict.parts[0].key is True


def test_long_histories_need_no_recursion() -> None:
    history = [op(n % 3, "add", 1, gives=n, at=(n, n + 0.5)) for n in range(20_000)]
    history.append(op(0, "get", gives=20_000, at=(20_001, 20_002)))
    assert check(history, WordSpec).ok is True
    history.append(op(0, "get", gives=19_999, at=(20_003, 20_004)))
    verdict = check(history, WordSpec)
    assert verdict.ok is False
    text = verdict.explain()
    assert "earlier operations are not shown" in text
    assert len(text.splitlines()) < 120


def test_an_instance_of_a_spec_will_do() -> None:
    spec = WordSpec()
    spec.initial = 5
    assert check([op(0, "get", gives=5, at=(0, 1))], spec).ok is True
    assert check([op(0, "get", gives=0, at=(0, 1))], spec).ok is False


# ---------------------------------------------------------------- specifications that leave a choice


class BagSpec(Spec):
    """Takes any item; the state is a sorted tuple."""

    initial: tuple[int, ...] = ()

    def add(self, state: tuple[int, ...], item: int) -> tuple[Any, Any]:
        return tuple(sorted((*state, item))), None

    def take(self, state: tuple[int, ...]) -> Any:
        for at, item in enumerate(state):
            yield (*state[:at], *state[at + 1 :]), item
        if not state:
            yield state, EMPTY

    @read_only
    def peek(self, state: tuple[int, ...]) -> Any:
        return [(state, item) for item in state]


def test_any_outcome_that_the_specification_allows() -> None:
    adds = [op(0, "add", n, at=(n, n + 0.5)) for n in (1, 2, 3)]
    for taken in itertools.permutations((1, 2, 3)):
        takes = [op(1, "take", gives=item, at=(10 + n, 10.5 + n)) for n, item in enumerate(taken)]
        empty = op(1, "take", gives=EMPTY, at=(20, 21))
        assert check([*adds, *takes, empty], BagSpec).ok is True
        assert check([*adds, *takes[:2], empty], BagSpec).ok is False
    assert check([*adds, op(1, "peek", gives=2, at=(5, 6))], BagSpec).ok is True
    assert check([*adds, op(1, "peek", gives=4, at=(5, 6))], BagSpec).ok is False


def test_an_operation_that_cannot_happen() -> None:
    """No outcome at all: a peek into an empty bag. One that never returned may still never have happened."""
    verdict = check([op(0, "peek", gives=1, at=(0, 1))], BagSpec)
    assert verdict.ok is False
    assert "that it cannot happen" in verdict.explain()
    assert check([op(0, "take", at=(0, NEVER)), op(1, "add", 1, at=(0, 1))], BagSpec).ok is True


class HiddenSpec(Spec):
    """Which of several states it is now shows only later: `toss` always answers None."""

    initial: Any = None

    def toss(self, state: Any) -> Any:
        return [(side, None) for side in "abc"]

    @read_only
    def look(self, state: Any) -> tuple[Any, Any]:
        return state, state


@pytest.mark.parametrize("side", ["a", "b", "c"])
def test_a_choice_that_shows_only_later(side: str) -> None:
    toss = op(0, "toss", at=(0, 1))
    seen = [op(0, "look", gives=side, at=(2 + n, 2.5 + n)) for n in range(3)]
    verdict = check([toss, *seen], HiddenSpec)
    assert verdict.ok is True
    assert verdict.parts[0].states()[1] == side
    other = op(0, "look", gives="abc".replace(side, "")[0], at=(9, 10))
    verdict = check([toss, *seen, other], HiddenSpec)
    assert verdict.ok is False
    assert len(verdict.longest) == 4


@settings(deadline=None, max_examples=examples(200))
@given(st.data())
def test_choices_agree_with_brute_force(data: st.DataObject) -> None:
    history = []
    for client in range(data.draw(st.integers(1, 3))):
        time = 0
        for _ in range(data.draw(st.integers(0, 2))):
            length = data.draw(st.integers(0, 3))
            if data.draw(st.booleans()):
                history.append(op(client, "add", data.draw(small), at=(time, time + length)))
            else:
                gives = data.draw(st.sampled_from([0, 1, 2, EMPTY]))
                history.append(op(client, "take", gives=gives, at=(time, time + length)))
            time += length + data.draw(st.integers(0, 1))

    def possible(rest: frozenset[int], state: Any) -> bool:
        if not rest:
            return True
        for number in rest:
            one = history[number]
            earlier = (o for n in rest if n != number for o in [history[n]] if (o.client == one.client and n < number))
            if any(True for _ in earlier) or any(history[n].ret < one.call for n in rest if n != number):  # type: ignore[operator]
                continue
            outcome = getattr(BagSpec(), one.name)(state, *one.args)
            for after, answer in [outcome] if isinstance(outcome, tuple) else outcome:
                if answer == one.result and possible(rest - {number}, after):
                    return True
        return False

    assert check(history, BagSpec).ok is possible(frozenset(range(len(history))), ())


# ---------------------------------------------------------------- connected partitions and memory


class StacksSpec(Spec):
    """Any number of stacks; `move` works on two of them."""

    initial: frozenset[Any] = frozenset()

    def partition(self, operation: Operation) -> Any:
        return frozenset(operation.args[:2]) if operation.name == "move" else operation.args[0]

    def push(self, state: Any, key: str, item: int) -> tuple[Any, Any]:
        stacks = dict(state)
        stacks[key] = (*stacks.get(key, ()), item)
        return frozenset(stacks.items()), None

    def pop(self, state: Any, key: str) -> tuple[Any, Any]:
        stacks = dict(state)
        if not stacks.get(key):
            return state, EMPTY
        *rest, item = stacks[key]
        stacks[key] = tuple(rest)
        return frozenset(stacks.items()), item

    def move(self, state: Any, source: str, target: str) -> tuple[Any, Any]:
        after, item = self.pop(state, source)
        return (state, EMPTY) if item == EMPTY else (self.push(after, target, item)[0], item)


def test_connected_objects_are_one_partition() -> None:
    history = [
        op(0, "push", "a", 1, at=(0, 1)),
        op(0, "move", "a", "b", gives=1, at=(2, 3)),
        op(0, "move", "b", "c", gives=1, at=(4, 5)),
        op(0, "pop", "c", gives=1, at=(6, 7)),
        op(1, "push", "x", 2, at=(0, 1)),
        op(2, "pop", "y", gives=EMPTY, at=(0, 1)),
    ]
    verdict = check(history, StacksSpec)
    assert verdict.ok is True
    assert {part.key for part in verdict.parts} == {frozenset("abc"), "x", "y"}
    wrong = check([*history[:3], op(0, "pop", "a", gives=1, at=(6, 7)), *history[4:]], StacksSpec)
    assert wrong.ok is False
    assert wrong.parts[0].key == frozenset("abc")


def test_an_operation_on_no_object_is_by_itself() -> None:
    class Nowhere(WordSpec):
        def partition(self, operation: Operation) -> Any:
            return frozenset()

    assert check([op(0, "get", gives=0, at=(0, 1))], Nowhere).ok is True


def test_little_memory_is_undecided_never_wrong() -> None:
    verdict = check(hopeless(14), StackSpec, memory=200_000)
    assert verdict.ok is None
    assert "about 200000 bytes" in verdict.explain()
    with pytest.raises(ValueError, match="memory must be at least 0"):
        check([], StackSpec, memory=-1)

    class ByKey(StackSpec):
        def partition(self, operation: Operation) -> Any:
            return operation.client == "simple"

    # The hopeless partition is given up; the others go on, and one of them may fail.
    simple = [op("simple", "push", n, at=(n, n + 0.5)) for n in range(100)]
    for popped, ok in ((99, None), (17, False)):
        last = op("simple", "pop_nowait", gives=popped, at=(9000, 9001))
        assert check([*hopeless(14), *simple, last], ByKey, memory=3_000_000).ok is ok
