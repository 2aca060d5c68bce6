"""`lockfree.shm` in one process: segments, arrays, words, k-CAS, reagents over them, and bad input."""

from __future__ import annotations

import copy
import gc
import operator
import pickle
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conventions import check_reagent_method
from racing import Background, Parked, race, soon
from reagents import BLOCK, Ref, attempt, const
from segments import segment

from lockfree.shm import Segment, Word  # isort: skip  (after the skip in `segments`)

REFUSED: list[Callable[[Any], Any]] = [pickle.dumps, copy.copy]
MAPS = Path("/proc/self/maps")
LOW, HIGH = -(2**62), 2**62 - 1


def test_items() -> None:
    with segment() as seg:
        arr = seg.array("counters", "int64", 16)
        assert len(arr) == 16
        assert list(arr) == [0] * 16
        arr[0] = 5
        arr[-1] = -7
        assert (arr[0], arr[15], arr[-1]) == (5, -7, -7)
        assert arr.add(0, 3) == 5
        assert arr.add(0) == 8
        assert arr.compare_and_set(0, 9, 1) is True
        assert arr.compare_and_set(0, 9, 2) is False
        assert arr[0] == 1
        for value in (LOW, HIGH):
            arr[1] = value
            assert arr[1] == value


def test_items_in_a_row() -> None:
    with segment() as seg:
        arr = seg.array("words", "int64", 3)
        arr[0], arr[1], arr[2] = 5, 6, 7
        assert list(arr) == [5, 6, 7]
        assert 6 in arr
        assert 8 not in arr
        assert list(reversed(arr)) == [7, 6, 5]


def test_kcas() -> None:
    with segment() as seg:
        arr = seg.array("words", "int64", 40)
        assert arr.kcas([(0, 0, 1), (1, 0, 2), (2, 0, 0)]) is True
        assert arr.kcas([(0, 1, 9), (1, 3, 9)]) is False
        assert list(arr)[:3] == [1, 2, 0]
        assert arr.kcas([]) is True
        assert arr.kcas((i, arr[i], i) for i in range(32)) is True
        assert list(arr)[:32] == list(range(32))
        assert arr.kcas([(i, i, i) for i in range(32)]) is True, "all are compares"
        with pytest.raises(ValueError, match="at most 32 entries, not 33"):
            arr.kcas([(i, 0, 0) for i in range(33)])
        with pytest.raises(ValueError, match="index 3 is in the k-CAS twice"):
            arr.kcas([(3, 3, 4), (-37, 3, 5)])


def test_batches() -> None:
    with segment() as seg:
        arr = seg.array("words", "int64", 8)
        arr.add_many([])
        arr.add_many((i % 8, i) for i in range(80))
        assert list(arr) == [sum(range(i, 80, 8)) for i in range(8)]
        before = list(arr)
        assert arr.kcas_many([]) == []
        done = arr.kcas_many([[(0, before[0], 1), (-1, before[7], 2)], [(1, -1, 0), (2, before[2], 0)], []])
        assert done == [True, False, True]
        assert list(arr) == [1, *before[1:7], 2]


def test_errors_of_batches_change_nothing() -> None:
    with segment() as seg:
        arr: Any = seg.array("words", "int64", 4)
        attempts: list[tuple[type[Exception], str, Callable[[], Any]]] = [
            (
                IndexError,
                "item 1 has an index out of range for the array 'words' of 4",
                lambda: arr.add_many([(0, 1), (4, 1)]),
            ),
            (IndexError, "item 1", lambda: arr.kcas_many([[(0, 0, 1)], [(-5, 0, 1)]])),
            (OverflowError, "item 1 has an integer out of", lambda: arr.add_many([(0, 1), (1, HIGH + 1)])),
            (OverflowError, "too big", lambda: arr.add_many([(0, 1), (1, 2**80)])),
            (OverflowError, "item 0", lambda: arr.kcas_many([[(0, 0, LOW - 1)]])),
            (TypeError, "integer", lambda: arr.add_many([(0, 1), (1, "2")])),
            (TypeError, "unpack", lambda: arr.add_many([3])),
            (ValueError, "twice", lambda: arr.kcas_many([[(0, 0, 1)], [(1, 0, 1), (1, 0, 2)]])),
            (ValueError, "32", lambda: arr.kcas_many([[(0, 0, 1)] * 33])),
        ]
        for error, match, call in attempts:
            with pytest.raises(error, match=match):
                call()
        assert list(arr) == [0] * 4
        arr[1] = HIGH
        with pytest.raises(OverflowError, match="item 1 takes its word out of range"):
            arr.add_many([(0, 5), (1, 1), (2, 1)])
        assert list(arr) == [5, HIGH, 0, 0], "those before it have been done, as the docstring says"


