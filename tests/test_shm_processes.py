"""`lockfree.shm` between processes: transfers by k-CAS while others audit, at different addresses; fork; kill -9."""

from __future__ import annotations

import gc
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from racing import STRESS, soon
from segments import Process, segment

from lockfree import _shared  # isort: skip  (after the skip in `segments`)
from lockfree.shm import Segment  # isort: skip

N = 4
TOTAL = 1000


def _with_money(seg: Segment) -> object:
    arr = seg.array("words", "int64", N)
    for i in range(N):
        arr[i] = TOTAL // N
    return arr


TRANSFER_BY_KCAS = """
import random
chance = random.Random(os.getpid())
for _ in range({times}):
    i, j = chance.sample(range(4), 2)
    while True:
        x, y = arr[i], arr[j]
        if arr.kcas([(i, x, x - 1), (j, y, y + 1)]):
            break
"""

TRANSFER_BY_REACTION = """
import random
chance = random.Random(os.getpid())
moves = [arr.at(i).upd(lambda n, _: (n - 1, None)) >> arr.at(j).upd(lambda n, _: (n + 1, None))
         for i in range(4) for j in range(4) if i != j]
for _ in range({times}):
    chance.choice(moves)()
"""

TRANSFER_IN_BATCHES = """
done = 0
while done < {times}:
    a, b = arr[0], arr[1]
    done += sum(arr.kcas_many([[(0, a - k, a - k - 1), (1, b + k, b + k + 1)] for k in range(100)]))
"""

AUDIT = """
import select
whole = arr.at(0).read * arr.at(1).read * arr.at(2).read * arr.at(3).read
audits = 0
while not audits or not select.select([sys.stdin], [], [], 0)[0]:
    ((a, b), c), d = whole()
    assert a + b + c + d == 1000, (a, b, c, d)
    values = list(arr)
    if arr.kcas([(i, v, v) for i, v in enumerate(values)]):
        assert sum(values) == 1000, values
    audits += 1
print(audits)
"""


@pytest.mark.parametrize("crew", [[TRANSFER_BY_KCAS], [TRANSFER_BY_REACTION], [TRANSFER_BY_KCAS, TRANSFER_BY_REACTION]])
def test_transfers_beside_an_auditor(crew: list[str]) -> None:
    """Two processes, and three."""
    with segment() as seg:
        arr = _with_money(seg)
        auditor = Process(seg, N, AUDIT)
        workers = [Process(seg, N, code.format(times=3000 * STRESS)) for code in crew]
        for worker in workers:
            worker.result()
        assert auditor.popen.stdin is not None
        auditor.popen.stdin.write("stop\n")
        auditor.popen.stdin.flush()
        assert int(auditor.result()) > 0
        assert sum(arr) == TOTAL  # type: ignore[call-overload]


def test_batches_of_two_processes() -> None:
    with segment() as seg:
        arr = _with_money(seg)
        for worker in [Process(seg, N, TRANSFER_IN_BATCHES.format(times=20_000 * STRESS)) for _ in range(2)]:
            worker.result()
        assert sum(arr) == TOTAL  # type: ignore[call-overload]


