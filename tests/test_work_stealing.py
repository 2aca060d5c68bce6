"""`lockfree.WorkStealingDeque`."""

from __future__ import annotations

import gc
import inspect
import weakref
from random import Random
from typing import Any

import pytest

from conventions import check_reagent_method, check_type
from lockfree import Deque, Empty, WorkStealingDeque
from no_memory import Case, check
from racing import STRESS, Background, eager_switching, race, soon
from reagents import Reagent, Ref, attempt, computed, const, guard, lift, never


def test_conventions() -> None:
    check_type(WorkStealingDeque, WorkStealingDeque)
    d: WorkStealingDeque[int] = WorkStealingDeque()
    for method in (d.push, d.pop, d.steal):
        check_reagent_method(method)
    assert list(inspect.signature(WorkStealingDeque.steal).parameters) == ["self", "block", "timeout"]


def test_both_ends() -> None:
    d = WorkStealingDeque(range(200))  # more than one array
    assert (d.pop(), d.steal(), len(d)) == (199, 0, 198)
    assert [d.steal() for _ in range(100)] == [*range(1, 101)]
    assert [d.pop() for _ in range(98)] == [*range(198, 100, -1)]
    for call in (d.pop, d.steal_nowait, lambda: d.steal(block=False), lambda: d.steal(timeout=1e-3)):
        with pytest.raises(Empty):
            call()


def test_reactions_of_the_owner() -> None:
    random = Random(5)
    for _ in range(60):
        d: WorkStealingDeque[int] = WorkStealingDeque()
        model: list[int] = []
        for i in range(40):
            steps, after, value = const(None), model.copy(), None
            for what in random.choices(["push", "pop", "steal"], [3, 2, 1], k=random.randrange(1, 8)):
                if what == "push":
                    steps, value = steps >> const(i) >> d.push, None
                    after.append(i)
                elif after:
                    steps, value = steps >> getattr(d, what), after.pop(-1 if what == "pop" else 0)
                else:
                    assert attempt(steps >> getattr(d, what), "blocked")() == "blocked"
                    break
            else:
                assert attempt(steps >> guard(lambda _: False), "no")() == "no"
                assert len(d) == len(model)
                assert steps() == value
                model = after
            assert len(d) == len(model)
        assert [d.pop() for _ in model] == model[::-1]


def test_a_reaction_that_outgrows_the_array() -> None:
    d: WorkStealingDeque[int] = WorkStealingDeque()
    pushes = const(0) >> d.push
    for i in range(1, 100):
        pushes = pushes >> const(i) >> d.push
    pushes()
    assert [d.steal() for _ in range(100)] == [*range(100)]


def test_others_only_steal() -> None:
    d = WorkStealingDeque([1, 2])
    for refused in (lambda: d.push(3), d.pop, lambda: (const(3) >> d.push)(), lambda: attempt(d.pop)()):
        with pytest.raises(RuntimeError, match="not the owner"):
            Background(refused).result()
    assert Background(d.steal).result() == 1
    empty: WorkStealingDeque[int] = WorkStealingDeque()
    Background(lambda: empty.push(1)).result()
    with pytest.raises(RuntimeError):
        empty.pop()
    assert empty.steal() == 1


def test_a_refusal_out_of_a_stale_state_is_not_shown() -> None:
    """A thief takes the last item and would go on as the owner; meanwhile its first reads have gone stale."""
    d, ref = WorkStealingDeque([1, 2]), Ref(0)
    push: Reagent[Any, Any] = const(3) >> d.push
    for refused in (d.pop, push):
        calls: list[int] = []

        def meddle(x: int, calls: list[int] = calls) -> int:
            if not calls:
                ref.set(1)
            calls.append(x)
            return x

        step = ref.read >> lift(meddle) >> computed(lambda x, no=refused: d.steal if x else d.steal >> no)
        assert Background(step).result() in (1, 2)
        assert calls == [0, 1]
        ref.set(0)


def test_thieves_wait() -> None:
    d: WorkStealingDeque[int] = WorkStealingDeque()
    waiting = [Background(d.steal), Background(lambda: (d.steal >> str)())]
    d.push(1)
    (const(2) >> d.push)()
    assert sorted(int(w.result()) for w in waiting) == [1, 2]


def test_nested_work_of_the_owner() -> None:
    """A function in a reaction pops and pushes: the state comes back, what stands there does not."""
    d = WorkStealingDeque(["a", "b", "c"])
    times: list[int] = []

    def meddle(x: Any) -> Any:
        if not times:
            times.append(1)
            assert d.pop() == "c"
            d.push("d")
        return x

    assert (d.pop >> meddle)() == "d"
    assert len(d) == 2

    def again(pair: Any) -> Any:
        if len(times) < 2:
            times.append(2)
            assert d.pop() == "b"
            d.push("e")
        return pair

    assert ((d.steal * d.steal) >> again)() == ("a", "e")
    assert len(d) == 0


def test_cycles_are_collected() -> None:
    class Token:
        pass

    token = Token()
    gone = weakref.ref(token)
    d: WorkStealingDeque[Any] = WorkStealingDeque([token])
    d.push(d)
    del d, token
    soon(lambda: gc.collect() or gone() is None, "the cycle's collection")


def test_everything_comes_out_once() -> None:
    d: WorkStealingDeque[int] = WorkStealingDeque()
    moved: Deque[int] = Deque()
    n = 6000 * STRESS

    def own() -> list[int]:
        random, got, i = Random(1), [], 0
        while i < n:
            for _ in range(random.randrange(9)):
                (d.push if random.random() < 0.5 else const(i) >> d.push)(i)
                i += 1
            for _ in range(random.randrange(7)):
                x = attempt(d.pop)() if random.random() < 0.5 else attempt(d.pop >> (lambda x: x))()
                if x is not None:
                    got.append(x)
        d.push(-1), d.push(-1), d.push(-1)
        return got

    def steal() -> list[int]:
        got = []
        while (x := d.steal()) >= 0:
            got.append(x)
            attempt(d.steal >> guard(lambda x: x >= 0) >> moved.append)()
            pair = attempt((d.steal * d.steal) >> guard(lambda p: min(p) >= 0))()
            got.extend(pair or ())
        return got

    with eager_switching():
        results = race(own, steal, steal)
    left = []
    while len(d):
        left.append(d.steal())
    everything = [x for r in results for x in r] + list(moved) + [x for x in left if x >= 0]
    assert sorted(everything) == sorted(set(everything))
    assert set(range(n)) <= set(everything)


def owned(operation: Any, items: int = 2) -> Case:
    """With its items on the way into an array that is full, or not."""

    def case(token: Any) -> Any:
        d: WorkStealingDeque[Any] = WorkStealingDeque([token] * items)
        return lambda: operation(d, token), lambda: len(d)

    return case


WITHOUT_MEMORY = {
    "push": lambda d, t: d.push(t),
    "pop": lambda d, t: d.pop(),
    "steal": lambda d, t: d.steal(timeout=1.5),
    "composed": lambda d, t: (const(t) >> d.push >> const(t) >> d.push >> d.steal)(),
    "rolled back": lambda d, t: ((d.pop >> d.push >> d.pop >> d.steal >> never) + const(5))(),
}


@pytest.mark.parametrize("items", [2, 32])
@pytest.mark.parametrize("name", WITHOUT_MEMORY)
def test_without_memory(name: str, items: int) -> None:
    check(owned(WITHOUT_MEMORY[name], items))
