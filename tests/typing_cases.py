"""What the type checker must say of code that uses the library: tests/test_typing.py has mypy read it, and runs it.

`assert_type` is what it must find out; a line that it must refuse carries the error's code, and one that it does not
refuse after all is an error of its own (strict: unused ignores are told).
"""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn, assert_type

from lockfree import AtomicInt, Exchanger, Queue, Stack
from reagents import (
    BLOCK,
    Catalyst,
    Endpoint,
    Reagent,
    Ref,
    Transaction,
    attempt,
    catalyse,
    channel,
    const,
    reagent,
    together,
)


def composing() -> None:
    jobs, done = Stack[str](["a", "bc"]), Queue[int]()
    move = jobs.pop >> len >> done.put
    assert_type(move, Reagent[Any, None])
    assert_type(done.get + jobs.pop, Reagent[Any, int | str])
    assert_type(done.get * jobs.pop, Reagent[Any, tuple[int, str]])
    assert_type(attempt(done.get)(), int | None)
    assert_type(together(done.get, jobs.pop), Reagent[Any, tuple[int, str]])
    assert_type(together(done.get, jobs.pop, done.get), Reagent[Any, tuple[int, str, int]])
    assert_type(together(*[done.get] * 9), Reagent[Any, tuple[int, ...]])


def composing_wrongly(jobs: Stack[str]) -> None:
    jobs.push(1)  # type: ignore[arg-type]
    jobs.pop >> 3  # type: ignore[operator]


def swapping() -> None:
    pair: tuple[Endpoint[int, str], Endpoint[str, int]] = channel()
    left, right = pair
    assert_type(left.swap, Reagent[int, str])
    assert_type(right.swap, Reagent[str, int])
    both = (const(1) >> left.swap) * (const("b") >> right.swap)
    assert_type(both(), tuple[str, int])
    const("a") >> left.swap  # type: ignore[operator]
    untyped, _ = channel()
    assert_type(untyped, Endpoint[Any, Any])

    meet = Exchanger[bytes]()
    assert_type(meet.exchange, Reagent[bytes, bytes])
    assert_type(((const(b"x") >> meet.exchange) * (const(b"y") >> meet.exchange))(), tuple[bytes, bytes])


def catalysing() -> None:
    pair: tuple[Endpoint[int, None], Endpoint[None, int]] = channel()
    left, right = pair
    total = Ref(0)
    with catalyse(right.swap >> total.upd(lambda n, x: (n + x, None))) as counting:
        assert_type(counting, Catalyst)
        assert_type(left.swap(3), None)
        assert_type(counting.active, bool)
    assert total.get() == 3
    other, _end = channel()
    catalyse(other.swap, 1).cancel()
    catalyse(left.swap, 1).cancel()


def catalysing_wrongly(left: Endpoint[int, None]) -> None:
    catalyse(left.swap, "x")  # type: ignore[misc]
    catalyse(left.swap)  # type: ignore[arg-type]


def in_direct_style() -> None:
    name, hits = Ref("a"), AtomicInt(0)

    @reagent
    def rename(tx: Transaction, new: str) -> tuple[str, int]:
        old = tx.read(name)
        assert_type(old, str)
        assert_type(tx.read(hits), int)
        assert_type(tx(hits.upd(lambda n, x: (n + 1, float(n)))), float)
        assert_type(tx(const(1) >> str), str)
        tx.write(name, new)
        tx.write(hits, 7)
        return old, tx.read(hits)

    assert_type(rename, Reagent[str, tuple[str, int]])
    assert rename("b") == ("a", 7)

    @reagent
    def maybe(tx: Transaction, least: int) -> Any:
        return tx.read(hits) if tx.read(hits) >= least else BLOCK

    assert maybe(7) == 7


def direct_style_done_wrongly(tx: Transaction, name: Ref[str]) -> NoReturn:
    tx.write(name, 1)  # type: ignore[misc]
    tx.read("name")  # type: ignore[arg-type]
    tx(len, "x")  # type: ignore[call-overload]
    tx.block()


async def awaiting() -> None:
    jobs = Queue[str]()
    jobs.put("sweep")
    assert_type(await jobs.get.arun(), str)
    assert_type(await (const(2) >> Ref(1).swap).arun(), int)
    assert_type(await jobs.put.arun("dust"), None)


def main() -> None:
    composing()
    swapping()
    catalysing()
    in_direct_style()
    asyncio.run(awaiting())


if __name__ == "__main__":
    main()
