"""Bad input: errors of the right type that name the reagent and what was wrong; nothing is changed or lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lockfree import AtomicInt, Counter, Queue, Stack
from reagents import (
    BLOCK,
    Reagent,
    Ref,
    attempt,
    choice,
    computed,
    const,
    guard,
    identity,
    lift,
    never,
    post_commit,
    together,
)

MISCOMPOSED: dict[str, tuple[Callable[[], Any], str]] = {
    ">> number": (lambda: identity >> 5, "5"),
    "number >>": (lambda: 5 >> identity, "5"),
    "+ string": (lambda: identity + "text", "'text'"),
    "string +": (lambda: "text" + identity, "'text'"),
    "* none": (lambda: identity * None, "None"),
    "number *": (lambda: 2 * identity, "2"),
    "+ callable": (lambda: identity + len, "len"),
    "callable *": (lambda: len * identity, "len"),
    "choice": (lambda: choice(identity, 5), "int"),
    "together": (lambda: together(identity, [identity]), "list"),
    "attempt": (lambda: attempt(5), "int"),
    "lift": (lambda: lift(5), "int"),
    "guard": (lambda: guard("text"), "str"),
    "computed": (lambda: computed(None), "None"),
    "post_commit": (lambda: post_commit(1.5), "float"),
    "upd": (lambda: Ref(0).upd("text"), "str"),
}


@pytest.mark.parametrize("name", sorted(MISCOMPOSED))
def test_composing_what_is_neither_reagent_nor_callable(name: str) -> None:
    compose, culprit = MISCOMPOSED[name]
    with pytest.raises(TypeError, match=culprit):
        compose()


@pytest.mark.parametrize("answer", [None, 5, (1,), (1, 2, 3), [1, 2], "ab"], ids=repr)
def test_upd_that_returns_neither_a_pair_nor_block(answer: Any) -> None:
    def wrong(current: Any, x: Any) -> Any:
        return answer

    ref, stack = Ref("value"), Stack(["item"])
    reaction = stack.pop >> ref.upd(wrong)
    with pytest.raises(TypeError, match="upd") as caught:
        reaction()
    message = str(caught.value)
    assert "wrong" in message or "pair" in message
    assert type(answer).__name__ in message or "pair" in message
    assert (ref.get(), stack.snapshot()) == ("value", ["item"])


def test_computed_that_returns_no_reagent() -> None:
    stack = Stack([1])
    with pytest.raises(TypeError, match=r"computed.*int|int.*computed"):
        (stack.pop >> computed(lambda _: 5))()
    assert stack.snapshot() == [1]


@pytest.mark.parametrize("timeout", [-1, -0.001, float("-inf"), float("nan")])
def test_timeout_that_is_no_duration(timeout: float) -> None:
    stack = Stack([1])
    with pytest.raises(ValueError, match="timeout"):
        (stack.pop >> stack.push)(timeout=timeout)
    for call in (stack.pop, stack.peek, Queue().get, Queue().peek):
        with pytest.raises(ValueError, match="timeout"):
            call(timeout=timeout)
    assert stack.snapshot() == [1]


@pytest.mark.parametrize("timeout", ["1", [1], object(), 1j])
def test_timeout_that_is_no_number(timeout: Any) -> None:
    stack = Stack([1])
    for call in (stack.pop >> stack.push, stack.pop, Queue().get):
        with pytest.raises(TypeError):
            call(timeout=timeout)
    assert stack.snapshot() == [1]


@pytest.mark.parametrize("arguments", [((1, 2), {}), ((), {"unknown": 1}), ((1, 2.0), {})])
def test_arguments_of_a_run(arguments: tuple[tuple[Any, ...], dict[str, Any]]) -> None:
    args, kwargs = arguments
    ref = Ref(0)
    with pytest.raises(TypeError):
        (identity >> ref.write)(*args, **kwargs)
    assert ref.get() == 0


WRONG_CALLS: dict[str, Callable[[], Any]] = {
    "Ref(1, 2)": lambda: Ref(1, 2),
    "compare_and_set(1)": lambda: Ref(0).compare_and_set(1),
    "cas(1)": lambda: Ref(0).cas(1),
    "set()": lambda: Ref(0).set(),
    "update(5)": lambda: Ref(0).update(5),
    "Stack(5)": lambda: Stack(5),
    "push()": lambda: Stack().push(),
    "push(1, 2)": lambda: Stack().push(1, 2),
    "put()": lambda: Queue().put(),
    "get(unknown=)": lambda: Queue().get(unknown=1),
    "Queue('x')": lambda: Queue("x"),
    "Counter('x')": lambda: Counter("x"),
    "Counter.add(1.5)": lambda: Counter().add(1.5),
    "AtomicInt(1.5)": lambda: AtomicInt(1.5),
    "AtomicInt.add('x')": lambda: AtomicInt().add("x"),
}


@pytest.mark.parametrize("name", sorted(WRONG_CALLS))
def test_wrong_arguments_of_a_method(name: str) -> None:
    with pytest.raises(TypeError):
        WRONG_CALLS[name]()


@pytest.mark.parametrize(
    "reagent", [never, identity >> guard(lambda _: False), lift(lambda _: BLOCK)], ids=["never", "guard", "lift"]
)
def test_what_could_never_be_woken_is_named(reagent: Reagent[Any, Any]) -> None:
    with pytest.raises(RuntimeError) as caught:
        reagent()
    assert repr(reagent) in str(caught.value)


def test_add_that_cannot_be_added() -> None:
    ref, stack = Ref("text"), Stack([5])
    with pytest.raises(TypeError):
        (stack.pop >> ref.add)()
    with pytest.raises(TypeError):
        ref.add(5)
    assert (ref.get(), stack.snapshot()) == ("text", [5])


class Trouble(Exception):
    pass


def raises(*_: Any) -> Any:
    raise Trouble("from the user's function")


@pytest.mark.parametrize(
    "make",
    [
        lambda ref: lift(raises),
        lambda ref: guard(raises),
        lambda ref: computed(raises),
        lambda ref: ref.upd(raises),
        lambda ref: attempt(lift(raises), "default"),
        lambda ref: lift(raises) + const("right"),
        lambda ref: (const(1) + const(2)) >> raises,
        lambda ref: identity * lift(raises),
    ],
    ids=["lift", "guard", "computed", "upd", "attempt", "choice", "after a choice", "pair"],
)
def test_what_a_function_raises_reaches_the_caller_and_changes_nothing(make: Any) -> None:
    ref, stack, queue = Ref("value"), Stack(["item"]), Queue()
    reaction = stack.pop >> queue.put >> const("new") >> ref.write >> make(ref)
    for _ in range(3):
        with pytest.raises(Trouble, match="from the user's function") as caught:
            reaction()
        assert caught.value.__context__ is None
    assert (ref.get(), stack.snapshot(), queue.qsize()) == ("value", ["item"], 0)


def test_truth_value_that_raises() -> None:
    class Undecided:
        def __bool__(self) -> bool:
            raise Trouble

    ref = Ref(0)
    with pytest.raises(Trouble):
        (const(1) >> ref.write >> guard(lambda _: Undecided()))()
    assert ref.get() == 0


def test_reagents_are_made_by_combinators_only() -> None:
    with pytest.raises(TypeError):
        Reagent()
    with pytest.raises((AttributeError, TypeError)):
        identity.anything = 1


def test_update_acts_at_once_and_cannot_wait() -> None:
    ref = Ref(1)
    with pytest.raises(TypeError, match=r"update\(\) returned BLOCK.*use upd\(\) to wait"):
        ref.update(lambda _: BLOCK)
    assert ref.get() == 1


def test_arguments_of_direct_calls() -> None:
    ref, counter = Ref(1), Counter()
    with pytest.raises(TypeError, match=r"value\(\) takes exactly 0 arguments \(1 given\)"):
        counter.value(2)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"swap\(\) takes exactly 1 argument \(0 given\)"):
        ref.swap()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"add\(\) takes from 0 to 1 arguments \(2 given\)"):
        counter.add(1, 2)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"add\(\) takes no keyword arguments"):
        counter.add(n=2)  # type: ignore[call-arg]
    assert ref.get() == 1
    assert counter.value() == 0


@pytest.mark.parametrize("composed", [False, True])
def test_a_counter_that_would_leave_its_range_does_not_change(composed: bool) -> None:
    counter = Counter()
    counter.add(2**62 - 1)
    with pytest.raises(OverflowError, match=r"-2\*\*62 to 2\*\*62 - 1"):
        (const(1) >> counter.add)() if composed else counter.add(1)
    assert counter.value() == 2**62 - 1
