"""Measures all that must be reached, beside its peers in the same run, and prints it as Markdown.

    python benchmarks/table.py [--seconds s] [--reps n] [--only pattern]

Every figure is the median of n repetitions, taken in turn with those of its peers (A B A B), with the least and the
greatest in brackets; a ratio is taken within each turn. Nothing is asserted: the last section says what was missed.
"""

from __future__ import annotations

import argparse
import fnmatch
import shutil
import statistics
import subprocess
import sys
import tempfile
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import growth
import harness
import memory
import targets
from cases import TAILS, Group
from catalogue import GROUPS
from handover import HAND_OVERS

ROOT = Path(__file__).parent.parent
SECTIONS = (*GROUPS, "counter-scaling", *(f"tail-{name}" for name in TAILS))
SECTIONS = (*SECTIONS, *(f"hand-over-{name}" for name in HAND_OVERS), "memory", "growth", "kcas")

Cells = list[str]


def short(value: float) -> str:
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 0.1 else 3
    return f"{value:.{digits}f}"


def spread(values: Sequence[float]) -> str:
    return f"{short(statistics.median(values))} ({short(min(values))}-{short(max(values))})"


def crew(threads: int) -> str:
    return "1 thread" if threads == 1 else f"{threads} threads"


def table(head: Cells, rows: list[Cells]) -> None:
    print("|", " | ".join(head), "|")
    print("|", " | ".join("---" for _ in head), "|")
    for row in rows:
        print("|", " | ".join(row), "|")
    print(flush=True)


