"""How a map grows: the longest that one insert takes on the way to a million keys, and what an entry costs. Each figure
comes from a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from memory import resident

KEYS = 1_000_000

#: name: what makes it
MAPS = {
    "lockfree.Map": "from lockfree import Map; m = Map()",
    "dict": "m = {}",
}

#: The keys are made beforehand, and all of them are held: only the map grows.
KEY_KINDS = {"int": "list(range(n))", "str": "[f'key {i}' for i in range(n)]"}


def _map(name: str):  # type: ignore[no-untyped-def]
    space: dict[str, object] = {}
    exec(MAPS[name], space)
    return space["m"]


def _keys(kind: str, n: int) -> list[object]:
    keys: list[object] = eval(KEY_KINDS[kind], {"n": n})
    for key in keys:
        hash(key)  # a str remembers it
    return keys


def _longest_insert_us(name: str, kind: str, n: int) -> float:
    m, keys, clock = _map(name), _keys(kind, n), time.perf_counter_ns
    longest = 0
    for key in keys:
        begin = clock()
        m[key] = None
        took = clock() - begin
        if took > longest:
            longest = took
    return longest / 1e3


def _bytes_per_entry(name: str, kind: str, n: int) -> float:
    keys, maps = _keys(kind, n), [_map(name) for _ in range(max(1, KEYS // n))]
    before = resident()
    for m in maps:
        for key in keys:
            m[key] = None
    return (resident() - before) / (n * len(maps))


def _in_own_process(*arguments: object) -> float:
    command = [sys.executable, __file__, *map(str, arguments)]
    result: float = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return result


def longest_insert_us(name: str, kind: str, n: int = KEYS) -> float:
    """Microseconds that the slowest of n inserts into an empty map took. The system may stop the process meanwhile and
    so add to it, never take away: of several runs the least is nearest to the truth."""
    return _in_own_process("pause", name, kind, n)


def bytes_per_entry(name: str, kind: str, n: int) -> float:
    """Bytes that an entry takes in maps of n, beside its key and value; a million entries in all."""
    return _in_own_process("bytes", name, kind, n)


if __name__ == "__main__":
    what, name, kind, n = sys.argv[1:]
    measure = _longest_insert_us if what == "pause" else _bytes_per_entry
    print(json.dumps(measure(name, kind, int(n))))
