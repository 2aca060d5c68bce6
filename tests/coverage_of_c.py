"""Adds up what gcov says (--json-format, a report a line, on standard input) and prints it by file.

    python tests/coverage_of_c.py DIRECTORY

DIRECTORY is where csrc is. A line is executed if it was in any of the programs that contain it.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path


def ranges(lines: list[int], known: list[int]) -> str:
    """Lines without the gaps that have no code: 7, 8, 11 is 7-11 if nothing is compiled to 9 and 10."""
    found: list[tuple[int, int]] = []
    place = {line: at for at, line in enumerate(known)}
    for line in lines:
        if found and place[line] == place[found[-1][1]] + 1:
            found[-1] = found[-1][0], line
        else:
            found.append((line, line))
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in found)


def main(directory: str) -> int:
    home = Path(directory).resolve()
    counts: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for report in sys.stdin:
        data = json.loads(report)
        for file in data["files"]:
            path = (Path(data["current_working_directory"]) / file["file"]).resolve()
            if path.is_relative_to(home / "csrc"):
                for line in file["lines"]:
                    counts[str(path.relative_to(home))][line["line_number"]] += line["count"]
    if not counts:
        print("no reports", file=sys.stderr)
        return 1
    total = executed = 0
    for name in sorted(counts):
        known = sorted(counts[name])
        missing = [line for line in known if not counts[name][line]]
        total += len(known)
        executed += len(known) - len(missing)
        print(f"{name:32} {len(known):5} {100 * (1 - len(missing) / len(known)):6.1f} %   {ranges(missing, known)}")
    print(f"{'all':32} {total:5} {100 * executed / total:6.1f} %")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(sys.argv[1]))
