"""How long it takes to hand something over to one who waits for it, and to get something back: a round trip.

Two parties, each of whom blocks until the other one has answered. Each function does so many round trips and returns
the nanoseconds of one. Methods are bound once; all peers are driven by the same code.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lockfree import Queue
from reagents import channel


def between_threads(here: Callable[[int], None], there: Callable[[int], None], rounds: int) -> float:
    """Nanoseconds a round of `here`, while another thread does `there`."""
    barrier = threading.Barrier(2)

    def other() -> None:
        barrier.wait()
        there(rounds)

    thread = threading.Thread(target=other)
    thread.start()
    barrier.wait()
    start = time.perf_counter_ns()
    here(rounds)
    taken = time.perf_counter_ns() - start
    thread.join()
    return taken / rounds


def ping_pong(make: Callable[[], Any], rounds: int) -> float:
    there, back = make(), make()

    def ping(rounds: int, put: Any = there.put, get: Any = back.get) -> None:
        for n in range(rounds):
            put(n)
            get()

    def pong(rounds: int, put: Any = back.put, get: Any = there.get) -> None:
        for n in range(rounds):
            get()
            put(n)

    return between_threads(ping, pong, rounds)


def swaps(rounds: int) -> float:
    left, right = channel()

    def swap(endpoint: Any) -> Callable[[int], None]:
        exchange = endpoint.swap

        def run(rounds: int) -> None:
            for n in range(rounds):
                exchange(n)

        return run

    return between_threads(swap(left), swap(right), rounds)


def two_queues(rounds: int) -> float:
    """The same exchange: each puts what it has, then takes what the other one has put."""
    there: queue.Queue[int] = queue.Queue()
    back: queue.Queue[int] = queue.Queue()

    def exchange(put: Any, get: Any) -> Callable[[int], None]:
        def run(rounds: int) -> None:
            for n in range(rounds):
                put(n)
                get()

        return run

    return between_threads(exchange(there.put, back.get), exchange(back.put, there.get), rounds)


def same_loop(make: Callable[[], Any], put_name: str, get_of: Callable[[Any], Any], rounds: int) -> float:
    async def main() -> float:
        there, back = make(), make()
        take, give, take_back, give_back = (
            get_of(there),
            getattr(there, put_name),
            get_of(back),
            getattr(back, put_name),
        )

        async def pong() -> None:
            for n in range(rounds):
                await take()
                give_back(n)

        task = asyncio.ensure_future(pong())
        await asyncio.sleep(0)
        start = time.perf_counter_ns()
        for n in range(rounds):
            give(n)
            await take_back()
        taken = time.perf_counter_ns() - start
        await task
        return taken / rounds

    return asyncio.run(main())


def loop_and_thread(
    make: Callable[[], Any], give_of: Callable[[Any], Any], get_of: Callable[[Any], Any], rounds: int
) -> float:
    """A thread puts, a coroutine answers; the answer goes through a SimpleQueue in either case."""
    back: queue.SimpleQueue[int] = queue.SimpleQueue()
    taken = 0.0

    async def main() -> None:
        nonlocal taken
        there = make()
        take, give = get_of(there), give_of(there)

        def ping() -> float:
            start = time.perf_counter_ns()
            for n in range(rounds):
                give(n)
                back.get()
            return (time.perf_counter_ns() - start) / rounds

        thread = asyncio.ensure_future(asyncio.to_thread(ping))
        for n in range(rounds):
            await take()
            back.put(n)
        taken = await thread

    asyncio.run(main())
    return taken


def threadsafe_put(q: asyncio.Queue[int]) -> Callable[[int], None]:
    call, put = asyncio.get_running_loop().call_soon_threadsafe, q.put_nowait
    return lambda n: call(put, n)


@dataclass(frozen=True)
class HandOver:
    title: str
    rounds: int
    #: Ours first: name -> nanoseconds of a round trip, given how many to do.
    parties: dict[str, Callable[[int], float]]
    #: The peer's time over ours must be at least so much.
    at_least: float


HAND_OVERS = {
    "threads": HandOver(
        "put and blocked get, there and back between two threads",
        5_000,
        {
            "lockfree.Queue": lambda n: ping_pong(Queue, n),
            "queue.SimpleQueue": lambda n: ping_pong(queue.SimpleQueue, n),
        },
        1.0,
    ),
    "swap": HandOver(
        "swap between two threads",
        5_000,
        {"channel().swap": swaps, "2 queue.Queue": two_queues},
        5.0,
    ),
    "same-loop": HandOver(
        "put and awaited get, there and back between two coroutines",
        5_000,
        {
            "lockfree.Queue": lambda n: same_loop(Queue, "put", lambda q: q.get.arun, n),
            "asyncio.Queue": lambda n: same_loop(asyncio.Queue, "put_nowait", lambda q: q.get, n),
        },
        1.0,
    ),
    "loop-thread": HandOver(
        "put by a thread to a coroutine, and its answer",
        3_000,
        {
            "lockfree.Queue": lambda n: loop_and_thread(Queue, lambda q: q.put, lambda q: q.get.arun, n),
            "asyncio.Queue, call_soon_threadsafe": lambda n: loop_and_thread(
                asyncio.Queue, threadsafe_put, lambda q: q.get, n
            ),
        },
        1.0,
    ),
}