class Report:
    def __init__(self, seconds: float, repetitions: int) -> None:
        self.seconds, self.repetitions = seconds, repetitions
        self.checked = 0
        self.missed: list[str] = []
        self.not_measured: list[str] = []
        self.disturbed = 0.0

    def turns(self, measures: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
        rounds, disturbed = harness.interleaved(measures, self.repetitions)
        self.disturbed = max(self.disturbed, disturbed)
        return {name: [results[name] for results in rounds] for name in measures}

    def judge(self, what: str, value: float, bound: float | None, *, at_least: bool) -> str:
        """What to add to the cell of a figure that has a target."""
        if bound is None:
            return ""
        self.checked += 1
        word = "at least" if at_least else "at most"
        if value >= bound if at_least else value <= bound:
            return ""
        self.missed.append(f"{what}: {short(value)}, wanted {word} {short(bound)}")
        return f" **{word} {short(bound)} wanted**"

    def comparable(self, group: Group) -> list[str]:
        names = []
        for case in group.cases:
            try:
                harness.require(case)
                names.append(case.name)
            except harness.NotComparable as reason:
                line = f"{case.name}: {reason}"
                if line not in self.not_measured:
                    self.not_measured.append(line)
        return names

    # ------------------------------------------------------------------------------------- sections

    def rates(self, key: str) -> None:
        group = GROUPS[key]
        names = self.comparable(group)
        rows: dict[str, Cells] = {name: [name] for name in names}
        for threads in targets.ALL:
            progress(f"{key}, {crew(threads)}")
            measures = {name: partial(harness.rate, group.case(name), threads, self.seconds) for name in names}
            for measure in measures.values():
                measure.func(measure.args[0], threads, min(0.05, self.seconds))  # warm-up
            taken = self.turns(measures)
            ours = names[0]
            for name in names:
                cell = spread([value / 1e6 for value in taken[name]])
                if name != ours:
                    ratios = [a / b for a, b in zip(taken[ours], taken[name], strict=True)]
                    bound = targets.rate_target(key, name, threads)
                    what = f"{group.title}, {crew(threads)}, against {name}"
                    cell += f": ×{spread(ratios)}"
                    cell += self.judge(what, statistics.median(ratios), bound, at_least=True)
                rows[name].append(cell)
        heading(group.title, "Million operations a second; × is ours over it.")
        table(["threads", *map(str, targets.ALL)], list(rows.values()))

    def counter_scaling(self) -> None:
        progress("counter-scaling")
        case = GROUPS["counter"].cases[0]
        taken = self.turns({str(n): partial(harness.rate, case, n, self.seconds) for n in (1, 2)})
        gains = [two / one for one, two in zip(taken["1"], taken["2"], strict=True)]
        bound = None if harness.gil_enabled() else targets.COUNTER_SCALING
        verdict = self.judge("Counter.add, two threads over one", statistics.median(gains), bound, at_least=True)
        heading("Counter.add, two threads over one")
        print(f"×{spread(gains)}{verdict}\n", flush=True)

    def tail(self, key: str) -> None:
        group = GROUPS[key]
        names = [name for name in self.comparable(group) if name in TAILS[key]]
        heading(f"{group.title}: how long one operation takes", "Microseconds; × is ours over it, less is better.")
        percents = (50.0, 99.0, *targets.TAIL_PERCENTS)
        rows = []
        seen: dict[tuple[str, int], list[int]] = {}
        for threads in targets.TAIL_THREADS:
            progress(f"tail-{key}, {crew(threads)}")
            measures = {name: partial(harness.latencies, group.case(name), threads, self.seconds) for name in names}
            rounds, disturbed = harness.interleaved(measures, self.repetitions)
            self.disturbed = max(self.disturbed, disturbed)
            for at, step in enumerate(group.cases[0].steps):
                at_percent: dict[tuple[str, float], list[float]] = {}
                for name in names:
                    samples = [list(results[name].values())[at] for results in rounds]
                    for percent in percents:
                        at_percent[name, percent] = [harness.percentile(s, percent) / 1e3 for s in samples]
                    histogram(seen.setdefault((name, threads), [0] * len(BUCKETS)), samples)
                for name in names:
                    row = [f"{step}, {crew(threads)}", name]
                    for percent in percents:
                        ours, its = at_percent[names[0], percent], at_percent[name, percent]
                        cell = spread(its)
                        if name != names[0]:
                            ratios = [a / b for a, b in zip(ours, its, strict=True)]
                            bound = targets.tail_target(name) if percent in targets.TAIL_PERCENTS else None
                            what = f"{group.title}: {step}, {crew(threads)}, {percent} %, against {name}"
                            cell += f": ×{spread(ratios)}"
                            cell += self.judge(what, statistics.median(ratios), bound, at_least=False)
                        row.append(cell)
                    rows.append(row)
        table(["operation", "", *(f"{percent:g} %" for percent in percents)], rows)
        print("Operations in a million that took so long:\n")
        table(
            ["threads", "", *(label for label, _ in BUCKETS)],
            [
                [str(threads), name, *(f"{1e6 * count / max(1, sum(counts)):.0f}" for count in counts)]
                for (name, threads), counts in seen.items()
            ],
        )

    def hand_over(self, key: str) -> None:
        progress(f"hand-over-{key}")
        case = HAND_OVERS[key]
        for measure in case.parties.values():
            measure(case.rounds // 10)  # warm-up
        taken = self.turns({name: partial(measure, case.rounds) for name, measure in case.parties.items()})
        ours, *_ = case.parties
        rows = []
        for name in case.parties:
            cells = [name, spread([value / 1e3 for value in taken[name]]), ""]
            if name != ours:
                ratios = [b / a for a, b in zip(taken[ours], taken[name], strict=True)]
                what = f"{case.title}, against {name}"
                cells[2] = f"×{spread(ratios)}"
                cells[2] += self.judge(what, statistics.median(ratios), case.at_least, at_least=True)
            rows.append(cells)
        heading(case.title, "Microseconds a round trip; × is how many of ours go into it.")
        table(["", "us", "over ours"], rows)

    def memory(self) -> None:
        rows = []
        for name in memory.STRUCTURES:
            progress(f"memory of {name}")
            size = memory.bytes_per_element(name)
            grown = {threads: memory.growth_kib(name, threads) for threads in (1, 2)}
            cells = [f"{size:.1f}", *(f"{grown[threads]:.0f}" for threads in grown)]
            if name.startswith("lockfree."):
                what = f"{name}: bytes an element"
                cells[0] += self.judge(what, size, targets.BYTES_PER_ELEMENT, at_least=False)
                for at, threads in enumerate(grown, 1):
                    what = f"{name}: KiB after 10 million in and out, {crew(threads)}"
                    cells[at] += self.judge(what, grown[threads], targets.GROWTH_KIB, at_least=False)
            rows.append([name, *cells])
        heading("Memory")
        after = "KiB more after 10 million in and out"
        table(["", "bytes an element, beyond the object", f"{after}, 1 thread", f"{after}, 2 threads"], rows)

    def growth(self) -> None:
        ours, peer = growth.MAPS
        rows = []
        for kind in growth.KEY_KINDS:
            progress(f"growth, {kind} keys")
            # The least of the longest: what else the system did meanwhile only adds.
            longest = {
                name: min(growth.longest_insert_us(name, kind) for _ in range(self.repetitions)) for name in growth.MAPS
            }
            ratio = longest[ours] / longest[peer]
            what = f"the longest of a million inserts, {kind} keys, against {peer}"
            verdict = self.judge(what, ratio, targets.LONGEST_INSERT, at_least=False)
            cells = [f"{short(longest[name])} us" for name in growth.MAPS]
            rows.append([f"longest insert, {kind} keys", *cells, f"×{short(ratio)}{verdict}"])
            for n in (1_000, 100_000, 1_000_000):
                sizes = {name: growth.bytes_per_entry(name, kind, n) for name in growth.MAPS}
                ratio = sizes[ours] / sizes[peer]
                what = f"bytes an entry, {n:,} {kind} keys, against {peer}"
                verdict = self.judge(what, ratio, targets.BYTES_PER_ENTRY, at_least=False)
                cells = [f"{sizes[name]:.1f} B" for name in growth.MAPS]
                rows.append([f"an entry, {n:,} {kind} keys", *cells, f"×{short(ratio)}{verdict}"])
        heading("A map that grows to a million keys")
        table(["", *growth.MAPS, "ours over it"], rows)

    def kcas(self) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        sources = sorted(map(str, (ROOT / "csrc" / "core").glob("*.c")))
        if not compiler or not sources:
            self.not_measured.append("k-CAS at the C level: no C compiler")
            return
        progress("kcas")
        with tempfile.TemporaryDirectory() as directory:
            program = str(Path(directory) / "kcas_cost")
            flags = ["-std=gnu11", "-O3", f"-I{ROOT / 'csrc' / 'core'}", "-pthread"]
            source = str(ROOT / "benchmarks" / "kcas_cost.c")
            subprocess.run([compiler, *flags, "-o", program, source, *sources], check=True)
            output = subprocess.check_output([program, str(5 * self.repetitions)], text=True)
        turns = [[float(field) for field in line.split()] for line in output.splitlines()]
        labels = ["one CAS instruction", "CAS of one word", *(f"k-CAS of {k}" for k in (1, 2, 4, 8, 16))]
        rows = []
        for at, label in enumerate(labels):
            ratios = [turn[at] / turn[0] for turn in turns]
            bound = targets.KCAS_OF_TWO if label == "k-CAS of 2" else None
            verdict = self.judge(f"{label} over one CAS instruction", statistics.median(ratios), bound, at_least=False)
            rows.append([label, spread([turn[at] for turn in turns]), spread(ratios) + verdict])
        heading("k-CAS in C, uncontended")
        table(["", "ns", "over one CAS instruction"], rows)

    def run(self, section: str) -> None:
        if section in GROUPS:
            self.rates(section)
        elif section.startswith("hand-over-"):
            self.hand_over(section.removeprefix("hand-over-"))
        elif section.startswith("tail-"):
            self.tail(section.removeprefix("tail-"))
        else:
            others = {"counter-scaling": self.counter_scaling, "memory": self.memory, "growth": self.growth}
            others.get(section, self.kcas)()

    def conclude(self) -> None:
        heading(f"Missed: {len(self.missed)} of {self.checked} targets")
        for line in self.missed or ["none"]:
            print("-", line)
        if self.not_measured:
            heading("Not measured")
            for line in self.not_measured:
                print("-", line)
        print(f"\nOther processes used up to {self.disturbed:.0%} of the machine during a turn that counts.")


BUCKETS = [
    ("< 250 ns", 250),
    ("< 1 us", 1_000),
    ("< 4 us", 4_000),
    ("< 16 us", 16_000),
    ("< 64 us", 64_000),
    ("< 250 us", 250_000),
    ("< 1 ms", 1_000_000),
    ("< 4 ms", 4_000_000),
    ("< 16 ms", 16_000_000),
    ("more", sys.maxsize),
]


def histogram(counts: list[int], samples: list[list[int]]) -> None:
    """Adds sorted samples to the counts of BUCKETS."""
    for ordered in samples:
        below = 0
        for at, (_, limit) in enumerate(BUCKETS):
            upto = bisect_left(ordered, limit)
            counts[at] += upto - below
            below = upto


def heading(title: str, note: str = "") -> None:
    print(f"\n### {title}\n")
    if note:
        print(f"{note}\n")


def progress(what: str) -> None:
    print(f"... {what}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.2, help="of one repetition (default %(default)s)")
    parser.add_argument("--reps", type=int, default=7, help="repetitions (default %(default)s)")
    parser.add_argument("--only", default="*", help=f"of the sections {', '.join(SECTIONS)}; commas between patterns")
    chosen = parser.parse_args()
    patterns = chosen.only.split(",")
    sections = [name for name in SECTIONS if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]
    if not sections or chosen.seconds <= 0 or chosen.reps < 1:
        parser.error("nothing to measure")
    print(f"{harness.interpreter()}; {chosen.reps} turns of {chosen.seconds:g} s")
    report = Report(chosen.seconds, chosen.reps)
    for section in sections:
        report.run(section)
    report.conclude()


if __name__ == "__main__":
    main()
