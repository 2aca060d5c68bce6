"""Checks the histories that porcupine publishes, and compares verdicts.

    python tests/checker_yardstick.py DIRECTORY

DIRECTORY is a clone of github.com/anishathalye/porcupine. Its 102 logs of a register (etcd under Jepsen) come with
verdicts, in its tests; of its logs of a key-value store the names say which are right.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from time import process_time
from typing import Any

from reagents.testing import Operation, Spec, check, read_only


class Register(Spec):
    initial = None

    @read_only
    def read(self, state: Any) -> tuple[Any, Any]:
        return state, state

    def write(self, state: Any, value: int) -> tuple[Any, Any]:
        return value, None

    def cas(self, state: Any, old: int, new: int) -> tuple[Any, Any]:
        return (new, True) if state == old else (state, False)


class KeyValue(Spec):
    initial = ""

    def partition(self, op: Operation) -> Any:
        return op.args[0]

    @read_only
    def get(self, state: str, key: str) -> tuple[str, Any]:
        return state, state

    def put(self, state: str, key: str, value: str) -> tuple[str, Any]:
        return value, None

    def append(self, state: str, key: str, value: str) -> tuple[str, Any]:
        return state + value, None


class Log:
    """Puts calls and returns together."""

    def __init__(self) -> None:
        self.history: list[Operation] = []
        self._open: dict[str, tuple[str, tuple[Any, ...], int]] = {}

    def call(self, client: str, name: str, args: tuple[Any, ...], time: int) -> None:
        self._open[client] = name, args, time

    def ret(self, client: str, result: Any, time: int) -> None:
        name, args, call = self._open.pop(client)
        self.history.append(Operation(client, name, args, result, call, time))

    def drop(self, client: str) -> None:
        del self._open[client]

    def finished(self) -> list[Operation]:
        """What is still open never returned."""
        for client, (name, args, call) in self._open.items():
            self.history.append(Operation(client, name, args, None, call, None))
        return self.history


def register_log(text: str) -> list[Operation]:
    log = Log()
    for time, line in enumerate(text.splitlines()):
        match = re.match(r"INFO\s+jepsen\.util\s+-\s+(\d+)\s+:(invoke|ok|fail)\s+:(read|write|cas)\s+(.*)$", line)
        if match is None:
            continue
        client, event, name, value = match.groups()
        if event == "invoke":
            log.call(client, name, () if name == "read" else tuple(map(int, re.findall(r"\d+", value))), time)
        elif name == "read" and event == "fail":
            log.drop(client)  # timed out: it has no effect, and no result
        else:
            results = {"read": None if value == "nil" else value, "write": None, "cas": event == "ok"}
            result = results[name]
            log.ret(client, int(result) if isinstance(result, str) else result, time)
    return log.finished()


def key_value_log(text: str) -> list[Operation]:
    log = Log()
    for time, line in enumerate(text.splitlines()):
        match = re.match(r'\{:process (\d+), :type :(\w+), :f :(\w+), :key "(.*)", :value (?:nil|"(.*)")\}', line)
        if match is None:
            raise ValueError(f"line {time + 1} is no event: {line!r}")
        client, event, name, key, value = match.groups()
        if event == "invoke":
            log.call(client, name, (key,) if name == "get" else (key, value), time)
        else:
            log.ret(client, value if name == "get" else None, time)
    return log.finished()


def main(directory: str) -> int:
    home = Path(directory)
    wrong = 0

    def judged(history: list[Operation], spec: type[Spec], right: bool, what: str) -> float:
        nonlocal wrong
        began = process_time()
        verdict = check(history, spec, timeout=600)
        seconds = process_time() - began
        if verdict.ok is not right:
            wrong += 1
            print(f"{what}: {verdict.ok}, and porcupine says {right}")
        return seconds

    published = re.findall(r"checkJepsen\(t, (\d+), (true|false)\)", (home / "porcupine_test.go").read_text())
    if not published:
        print(f"no verdicts in {home / 'porcupine_test.go'}", file=sys.stderr)
        return 2
    times = []
    for number, verdict in published:
        path = home / "test_data" / "jepsen" / f"etcd_{int(number):03}.log"
        times.append(judged(register_log(path.read_text()), Register, verdict == "true", path.name))
    print(f"{len(times)} register logs: {sum(times):.3f} s, the slowest {max(times) * 1000:.1f} ms")
    for path in sorted((home / "test_data" / "kv").glob("*.txt")):
        history = key_value_log(path.read_text())
        seconds = judged(history, KeyValue, path.stem.endswith("-ok"), path.name)
        clients = len({op.client for op in history})
        print(f"{path.name}: {len(history)} operations by {clients} clients: {seconds:.4f} s")
    print(f"{wrong} wrong verdicts")
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(sys.argv[1]))
