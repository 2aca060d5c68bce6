"""`catalyse(r)`: r takes part in the reactions of others, as often as they want it, until it is cancelled."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from typing import Any

import pytest

from lockfree import Exchanger, Queue
from racing import PATIENCE, STRESS, Background, elsewhere, parked, race, settle, soon
from reagents import (
    Reagent,
    Ref,
    attempt,
    catalyse,
    channel,
    computed,
    const,
    guard,
    identity,
    never,
    post_commit,
    stats,
)


def counting(end: Any, number: Ref[int]) -> Reagent[Any, None]:
    return end.swap >> number.upd(lambda n, _: (n + 1, None))


def test_message_counter() -> None:
    left, right = channel()
    number = Ref(0)
    with catalyse(counting(right, number)) as catalyst:
        assert catalyst.active
        assert number.get() == 0
        for i in range(3):
            assert left.swap("message", timeout=PATIENCE) is None
            assert number.get() == i + 1
    assert not catalyst.active
    assert attempt(left.swap, "nobody")() == "nobody"
    assert number.get() == 3
    assert stats()["waiting"] == 0


def test_its_input() -> None:
    left, right = channel()
    with catalyse(right.swap, "given"):
        assert left.swap() == "given"
        assert left.swap() == "given"
    with catalyse(right.swap, x="named"):
        assert left.swap() == "named"


def test_who_waited_before_it_came_is_served() -> None:
    left, right = channel()
    number = Ref(0)
    before = [parked(left.swap, i) for i in range(3)]
    with catalyse(counting(right, number)):
        assert [w.result() for w in before] == [None] * 3
        assert number.get() == 3


def test_cancelled_twice() -> None:
    left, right = channel()
    catalyst = catalyse(right.swap, 1)
    assert catalyst.cancel() is None
    assert catalyst.cancel() is None
    with catalyst:
        assert not catalyst.active
        assert attempt(left.swap, "nobody")() == "nobody"


def test_an_error_of_the_block_is_told_and_cancels() -> None:
    _left, right = channel()
    with pytest.raises(KeyError), catalyse(right.swap) as catalyst:
        raise KeyError
    assert not catalyst.active


def test_an_error_in_its_function_ends_it_and_no_partner() -> None:
    left, right = channel()
    catalyst = catalyse(right.swap >> (lambda n: 1 // n))
    assert left.swap(1, timeout=PATIENCE) is None
    waits = parked(left.swap, 0)
    assert not catalyst.active
    with pytest.raises(ZeroDivisionError):
        catalyst.cancel()
    assert catalyst.cancel() is None
    assert right.swap("somebody else", timeout=PATIENCE) == 0
    assert waits.result() == "somebody else"


def test_an_error_in_its_own_turn_ends_it() -> None:
    """Which it takes in the thread that made it."""
    left, right = channel()
    waits = parked(left.swap, 0)
    with pytest.raises(ZeroDivisionError):
        catalyse(right.swap >> (lambda n: 1 // n))
    assert right.swap("else", timeout=PATIENCE) == 0
    assert waits.result() == "else"
    assert stats()["waiting"] == 0


def test_an_error_when_it_is_refreshed_ends_it_and_its_waker_does_not_see_it() -> None:
    _left, right = channel()
    divisor = Ref(1)
    catalyst = catalyse(divisor.read >> (lambda n: 1 // n) >> right.swap)
    divisor.set(0)
    assert not catalyst.active
    with pytest.raises(ZeroDivisionError), catalyst:
        pass
    assert stats()["waiting"] == 0


def test_an_error_that_ended_it_does_not_hide_the_block_s() -> None:
    left, right = channel()
    with pytest.raises(KeyError), catalyse(right.swap >> (lambda n: 1 // n)):  # noqa: PT012
        with pytest.raises(TimeoutError):
            left.swap(0, timeout=0.01)
        raise KeyError


def test_an_error_of_its_action_ends_it() -> None:
    def fail(x: Any) -> None:
        raise ValueError(x)

    left, right = channel()
    catalyst = catalyse(right.swap >> post_commit(fail), "c")
    assert left.swap("mine", timeout=PATIENCE) == "c"
    with pytest.raises(ExceptionGroup) as raised:
        catalyst.cancel()
    assert [str(e) for e in raised.value.exceptions] == ["mine"]


def test_its_actions_run_once_a_use_before_the_partner_returns() -> None:
    left, right = channel()
    seen: list[Any] = []
    with catalyse(right.swap >> post_commit(seen.append)):
        for i in range(5):
            left.swap(i)
            assert seen == list(range(i + 1))


def test_three_channels_joined() -> None:
    """A message passes through both catalysts and arrives, all in one reaction; and what is given for it comes back."""
    (a1, a2), (b1, b2), (c1, c2) = channel(), channel(), channel()
    with catalyse(a2.swap >> b1.swap), catalyse(b2.swap >> c1.swap):
        assert attempt(a1.swap, "nobody")(0) == "nobody"
        receiver = parked(c2.swap)
        assert a1.swap(1, timeout=PATIENCE) is None
        assert receiver.result() == 1
        sender = parked(a1.swap, 2)
        assert c2.swap(timeout=PATIENCE) == 2
        assert sender.result() is None
        rounds = 100 * STRESS
        got = race(
            lambda: [a1.swap(i, timeout=PATIENCE) for i in range(rounds)],
            lambda: [c2.swap(timeout=PATIENCE) for _ in range(rounds)],
        )
        assert got[1] == list(range(rounds))
    assert stats()["waiting"] == 0


@pytest.mark.parametrize("partner", ["before", "after"])
@pytest.mark.parametrize("first", ["partner", "item"])
def test_refreshed_when_a_word_it_has_read_changes(partner: str, first: str) -> None:
    left, right = channel()
    queue: Queue[int] = Queue()
    waits = parked(left.swap, "mine") if partner == "before" else None
    with catalyse(queue.get >> right.swap):
        if waits is None and first == "partner":
            waits = parked(left.swap, "mine")
        queue.put(1)
        if waits is None:
            waits = parked_or_over(left.swap, "mine")
        assert waits.result() == 1
        assert queue.empty()
        for i in range(20):  # one reaction each
            waits = Background(lambda: left.swap(timeout=PATIENCE))
            queue.put(i)
            assert waits.result() == i
        queue.put("left over")
        assert not queue.empty()
    assert queue.get_nowait() == "left over"


def parked_or_over(r: Reagent[Any, Any], x: Any) -> Background:
    return Background(lambda: r(x, timeout=PATIENCE))


def test_it_wakes_those_who_wait_for_what_it_offers_now() -> None:
    left, right = channel()
    open_ = Ref(False)
    with catalyse(open_.read >> guard(bool) >> right.swap):
        waits = [parked(left.swap, i) for i in range(3)]
        assert all(w.running for w in waits)
        open_.set(True)
        assert [w.result() for w in waits] == [True] * 3
        open_.set(False)
        assert attempt(left.swap, "closed")() == "closed"
        open_.set(True)
        assert left.swap(timeout=PATIENCE) is True


def test_many_messages_from_several_threads() -> None:
    left, right = channel()
    number = Ref(0)
    threads, each = 4, 1_000 * STRESS
    with catalyse(counting(right, number)):
        race(*[lambda: [left.swap(timeout=PATIENCE) for _ in range(each)]] * threads)
        assert number.get() == threads * each
    assert stats()["waiting"] == 0


def test_a_pipe_of_a_queue_into_a_queue() -> None:
    """Each item goes once, in order, though every one who wants it pulls it through the catalyst."""
    left, right = channel()
    source: Queue[int] = Queue()
    n, takers = 600 * STRESS, 3
    with catalyse(source.get >> right.swap):
        got = race(
            lambda: [source.put(i) for i in range(takers * n)],
            *[lambda: [left.swap(timeout=PATIENCE) for _ in range(n)]] * takers,
        )[1:]
    assert sorted(x for items in got for x in items) == list(range(takers * n))
    assert all(items == sorted(items) for items in got)
    assert source.empty()


def test_catalysts_at_both_ends_are_refused() -> None:
    left, right = channel()
    with catalyse(left.swap):
        with pytest.raises(RuntimeError, match="catalyst"):
            catalyse(right.swap)
        with pytest.raises(RuntimeError, match="catalyst"):
            catalyse(const(1) >> right.swap)
        assert right.swap("fine", timeout=PATIENCE) is None
    with catalyse(right.swap, "now"):
        assert left.swap(timeout=PATIENCE) == "now"
    exchanger: Exchanger[int] = Exchanger()
    with catalyse(exchanger.exchange, 1), pytest.raises(RuntimeError, match="catalyst"):
        catalyse(exchanger.exchange, 2)
    assert stats()["waiting"] == 0


def test_two_that_meet_each_other_and_others_are_not() -> None:
    (a, a_), (b, b_) = channel(), channel()
    with catalyse(a.swap >> b.swap), catalyse(a_.swap + b_.swap, "second"):
        assert a_.swap(1, timeout=PATIENCE) is None  # with both of them
        assert b.swap(3, timeout=PATIENCE) == "second"


@pytest.mark.parametrize("r", [never, guard(lambda _: False), identity, Ref(0).add, Queue().get + Ref(0).read])
def test_one_that_could_meet_nobody_is_refused(r: Reagent[Any, Any]) -> None:
    with pytest.raises(RuntimeError, match=r"for ever|meet nobody"):
        catalyse(r)


def test_one_whose_partner_was_collected_is_refused() -> None:
    left, right = channel()
    del right
    gc.collect()
    with pytest.raises(RuntimeError, match="collected"):
        catalyse(left.swap)


def test_one_whose_partner_is_collected_later_ends() -> None:
    left, right = channel()
    catalyst = catalyse(left.swap)
    del right
    gc.collect()
    assert not catalyst.active
    with pytest.raises(RuntimeError, match="collected"):
        catalyst.cancel()
    assert stats()["waiting"] == 0


def test_cancelled_by_its_own_function() -> None:
    """The reaction that was under way with it does not happen."""
    left, right = channel()
    number = Ref(0)

    def stop(x: Any) -> Any:
        catalyst.cancel()
        return x

    catalyst = catalyse(right.swap >> stop >> counting_input(number))
    assert attempt(left.swap, "nobody")("x") == "nobody"
    assert not catalyst.active
    assert number.get() == 0
    assert stats()["waiting"] == 0


def counting_input(number: Ref[int]) -> Reagent[Any, None]:
    return number.upd(lambda n, _: (n + 1, None))


def test_cancelled_by_its_own_function_in_its_own_turn() -> None:
    left, right = channel()
    go = Ref(False)
    number = Ref(0)

    def stop(x: Any) -> Any:
        catalyst.cancel()
        return x

    waits = parked(left.swap, "mine")
    catalyst = catalyse(go.read >> guard(bool) >> right.swap >> stop >> counting_input(number))
    go.set(True)
    assert not catalyst.active
    assert number.get() == 0
    assert right.swap("else", timeout=PATIENCE) == "mine"
    assert waits.result() == "else"
    assert stats()["waiting"] == 0


def test_cancelled_in_a_function_of_its_partner() -> None:
    left, right = channel()
    number = Ref(0)
    catalyst = catalyse(counting(right, number), "catalyst")

    def stop(x: Any) -> Any:
        elsewhere(catalyst.cancel)
        return x

    assert attempt(left.swap >> stop, "nobody")("x") == "nobody"
    assert number.get() == 0


def test_cancelled_in_its_action() -> None:
    left, right = channel()
    number = Ref(0)
    catalyst = catalyse(counting(right, number) >> post_commit(lambda _: catalyst.cancel()))
    left.swap(timeout=PATIENCE)
    assert not catalyst.active
    assert number.get() == 1
    assert attempt(left.swap, "nobody")() == "nobody"
    assert stats()["waiting"] == 0


def test_cancelling_beside_uses() -> None:
    """Each use has happened and is counted, or it has not; after cancel() none happens."""
    for _ in range(60 * STRESS):
        left, right = channel()
        number = Ref(0)
        catalyst = catalyse(counting(right, number), "used")

        def use(left: Any = left) -> int:
            used = 0
            while attempt(left.swap, "nobody")() == "used":
                used += 1
            return used

        def cancel(catalyst: Any = catalyst, number: Ref[int] = number) -> int:
            soon(lambda: number.get() > 5)
            catalyst.cancel()
            return number.get()

        first, second, at_the_end = race(use, use, cancel)
        assert first + second == number.get() == at_the_end
    assert stats()["waiting"] == 0


def test_cancelled_by_several() -> None:
    def fail(x: Any) -> Any:
        raise ValueError

    for _ in range(30 * STRESS):
        left, right = channel()
        catalyst = catalyse(right.swap >> fail)
        with pytest.raises(TimeoutError):
            left.swap(timeout=0)

        def cancel(catalyst: Any = catalyst) -> int:
            try:
                catalyst.cancel()
            except ValueError:
                return 1
            return 0

        assert sum(race(cancel, cancel, cancel)) == 1


def test_a_word_that_changes_all_the_time() -> None:
    """Whoever changes it refreshes the catalyst, many at once; afterwards it offers what is there last."""
    left, right = channel()
    word = Ref(0)
    with catalyse(word.read >> right.swap):
        for _ in range(10 * STRESS):
            race(*[lambda: [word.add(1) for _ in range(200)]] * 3)
            assert left.swap(timeout=PATIENCE) == word.get()
    assert stats()["waiting"] == 0


def test_one_that_is_dropped_stays() -> None:
    left, right = channel()
    number = Ref(0)
    catalyst = catalyse(counting(right, number))
    reference = weakref.ref(catalyst)
    del catalyst
    settle()
    left.swap()
    assert number.get() == 1
    kept = reference()
    assert kept is not None
    kept.cancel()
    del kept
    soon(lambda: settle() or reference() is None, "the end of the catalyst")


def test_a_catalyst_that_has_nobody_else_goes_with_its_channel() -> None:
    """The partner's endpoint is collected, so it ends, though nobody has a reference to it."""
    left, right = channel()
    reference = weakref.ref(catalyse(right.swap >> (lambda _: None)))
    assert reference() is not None
    del left, right
    soon(lambda: settle() or reference() is None, "the end of the catalyst")


