"""Transfers between accounts, beside an auditor who adds up all accounts: the total never changes.

A transfer is one reaction over two accounts: `take` blocks while there is not enough money, `give` adds it, and nobody
ever sees it in neither account, or in both. The auditor reads all accounts in one reaction, so what he adds up was all
there at one instant, while the transfers go on.

    python examples/bank.py --accounts 8 --tellers 4 --transfers 10000
"""

from __future__ import annotations

import argparse
import random
import sys
from threading import Event, Thread

from reagents import BLOCK, Reagent, Ref, attempt, together

Account = Ref[int]


def transfer(source: Account, target: Account) -> Reagent[int, bool]:
    """Moves its input; False, and nothing has happened, where there is not enough."""
    take = source.upd(lambda balance, amount: (balance - amount, amount) if balance >= amount else BLOCK)
    give = target.upd(lambda balance, amount: (balance + amount, True))
    return attempt(take >> give, False)


def teller(accounts: list[Account], transfers: int, seed: int, done: list[int]) -> None:
    luck = random.Random(seed)
    for _ in range(transfers):
        source, target = luck.sample(accounts, 2)
        done[seed] += transfer(source, target)(luck.randint(1, 50))


def audit(accounts: list[Account], total: int, closed: Event, audits: list[bool]) -> None:
    """Again and again until closing time, and once more then."""
    read_all = together(*(account.read for account in accounts))
    while True:
        last = closed.is_set()
        balances = read_all()
        audits.append(sum(balances) == total and min(balances) >= 0)
        if last:
            return


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Transfers, and an audit that is never torn.")
    parser.add_argument("--accounts", type=int, default=5)
    parser.add_argument("--tellers", type=int, default=2)
    parser.add_argument("--transfers", type=int, default=1_000, help="by each teller")
    args = parser.parse_args(argv)
    if args.accounts < 2:
        parser.error("a transfer needs two accounts")

    accounts: list[Account] = [Ref(100) for _ in range(args.accounts)]
    total, closed = 100 * args.accounts, Event()
    audits, done = list[bool](), [0] * args.tellers
    auditor = Thread(target=audit, args=(accounts, total, closed, audits))
    tellers = [Thread(target=teller, args=(accounts, args.transfers, i, done)) for i in range(args.tellers)]
    for thread in [auditor, *tellers]:
        thread.start()
    for thread in tellers:
        thread.join()
    closed.set()
    auditor.join()

    print(f"{sum(done)} of {args.tellers * args.transfers} transfers had the money to happen")
    print(f"{len(audits)} audits beside them, {audits.count(False)} of them wrong")
    print(f"total {sum(account.get() for account in accounts)}, as at the beginning {total}")
    return 0 if all(audits) and sum(account.get() for account in accounts) == total else 1


if __name__ == "__main__":
    sys.exit(main())
