"""Dining philosophers who cannot starve each other by holding one fork: both are taken at once, or neither.

Every philosopher needs the fork on the left and the fork on the right. With a lock for each fork, all may take the left
one and wait for the right one for ever. Here `left.take * right.take` is one atomic step: whoever cannot have both
has none, and waits, without using the processor, until a fork comes back.

    python examples/dining_philosophers.py --philosophers 3 --meals 10000
"""

from __future__ import annotations

import argparse
import sys
from threading import Thread

from reagents import BLOCK, Reagent, Ref

Fork = Ref[str | None]  # who has it; None: it lies on the table


def take(fork: Fork, who: str) -> Reagent[object, None]:
    return fork.upd(lambda owner, _: (who, None) if owner is None else BLOCK)


def put_back(fork: Fork, who: str) -> Reagent[object, None]:
    return fork.cas(who, None)  # waits for ever if the fork is not ours, which must not be


def dine(name: str, left: Fork, right: Fork, meals: int, eaten: dict[str, int], errors: list[str]) -> None:
    sit_down = take(left, name) * take(right, name)
    get_up = put_back(left, name) * put_back(right, name)
    for _ in range(meals):
        sit_down()
        if (left.get(), right.get()) != (name, name):
            errors.append(f"{name} eats with somebody else's fork")
        eaten[name] += 1
        get_up(timeout=60)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Both forks in one step: nobody deadlocks.")
    parser.add_argument("--philosophers", type=int, default=3)
    parser.add_argument("--meals", type=int, default=1_000, help="for each of them")
    args = parser.parse_args(argv)
    if args.philosophers < 2:
        parser.error("one philosopher would need the same fork twice")

    names = [f"philosopher {i}" for i in range(args.philosophers)]
    forks: list[Fork] = [Ref(None) for _ in names]
    eaten, errors = dict.fromkeys(names, 0), list[str]()
    threads = [
        Thread(target=dine, args=(name, forks[i], forks[(i + 1) % len(forks)], args.meals, eaten, errors))
        for i, name in enumerate(names)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for name in names:
        print(f"{name}: {eaten[name]} meals")
    if any(fork.get() is not None for fork in forks):
        errors.append("a fork was not put back")
    if any(meals != args.meals for meals in eaten.values()):
        errors.append("somebody has not finished")
    print("\n".join(errors) or "all have eaten, and all forks are back")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