def test_choices() -> None:
    """With a branch that needs nobody a catalyst would react alone; it does not."""
    left, right = channel()
    number = Ref(0)
    with catalyse((right.swap >> (lambda _: "swapped")) + counting_input(number)):
        assert number.get() == 0
        assert left.swap() is None
    assert number.get() == 0


def test_computed_in_it() -> None:
    """A server: the reply goes where the request says."""
    to_server, requests = channel()

    def serve(request: Any) -> Reagent[Any, Any]:
        end, n = request
        return const(n * n) >> end.swap

    with catalyse(requests.swap >> computed(serve)):
        for n in range(20):
            mine, theirs = channel()
            assert (const((theirs, n)) >> to_server.swap >> mine.swap)(timeout=PATIENCE) == n * n


def test_one_word_for_it_and_its_partner() -> None:
    left, right = channel()
    number = Ref(0)
    each = 200 * STRESS
    with catalyse(counting(right, number)):
        race(*[lambda: [(left.swap >> counting_input(number))(timeout=PATIENCE) for _ in range(each)]] * 2)
    assert number.get() == 4 * each


def test_twice_in_one_reaction() -> None:
    left, right = channel()
    number = Ref(0)
    with catalyse(counting(right, number)):
        assert (left.swap >> left.swap)("x", timeout=PATIENCE) is None
        assert (left.swap * left.swap)("x", timeout=PATIENCE) == (None, None)
    assert number.get() == 4


def test_repr_and_refusals() -> None:
    left, _right = channel()
    catalyst = catalyse(left.swap)
    assert repr(left.swap) in repr(catalyst)
    assert "cancelled" not in repr(catalyst)
    for refused in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="cannot pickle"):
            refused(catalyst)
    catalyst.cancel()
    assert "cancelled" in repr(catalyst)
    with pytest.raises(TypeError):
        type(catalyst)()
    with pytest.raises(TypeError, match="Reagent"):
        catalyse(len)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        catalyse()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        catalyse(left.swap, 1, 2)  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        catalyst.active = True  # type: ignore[misc]