def test_batched_additions_of_three_processes() -> None:
    with segment() as seg:
        arr = seg.array("words", "int64", N)
        code = f"for _ in range(20): arr.add_many([(i % {N}, 1) for i in range(1000)])"
        for worker in [Process(seg, N, code) for _ in range(3)]:
            worker.result()
        assert list(arr) == [3 * 20 * 1000 // N] * N


def test_addresses_differ() -> None:
    """Nothing in the memory depends on where it is mapped."""
    with segment() as seg:
        arr = _with_money(seg)
        code = """
import mmap
print(seg._mapping.address)
arr.kcas([(0, 250, 0), (1, 250, 500)])
(arr.at(1).upd(lambda n, _: (n - 100, None)) >> arr.at(2).upd(lambda n, _: (n + 100, None)))()
"""
        for _ in range(5):
            theirs = int(Process(seg, N, code).result())
            assert list(arr)[1:3] == [400, 350]  # type: ignore[call-overload]
            if theirs != seg._open().address:
                return
            for i in range(N):
                arr[i] = TOTAL // N  # type: ignore[index]
        pytest.skip("this system maps everything at the same address every time")


def test_the_same_array_from_all_processes_at_once() -> None:
    with segment() as seg:
        code = "for i in range(40): seg.array(f'array {i}', 'int64', 1 + i % 5).add(0, 1)"
        for worker in [Process(seg, N, code) for _ in range(3)]:
            worker.result()
        assert [seg.array(f"array {i}", "int64", 1 + i % 5)[0] for i in range(40)] == [3] * 40


def test_a_wait_ends_when_another_process_changes_the_word() -> None:
    with segment() as seg:
        arr = seg.array("words", "int64", N)
        waiter = Process(seg, N, "arr.at(0).cas(1, 2)(timeout=30); arr.at(1).cas(0, 5)()")
        arr[0] = 1
        waiter.result()
        assert list(arr)[:2] == [2, 5]


# ---- processes that die ------------------------------------------------------------------------

#: In C, so that the signal falls into the middle of a k-CAS and not beside it.
TRANSFER_FOR_EVER = """
from lockfree._shared import ffi, lib
while True:
    lib.dr_transfer((0, seg._mapping.handle), ffi.cast("int64_t *", arr._start), 4, 1 << 40, os.getpid())
"""


@pytest.mark.parametrize("survivor", [True, False], ids=["beside a survivor", "all of them"])
def test_kill_9_blocks_nobody(survivor: bool) -> None:
    chance = random.Random(9)
    with segment() as seg:
        arr = _with_money(seg)
        place = (0, seg._open().handle)
        words = _shared.ffi.cast("int64_t *", arr._start)  # type: ignore[attr-defined]
        mine = len(seg._open().slots)
        for _ in range(10 * STRESS):
            crew = [Process(seg, N, TRANSFER_FOR_EVER) for _ in range(1 + survivor)]
            time.sleep(chance.uniform(0.0, 0.02))
            crew[0].kill()
            # The k-CAS that it left behind is finished or undone by whoever meets it.
            assert _shared.lib.dr_audit(place, words, N, TOTAL, 200) == 0
            _shared.lib.dr_transfer(place, words, N, 200, chance.randrange(1 << 30))
            for process in crew[1:]:
                process.kill()
            assert sum(arr) == TOTAL  # type: ignore[call-overload]
            seg.recover()
            assert len(seg._open().slots) == mine
        assert _shared.lib.dr_audit(place, words, N, TOTAL, 10) == 0


def test_slots_of_the_dead_are_taken_over() -> None:
    """Killed and not yet waited for (a zombie) counts as gone, and nobody need call recover()."""
    code = """
go = threading.Barrier(61)
def use():
    arr.add(0, 1)
    go.wait()
    time.sleep(60)
for _ in range(60):
    threading.Thread(target=use, daemon=True).start()
go.wait()
print("all", flush=True)
time.sleep(60)
"""
    with segment() as seg:
        arr = seg.array("words", "int64", N)
        for round in range(1, 4):
            process = Process(seg, N, code)
            try:
                assert process.popen.stdout is not None
                assert process.popen.stdout.readline() == "all\n"
                taken = seg._open().slots
                assert taken.count(process.popen.pid) >= 60
                os.kill(process.popen.pid, signal.SIGKILL)
                # Gone, but a zombie: waitid(..., WNOWAIT) leaves it one.
                os.waitid(os.P_PID, process.popen.pid, os.WEXITED | os.WNOWAIT)
                soon(lambda: seg.recover() >= 60, "the recovery of a zombie's slots")
            finally:
                process.kill()
            assert arr[0] == 60 * round


def test_a_killed_creator_leaves_a_segment() -> None:
    with segment() as seg:
        name = seg.name + "-child"
        code = f"""
other = Segment.create({name!r})
other.array("words", "int64", 1)[0] = 7
os.kill(os.getpid(), 9)
"""
        process = Process(seg, N, code)
        process.popen.wait()
        process.kill()
        with Segment.attach(name) as other:
            other.unlink()
            assert other.array("words", "int64", 1)[0] == 7


# ---- fork -----------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_slots_of_its_own() -> None:
    with segment() as seg:
        arr = _with_money(seg)
        before = seg._open().slots
        assert before == [os.getpid()]
        child = os.fork()
        if child == 0:
            status = 1
            try:
                assert seg._open().slots == before
                exec(TRANSFER_BY_REACTION.format(times=500), {"os": os, "arr": arr})
                assert sorted(seg._open().slots) == sorted([*before, os.getpid()])
                status = 0
            finally:
                os._exit(status)
        exec(TRANSFER_BY_KCAS.format(times=500), {"os": os, "arr": arr})
        assert os.waitpid(child, 0)[1] == 0
        assert seg._open().slots.count(os.getpid()) == 1
        seg.recover()
        assert seg._open().slots == before
        assert sum(arr) == TOTAL  # type: ignore[call-overload]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork_in_the_middle_of_a_reaction() -> None:
    """The child goes on with the reaction; its commit must not use the parent's slot."""
    with segment() as seg:
        arr = seg.array("words", "int64", N)
        children: list[int] = []

        def fork(n: int, _: object) -> tuple[int, int]:
            if not children:
                children.append(os.fork())
            return n + 1, children[0]

        both = arr.at(0).upd(fork) >> arr.at(1).upd(lambda n, child: (n + 1, child))
        parent = os.getpid()
        status = 1
        try:
            both()
            status = os.getpid() != parent and seg._open().slots.count(os.getpid()) != 1
        finally:
            if os.getpid() != parent:
                os._exit(status)
        assert os.waitpid(children[0], 0)[1] == 0
        assert list(arr)[:2] == [2, 2]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_closing_in_a_child_takes_nothing_from_the_parent() -> None:
    with segment() as seg:
        arr = seg.array("words", "int64", N)
        taken = seg._open().slots
        child = os.fork()
        if child == 0:
            del arr
            seg.close()
            gc.collect()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert seg._open().slots == taken
        arr.add(0, 1)


def test_multiprocessing() -> None:
    """The way most programs will use it: a name handed to workers of the standard library."""
    with segment() as seg:
        arr = seg.array("words", "int64", N)
        script = f"""
from multiprocessing import get_context
from lockfree.shm import Segment

def work(name):
    arr = Segment.attach(name).array("words", "int64", {N})
    for _ in range(1000):
        arr.add(0, 1)

if __name__ == "__main__":
    with get_context("spawn").Pool(2) as pool:
        pool.map(work, [{seg.name!r}] * 4)
"""
        home = os.path.dirname(os.path.abspath(__file__))
        path = os.path.join(home, f"_multiprocessing_{os.getpid()}.py")
        from racing import environment

        with open(path, "w") as file:
            file.write(script)
        try:
            done = subprocess.run([sys.executable, path], env=environment(), capture_output=True, text=True, timeout=60)
        finally:
            os.remove(path)
        assert done.returncode == 0, done.stderr
        assert arr[0] == 4000
