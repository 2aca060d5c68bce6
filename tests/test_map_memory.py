"""What Map does when memory runs out, and that it gives back what it took."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lockfree import Map
from no_memory import Case, check
from racing import run_python
from reagents import attempt


def on_a_map(operation: Callable[[Map[Any, Any], Any], Any]) -> Case:
    """The operation on a map that has the token as a value and others beside it."""

    def case(token: Any) -> Any:
        m: Map[Any, Any] = Map({"a": token, "b": 2, 3: 4})
        return lambda: operation(m, token), m.snapshot

    return case


OPERATIONS: dict[str, Callable[[Map[Any, Any], Any], Any]] = {
    "insert": lambda m, t: m.__setitem__("new", t),
    "replace": lambda m, t: m.__setitem__("b", t),
    "remove": lambda m, t: m.pop("a"),
    "setdefault": lambda m, t: m.setdefault("new", t),
    "popitem": lambda m, t: m.popitem(),
    "write": lambda m, t: m.at("new").write(t),
    "take": lambda m, t: m.at("a").remove(),
    "move": lambda m, t: (m.at("a").remove >> m.at("c").write)(),
    "ask": lambda m, t: attempt(m.at("none").read)(),
}


#: Equal, of the same hash, and compared by code that needs memory.
LARGE = 2**61


def on_large_keys(operation: Callable[[Map[Any, Any], Any], Any]) -> Case:
    def case(token: Any) -> Any:
        m: Map[Any, Any] = Map({LARGE: token})
        return lambda: operation(m, token), m.snapshot

    return case


@pytest.mark.parametrize("name", ["insert", "replace", "remove", "look", "write"])
def test_comparing_without_memory(name: str) -> None:
    x = float(LARGE)
    operations: dict[str, Callable[[Map[Any, Any], Any], Any]] = {
        "insert": lambda m, t: m.setdefault(x, 1) is t,
        "replace": lambda m, t: m.__setitem__(x, 1),
        "remove": lambda m, t: m.pop(x) is t,
        "look": lambda m, t: (x in m, m.get(x) is t),
        "write": lambda m, t: m.at(x).write(1),
    }
    check(on_large_keys(operations[name]))


@pytest.mark.parametrize("name", OPERATIONS)
def test_without_memory(name: str) -> None:
    check(on_a_map(OPERATIONS[name]))


def test_what_came_and_went_takes_no_room() -> None:
    done = run_python("""
from lockfree import Map

def resident():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1])

m, sizes = Map(), []
for turn in range(6):
    for i in range(100_000):
        m[turn * 100_000 + i] = None
        if i >= 1000:
            del m[turn * 100_000 + i - 1000]
    for i in range(99_000, 100_000):
        del m[turn * 100_000 + i]
    assert len(m) == 0 and list(m) == []
    sizes.append(resident())
assert sizes[-1] - sizes[1] < 300, sizes  # pages; a node a key would be 4,700
print("ok")
""")
    assert done.stdout.strip() == "ok", done.stderr
