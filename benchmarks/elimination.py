"""What elimination (csrc/core/elimination.h) gains or costs on this machine.

    python benchmarks/elimination.py [--seconds s] [--reps n] [--threads 1,2,4,8]

Builds the extension of this tree twice, with it and without (RG_NO_ELIMINATION), and measures both in turn
(A B A B), each figure in a process of its own. Prints millions of operations a second: medians, the least and the
greatest in brackets; the ratio, with over without, is taken within each turn. Two copies without are compared likewise:
what the ratio of those is beside 1 is noise. One thread is kept to one processor. Without the GIL only: with it nobody
ever loses a race.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
FACE = ("segment", "slots", "mapping", "array", "shared_word")
GROUPS = ("stack", "stack-bursts")
BUILDS = {"with": [], "without": ["-DRG_NO_ELIMINATION"], "without, again": ["-DRG_NO_ELIMINATION"]}

ONE = """
import sys
sys.path[:0] = sys.argv[1:3]
import harness
from cases import GROUPS
print(harness.rate(GROUPS[sys.argv[3]].cases[0], int(sys.argv[4]), float(sys.argv[5])))
"""


def build(tree: Path, flags: list[str]) -> None:
    for package in ("reagents", "lockfree"):
        (tree / package).mkdir(parents=True)
        for source in (ROOT / package).glob("*.py"):
            (tree / package / source.name).symlink_to(source)
    sources = [*sorted(ROOT.glob("csrc/objects/*.c")), *sorted(ROOT.glob("csrc/core/*.c"))]
    sources += [ROOT / f"csrc/shared/{name}.c" for name in FACE]
    command = [os.environ.get("CC", "cc"), "-shared", "-fPIC", "-std=gnu11", "-O3", "-DNDEBUG", "-fvisibility=hidden"]
    command += ["-fno-strict-aliasing", "-fwrapv", *flags, "-I", sysconfig.get_path("include")]
    target = tree / "reagents" / f"_core{sysconfig.get_config_var('EXT_SUFFIX')}"
    subprocess.run([*command, *map(str, sources), "-o", str(target), "-pthread"], check=True)


def rate(tree: Path, group: str, threads: int, seconds: float) -> float:
    command = [sys.executable, "-c", ONE, str(tree), str(Path(__file__).parent), group, str(threads), str(seconds)]
    if threads == 1 and sys.platform == "linux":
        command = ["taskset", "-c", "0", *command]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1e6


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--reps", type=int, default=11)
    parser.add_argument("--threads", default="1,2,4,8")
    options = parser.parse_args()
    if getattr(sys, "_is_gil_enabled", lambda: True)():
        sys.exit("with the GIL nobody ever loses a race")
    with tempfile.TemporaryDirectory() as work:
        trees = {name: Path(work) / name.replace(", ", "-") for name in BUILDS}
        for name, flags in BUILDS.items():
            build(trees[name], flags)
        print("|", " | ".join(["", "threads", *BUILDS, "ratio", "ratio of the same"]), "|")
        print("|", " | ".join(["---"] * (len(BUILDS) + 4)), "|")
        for group in GROUPS:
            for threads in map(int, options.threads.split(",")):
                taken: dict[str, list[float]] = {name: [] for name in BUILDS}
                for turn in range(options.reps):
                    names = list(BUILDS) if turn % 2 == 0 else list(BUILDS)[::-1]
                    for name in names:
                        taken[name].append(rate(trees[name], group, threads, options.seconds))
                ratios = [a / b for a, b in zip(taken["with"], taken["without"], strict=True)]
                same = [a / b for a, b in zip(taken["without, again"], taken["without"], strict=True)]
                cells = [group, str(threads), *map(spread, taken.values()), spread(ratios), spread(same)]
                print("|", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