def test_errors_of_items() -> None:
    with segment() as seg:
        arr: Any = seg.array("words", "int64", 4)
        arr[3] = HIGH
        attempts: list[tuple[type[Exception], Callable[[], Any]]] = [
            (IndexError, lambda: arr[4]),
            (IndexError, lambda: arr[-5]),
            (IndexError, lambda: arr.at(4)),
            (IndexError, lambda: arr.add(2**70, 1)),
            (IndexError, lambda: arr.kcas([(0, 0, 1), (4, 0, 1)])),
            (IndexError, lambda: arr.compare_and_set(9, 0, 1)),
            (TypeError, lambda: arr["a"]),
            (TypeError, lambda: arr[0:2]),
            (TypeError, lambda: operator.setitem(arr, 0, 1.5)),
            (TypeError, lambda: operator.delitem(arr, 0)),
            (TypeError, lambda: arr.kcas([(0, 0)])),
            (TypeError, lambda: arr.kcas([1])),
            (TypeError, lambda: arr.add(0, "1")),
            (TypeError, lambda: arr.compare_and_set(0, 1)),
            (OverflowError, lambda: arr.__setitem__(0, HIGH + 1)),
            (OverflowError, lambda: arr.add(0, LOW - 1)),
            (OverflowError, lambda: arr.add(3, 1)),
            (OverflowError, lambda: arr.compare_and_set(0, 0, 2**64)),
            (OverflowError, lambda: arr.kcas([(0, 0, 1), (1, 0, HIGH + 1)])),
            (OverflowError, lambda: arr.at(3).add(1)),
            (OverflowError, lambda: (const(HIGH + 1) >> arr.at(0).write)()),
        ]
        for error, call in attempts:
            with pytest.raises(error):
                call()
        assert list(arr) == [0, 0, 0, HIGH]


def test_word() -> None:
    with segment() as seg:
        arr = seg.array("words", "int64", 4)
        word = arr.at(1)
        assert isinstance(word, Word)
        assert word.get() == 0
        assert word.set(5) is None
        assert word.add() == 5
        assert word.add(4) == 6
        assert word.swap(-1) == 10
        assert word.compare_and_set(0, 9) is False
        assert word.compare_and_set(-1, 9) is True
        assert word.update(lambda n: n * 2) == 18
        assert int(word) == arr[1] == arr.at(-3).get() == 18
        assert [10, 20][arr.at(0)] == 10, "an index, as AtomicInt is"
        for method in ("get", "set", "add", "swap", "read", "write"):
            check_reagent_method(getattr(word, method))
        assert repr(word) == "<lockfree.shm.Word words[1] = 18>"
        with pytest.raises(TypeError, match="cannot create"):
            Word()


