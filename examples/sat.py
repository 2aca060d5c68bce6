"""A SAT solver that is all choice: the reaction engine does the backtracking.

Each variable is `const(True) + const(False)`. `together` takes one of each, and a `guard` after it passes only what
makes the formula true. Where the guard blocks, the engine goes back to the last choice that has another branch, as it
does when a queue is empty: up to 2^n assignments. With none left the reaction blocks, and `attempt` says so.

A formula is a list of clauses, each of which must have a true literal; 3 is the third variable, -3 its negation.

    python examples/sat.py --variables 20
"""

from __future__ import annotations

import argparse
import random
import sys

from reagents import Reagent, attempt, const, guard, never, together

Clause = tuple[int, ...]
Model = tuple[bool, ...]


def satisfied(model: Model, clause: Clause) -> bool:
    return any(model[abs(literal) - 1] == (literal > 0) for literal in clause)


def solver(variables: int, formula: list[Clause]) -> Reagent[object, Model | None]:
    """Its result is a model, or None: the formula has none."""
    if not all(formula):
        return attempt(never)  # an empty clause is never true: nothing to try
    choices = [const(True) + const(False) for _ in range(variables)]
    return attempt(together(*choices) >> guard(lambda model: all(satisfied(model, clause) for clause in formula)))


def planted(variables: int, clauses: int, luck: random.Random) -> list[Clause]:
    """Random clauses of three literals that have a model in common."""
    model = [luck.random() < 0.5 for _ in range(variables)]
    model[:4] = [True] * 4  # so that it is found among the first 2^(variables - 4)
    formula = list[Clause]()
    while len(formula) < clauses:
        clause = tuple(luck.choice((v, -v)) for v in luck.sample(range(1, variables + 1), 3))
        if satisfied(tuple(model), clause):
            formula.append(clause)
    return formula


def report(name: str, variables: int, formula: list[Clause], has_model: bool) -> bool:
    model = solver(variables, formula)()
    if model is None:
        print(f"{name}: unsatisfiable")
        return not has_model
    right = all(satisfied(model, clause) for clause in formula)
    print(f"{name}: {' '.join(str(i if true else -i) for i, true in enumerate(model, 1))}")
    print(f"    makes all {len(formula)} clauses true: {right}")
    return has_model and right


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="SAT by choice and backtracking.")
    parser.add_argument("--variables", type=int, default=20)
    parser.add_argument("--clauses", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    if args.variables < 4:
        parser.error("at least 4 variables")

    formula = planted(args.variables, args.clauses, random.Random(args.seed))
    # Every clause over the first three variables: whatever they are, one of the eight is false.
    all_eight: list[Clause] = [(a, 2 * b, 3 * c) for a in (1, -1) for b in (1, -1) for c in (1, -1)]
    right = report("random clauses", args.variables, formula, True)
    right &= report("contradiction", min(args.variables, 10), all_eight, False)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
