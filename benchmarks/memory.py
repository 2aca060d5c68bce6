"""What elements cost, and whether anything is left behind. Each figure comes from a process of its own, whose only
growth is what is measured."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

ELEMENTS = 1_000_000
CYCLES = 10_000_000
WARM_UP = 200_000

#: name: (what makes it, puts one in, takes one out)
STRUCTURES = {
    "lockfree.Stack": ("from lockfree import Stack; s = Stack()", "push", "pop"),
    "lockfree.Queue": ("from lockfree import Queue; s = Queue()", "put", "get"),
    "list": ("s = []", "append", "pop"),
    "deque": ("from collections import deque; s = deque()", "append", "pop"),
    "queue.SimpleQueue": ("import queue; s = queue.SimpleQueue()", "put", "get"),
}


def resident() -> int:
    """Bytes of this process in memory now. Linux says; elsewhere the highest so far has to do."""
    try:
        with open("/proc/self/statm") as statm:
            pages = int(statm.read().split()[1])
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    import resource

    return pages * resource.getpagesize()


def _methods(name: str):  # type: ignore[no-untyped-def]
    make, put, get = STRUCTURES[name]
    space: dict[str, object] = {}
    exec(make, space)
    return getattr(space["s"], put), getattr(space["s"], get)


def _bytes_per_element(name: str) -> float:
    put, _ = _methods(name)
    for _ in range(1000):
        put(None)
    before = resident()
    for _ in range(ELEMENTS):
        put(None)
    return (resident() - before) / ELEMENTS


def _growth_kib(name: str, threads: int) -> float:
    put, get = _methods(name)

    def cycle(times: int) -> None:
        for _ in range(times):
            put(None)
            get()

    def together(times: int) -> None:
        crew = [threading.Thread(target=cycle, args=(times // threads,)) for _ in range(threads)]
        for thread in crew:
            thread.start()
        for thread in crew:
            thread.join()

    together(WARM_UP)
    before = resident()
    together(CYCLES)
    return (resident() - before) / 1024


def _in_own_process(*arguments: object) -> float:
    command = [sys.executable, __file__, *map(str, arguments)]
    result: float = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return result


def bytes_per_element(name: str) -> float:
    """Bytes that each of a million elements takes beyond its object."""
    return _in_own_process("bytes", name)


def growth_kib(name: str, threads: int) -> float:
    """KiB by which the process has grown after ten million times one in and one out, by all threads together."""
    return _in_own_process("growth", name, threads)


if __name__ == "__main__":
    kind, structure, *rest = sys.argv[1:]
    print(json.dumps(_bytes_per_element(structure) if kind == "bytes" else _growth_kib(structure, int(rest[0]))))
