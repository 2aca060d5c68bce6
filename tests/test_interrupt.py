"""Ctrl-C during a blocked run: KeyboardInterrupt at once, the offer is taken back, and nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from racing import PATIENCE, environment

# The child says when its main thread has parked, so the signal meets a blocked reaction and not a running one.
CHILD = """
import sys, threading
from lockfree import Queue, Stack
from reagents import Ref, const, guard, stats

queue, stack, ref = Queue(), Stack(), Ref(0)
blocked = {{
    "get": queue.get,
    "pop with a timeout": lambda: stack.pop(timeout=1000),
    "composed": const("taken") >> stack.push >> queue.get >> ref.write,
    "choice": (queue.get + stack.pop) >> ref.write,
    "until": ref.read >> guard(lambda value: value > 0),
}}[{name!r}]

def announce(before):
    pause = threading.Event()
    while stats()["waits"] == before:
        pause.wait(0.001)
    print("parked", flush=True)

threading.Thread(target=announce, args=(stats()["waits"],), daemon=True).start()
try:
    blocked()
except KeyboardInterrupt:
    print("interrupted", flush=True)

# Whoever was interrupted no longer takes anything, and left nothing half done.
assert stack.snapshot() == [] and ref.get() == 0
for i in range(10):
    queue.put(i)
    stack.push(i)
assert [queue.get_nowait() for _ in range(10)] == list(range(10))
assert stack.snapshot() == list(range(9, -1, -1)) and ref.get() == 0
queue.put("works")
assert (queue.get >> ref.write)() == "works"
print("fine", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
@pytest.mark.parametrize("name", ["get", "pop with a timeout", "composed", "choice", "until"])
def test_interrupt_of_a_blocked_run(name: str) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD.format(name=name)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job has SIGINT ignored, and a child inherits that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "parked\n", child.stderr and child.stderr.read()
        os.kill(child.pid, signal.SIGINT)
        out, err = child.communicate(timeout=PATIENCE)
    finally:
        child.kill()
    assert (out, child.returncode) == ("interrupted\nfine\n", 0), err
