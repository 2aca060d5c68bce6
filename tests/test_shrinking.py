"""Shrinking finds what matters, on failures that are not left to luck."""

from __future__ import annotations

from itertools import chain

import pytest

from shrinking import Shape, shrunk, smaller

A_LOT: Shape[str] = (
    ("put", "get", "look"),
    (("look", "put", "get"), ("get", "look"), ("put", "put", "get", "look")),
    (),
)


def concurrent(shape: Shape[str]) -> list[str]:
    return list(chain.from_iterable(shape[1]))


def everything(shape: Shape[str]) -> list[str]:
    return [*shape[0], *concurrent(shape), *shape[2]]


def test_one_operation_is_dropped_after_the_other() -> None:
    assert shrunk(A_LOT, lambda shape: "look" in concurrent(shape)) in [
        ((), (("look",),), ()),
    ]


def test_two_that_belong_together_are_dropped_at_once() -> None:
    def fails(shape: Shape[str]) -> bool:
        # As many puts as gets: no single one of them can go.
        calls = everything(shape)
        return calls.count("put") == calls.count("get") > 0

    setup, threads, final = shrunk(A_LOT, fails)
    assert sorted((*setup, *chain.from_iterable(threads), *final)) == ["get", "put"]


def test_what_need_not_race_moves_to_the_set_up_or_to_the_end() -> None:
    def fails(shape: Shape[str]) -> bool:
        # A get in each of two threads, a put somewhere before and a look somewhere after them.
        _, threads, _ = shape
        calls = everything(shape)
        racing = [me for me, calls in enumerate(threads) if "get" in calls]
        return len(racing) == 2 and calls.count("put") == 1 and calls[0] == "put" and calls[-1] == "look"

    program: Shape[str] = ((), (("put", "get"), ("get", "look")), ())
    assert shrunk(program, fails) == (("put",), (("get",), ("get",)), ("look",))


def test_a_sequential_failure_ends_without_threads() -> None:
    setup, threads, final = shrunk(A_LOT, lambda shape: "look" in everything(shape))
    assert threads == ()
    assert (*setup, *final) == ("look",)


@pytest.mark.parametrize("shape", [A_LOT, (("put",), (), ("get", "get")), ((), (("put",), ("get",)), ("look",))])
def test_each_step_is_smaller(shape: Shape[str]) -> None:
    def size(shape: Shape[str]) -> int:
        return len(everything(shape)) + len(concurrent(shape))

    steps = list(smaller(shape))
    assert steps
    assert all(size(step) < size(shape) for step in steps)
    assert all(calls for _, threads, _ in steps for calls in threads)
