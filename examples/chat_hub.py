"""A chat on asyncio: one hub task selects, by `+`, over the channels of all clients; one of the clients is a thread.

A line goes from its writer to everybody's inbox in one reaction: the swap with the writer and all the puts. So all see
the same lines in the same order, and a writer knows that his line has arrived when the swap returns.

    python examples/chat_hub.py --clients 4 --lines 5
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from lockfree import Queue
from reagents import Endpoint, Reagent, channel, choice, const, together

Inbox = Queue[str | None]  # None: the chat is over


class Client:
    def __init__(self, name: str) -> None:
        pair: tuple[Endpoint[str, None], Endpoint[None, str]] = channel()
        self.name, self.inbox = name, Inbox()
        self.say, self.hears = pair

    async def chat(self, lines: int) -> None:
        for i in range(lines):
            await self.say.swap.arun(f"{self.name}: line {i}")

    def chat_in_thread(self, lines: int) -> None:
        for i in range(lines):
            self.say.swap(f"{self.name}: line {i}")

    async def read(self) -> list[str]:
        seen = list[str]()
        while (line := await self.inbox.get.arun()) is not None:
            seen.append(line)
        return seen


async def hub(clients: list[Client], stop: Queue[None]) -> int:
    """Passes lines on until told to stop; returns how many there were."""
    to_all: Reagent[str | None, object] = together(*(client.inbox.put for client in clients))
    line = choice(*(client.hears.swap for client in clients)) >> to_all >> const(True)
    over = stop.get >> to_all >> const(False)  # the last choice: after all that was said
    passed_on = 0
    while await (line + over).arun():
        passed_on += 1
    return passed_on


async def conversation(clients: list[Client], lines: int) -> tuple[int, list[list[str]]]:
    stop = Queue[None]()
    hubs = asyncio.create_task(hub(clients, stop))
    readers = [asyncio.create_task(client.read()) for client in clients]
    thread = asyncio.to_thread(clients[0].chat_in_thread, lines)
    await asyncio.gather(thread, *(client.chat(lines) for client in clients[1:]))
    stop.put(None)
    return await hubs, await asyncio.gather(*readers)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Everybody sees everything, in one order.")
    parser.add_argument("--clients", type=int, default=3)
    parser.add_argument("--lines", type=int, default=4, help="that each of them writes")
    args = parser.parse_args(argv)

    clients = [Client(f"client {i}") for i in range(args.clients)]
    passed_on, seen = asyncio.run(conversation(clients, args.lines))
    written = {client.name: [f"{client.name}: line {i}" for i in range(args.lines)] for client in clients}
    kept = all([x for x in seen[0] if x.startswith(f"{name}:")] == lines for name, lines in written.items())
    same = all(each == seen[0] for each in seen)
    print(f"{passed_on} lines, all of them in one order: {same}; each writer's in his: {kept}")
    return 0 if same and kept and passed_on == len(seen[0]) == args.clients * args.lines else 1


if __name__ == "__main__":
    sys.exit(main())