def test_reagents_over_words() -> None:
    with segment() as seg:
        arr, other = seg.array("words", "int64", 4), seg.array("others", "int64", 2)
        a, b = arr.at(0), arr.at(1)
        a.set(41)
        assert (a.upd(lambda n, _: (n + 1, n)) >> b.write)() == 41
        assert list(arr)[:2] == [42, 41]
        assert (a.read * b.read * other.at(0).read)() == ((42, 41), 0)
        assert (const(7) >> a.swap >> other.at(1).write)() == 42
        assert (const(3) >> b.add)() == 41
        assert (b.cas(44, 1) >> a.get)() == 7
        assert attempt(b.cas(44, 1), "blocked")() == "blocked"
        assert (b.cas(5, 6) + a.read)() == 7
        assert (const(1) >> a.write >> a.read)() == 1, "a later step sees what an earlier one wrote"
        assert (list(arr)[:2], list(other)) == ([1, 1], [0, 42])
        with pytest.raises(TypeError):
            a.write("x")  # type: ignore[arg-type]
        with pytest.raises(ZeroDivisionError):
            (const(5) >> b.write >> a.upd(lambda n, _: (n // 0, n)))()
        assert list(arr)[:2] == [1, 1]


def test_more_words_than_a_segment_can_commit() -> None:
    with segment() as seg:
        arr = seg.array("words", "int64", 40)
        reaction = const(1)
        for i in range(33):
            reaction = reaction >> arr.at(i).write
        with pytest.raises(ValueError, match="33 words"):
            reaction()
        assert list(arr) == [0] * 40


def test_one_reaction_spans_one_memory() -> None:
    with segment() as one, segment() as two:
        a, b, private = one.array("a", "int64", 1), two.array("b", "int64", 1), Ref(5)
        for reaction in (a.at(0).read * b.at(0).read, private.read >> a.at(0).write, a.at(0).read >> private.write):
            with pytest.raises(RuntimeError, match="one reaction cannot span two memories"):
                reaction()
        assert (a[0], b[0], private.get()) == (0, 0, 5)
        assert (a.at(0).read() or b.at(0).read()) == 0, "each alone is fine"


def test_the_same_memory_attached_twice_is_one() -> None:
    with segment() as seg:
        again = Segment.attach(seg.name)
        a, b = seg.array("words", "int64", 2), again.array("words", "int64", 2)
        a[0] = 3
        assert b[0] == 3
        assert (a.at(0).read >> b.at(1).write >> a.at(1).read)() == 3


def test_waits_for_a_change() -> None:
    with segment() as seg:
        arr = seg.array("words", "int64", 2)
        take = arr.at(0).upd(lambda n, _: (n - 1, n) if n else BLOCK)
        with pytest.raises(TimeoutError):
            take(timeout=0.01)
        for change in (lambda: arr.add(0, 1), lambda: arr.add_many([(0, 1)]), lambda: (const(1) >> arr.at(0).write)()):
            parked = Parked()
            taker = Background(take, None)
            parked.wait_for()
            change()
            assert taker.result() == 1
        assert arr[0] == 0


def test_threads() -> None:
    with segment() as seg:
        arr = seg.array("words", "int64", 4)
        arr[0] = 1000
        rounds = 500

        def by_kcas(source: int, target: int) -> None:
            for _ in range(rounds):
                while True:
                    x, y = arr[source], arr[target]
                    if arr.kcas([(source, x, x - 1), (target, y, y + 1)]):
                        break

        def by_reaction(source: int, target: int) -> None:
            a, b = arr.at(source), arr.at(target)
            move = a.upd(lambda n, _: (n - 1, None)) >> b.upd(lambda n, _: (n + 1, None))
            for _ in range(rounds):
                move()

        def audit() -> None:
            assert sum(_flat((arr.at(0).read * arr.at(1).read * arr.at(2).read * arr.at(3).read)())) == 1000

        race(
            lambda: by_kcas(0, 1),
            lambda: by_kcas(1, 2),
            lambda: by_reaction(2, 3),
            lambda: by_reaction(3, 0),
            meanwhile=[audit],
        )
        assert list(arr) == [1000, 0, 0, 0]


def _flat(pair: Any) -> list[int]:
    return [pair] if isinstance(pair, int) else [n for part in pair for n in _flat(part)]


def test_buffer() -> None:
    with segment() as seg:
        arr = seg.array("words", "int64", 4)
        view = memoryview(arr)
        assert (view.format, view.itemsize, view.shape, view.readonly) == ("q", 8, (4,), False)
        arr[1] = -9
        assert view.tolist() == [0, -9, 0, 0]
        view[2] = 12
        assert arr[2] == 12
        del arr, seg
        gc.collect()
        view[3] = 4
        assert view.tolist() == [0, -9, 12, 4], "the view keeps the memory mapped"


def test_numpy_shares_the_memory() -> None:
    numpy = pytest.importorskip("numpy")
    with segment() as seg:
        arr = seg.array("words", "int64", 4)
        seen = numpy.asarray(arr)
        assert seen.dtype == numpy.int64
        arr[1] = -9
        seen[2] = 12
        assert arr[2] == 12
        del arr
        assert seen.tolist() == [0, -9, 12, 0]


@pytest.mark.parametrize("rubbish", [HIGH + 1, LOW - 1, 2**62 + 2**60 + 5, -(2**63), -(2**63) + 2**55 + 1])
def test_a_word_that_holds_no_value_is_an_error(rubbish: int) -> None:
    """What was written through a buffer, around k-CAS, must not hang or crash those who meet it."""
    with segment() as seg:
        arr = seg.array("words", "int64", 4)
        memoryview(arr)[1] = rubbish
        calls: list[Callable[[], Any]] = [
            lambda: arr[1],
            lambda: arr.__setitem__(1, 0),
            lambda: arr.add(1, 1),
            lambda: arr.compare_and_set(1, 0, 1),
            lambda: arr.kcas([(0, 0, 1), (1, 0, 1)]),
            lambda: arr.add_many([(1, 1)]),
            lambda: arr.kcas_many([[(0, 0, 1), (1, 0, 1)]]),
            lambda: arr.at(1).get(),
            lambda: (arr.at(0).read * arr.at(1).read)(),
        ]
        for call in calls:
            with pytest.raises(ValueError, match="holds what is no value"):
                call()
        memoryview(arr)[1] = 0
        assert list(arr) == [0] * 4


def test_pickling_is_refused() -> None:
    with segment() as seg:
        arr = seg.array("words", "int64", 2)
        things: list[Any] = [seg, arr, arr.at(0)]
        for thing in things:
            for refused in REFUSED:
                with pytest.raises(TypeError, match="cannot pickle"):
                    refused(thing)


def test_nothing_leaks() -> None:
    with segment() as seg:
        arr = seg.array("words", "int64", 2)
        word = arr.at(0)
        references: list[Callable[[], object]] = [weakref.ref(seg), weakref.ref(arr), weakref.ref(word)]
        assert [reference() is not None for reference in references] == [True] * 3
        (word.read >> arr.at(1).write)()
        del arr
        assert word.get() == 0
        del word
        gc.collect()
        assert references[1]() is references[2]() is None
    if MAPS.exists():
        assert seg.name not in MAPS.read_text(), "unmapped with the last that points into it"


def test_slots_come_back() -> None:
    with segment() as seg:
        arr = seg.array("words", "int64", 2)
        mine = len(arr._mapping.slots)
        for _ in range(5):
            race(*[lambda: arr.add(0, 1)] * 60)
            # Until 3.12 a join may return just before the thread has ended.
            soon(lambda: len(arr._mapping.slots) == mine, "each thread giving its slot back")
        assert arr[0] == 300


def test_too_many_threads_at_once() -> None:
    with segment() as seg:
        arr = seg.array("words", "int64", 2)
        go = threading.Event()
        results: list[bool] = []
        said: set[str] = set()

        def hold() -> None:
            try:
                arr.add(0, 1)
                results.append(True)
            except RuntimeError as error:
                results.append(False)
                said.add(str(error))
            go.wait(60)

        threads = [threading.Thread(target=hold) for _ in range(130)]
        for thread in threads:
            thread.start()
        while len(results) < 130:
            go.wait(0.001)
        assert results.count(True) == arr[0] == 127, "and one is this thread's"
        assert len(said) == 1
        assert "128 threads" in said.pop()
        go.set()
        for thread in threads:
            thread.join()
        arr.add(0, 1)
        Background(arr.add, 0, 1).result()
        assert arr[0] == 129
