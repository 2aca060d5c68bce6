"""What importing does to the interpreter: nothing. The GIL stays off, and no third-party package is loaded."""

from __future__ import annotations

import sys
import sysconfig

import pytest

from racing import run_python

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


@pytest.mark.skipif(not FREE_THREADED, reason="this build has a GIL for good")
@pytest.mark.parametrize("statement", ["import reagents", "import lockfree", "import reagents.testing"])
def test_the_gil_stays_off(statement: str) -> None:
    run_python(
        f"import sys; assert not sys._is_gil_enabled(); {statement}; assert not sys._is_gil_enabled()",
        "-W",
        "error",
    )


def test_no_third_party_package_is_loaded() -> None:
    """Not even where one is installed: whatever is loaded is the standard library or ours."""
    run_python(
        """
import sys
before = set(sys.modules)   # what site's .pth files have loaded is none of our doing
import reagents, lockfree
new = {name.partition(".")[0] for name in set(sys.modules) - before}
foreign = new - sys.stdlib_module_names - {"reagents", "lockfree"}
assert not foreign, foreign
assert {"reagents", "lockfree"} <= new
"""
    )


def test_reagents_does_not_load_lockfree() -> None:
    run_python("import sys, reagents; assert 'lockfree' not in sys.modules")


def test_cffi_is_loaded_by_shared_memory_only() -> None:
    run_python(
        """
import sys
import reagents, lockfree
assert not {"cffi", "_cffi_backend", "lockfree.shm", "lockfree._shared"} & set(sys.modules)
"""
    )


def test_import_starts_no_thread_and_takes_no_signal() -> None:
    run_python(
        """
import signal, threading
handlers = [signal.getsignal(n) for n in signal.valid_signals()]
import reagents, lockfree
lockfree.Queue().put(1)
assert threading.active_count() == 1
assert [signal.getsignal(n) for n in signal.valid_signals()] == handlers
"""
    )


def test_leaves_quietly() -> None:
    """With structures alive, reactions waiting in daemon threads, and destructors that act at the very end."""
    done = run_python(
        """
import threading
from lockfree import Queue, Stack
from reagents import Ref, stats

queue, stack, ref = Queue(), Stack([1]), Ref(0)

class AtTheEnd:
    def __del__(self, stack=stack, ref=ref):
        stack.push(2)
        (stack.pop >> ref.write)()

keep = AtTheEnd()
before = stats()["waits"]
for get in (Queue().get, Queue().get >> ref.write):
    threading.Thread(target=get, daemon=True).start()
pause = threading.Event()
while stats()["waits"] < before + 2:
    pause.wait(0.001)
print("leaving")
""",
        "-X",
        "dev",
    )
    assert done.stdout == "leaving\n"
    assert done.stderr == ""


def test_version_and_names() -> None:
    import lockfree
    import reagents

    for module in (reagents, lockfree):
        assert module.__doc__
        for name in module.__all__:
            assert getattr(module, name) is not None
    wanted = "Reagent Ref choice together const identity never lift guard computed attempt post_commit BLOCK stats"
    assert set(wanted.split()) <= set(reagents.__all__)
    assert {"Stack", "Queue", "Counter", "AtomicInt", "Empty"} <= set(lockfree.__all__)
    assert "reagents" in sys.modules
