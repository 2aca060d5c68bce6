"""Where the tour writes: headings, lines, and progress that shows that something is going on."""

from __future__ import annotations

import sys
import time
from typing import TextIO

#: Without a terminal a progress line cannot be overwritten; one in so many seconds is enough in a log.
SECONDS_BETWEEN_LINES = 5.0


class Screen:
    """Text to a stream; on a terminal the progress line overwrites itself."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream
        self._terminal = self._stream.isatty()
        self._shown = ""
        self._last = time.monotonic()

    def heading(self, text: str) -> None:
        self.say(f"\n{text}\n{'-' * len(text)}")

    def say(self, text: str = "") -> None:
        """A line that stays."""
        self._clear()
        print(text, file=self._stream, flush=True)

    def progress(self, text: str) -> None:
        """A line that the next one replaces."""
        if self._terminal:
            self._clear()
            self._shown = text
            print(text, end="", file=self._stream, flush=True)
        elif time.monotonic() - self._last >= SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            print(f"  ... {text}", file=self._stream, flush=True)

    def _clear(self) -> None:
        if self._shown:
            print("\r" + " " * len(self._shown) + "\r", end="", file=self._stream)
            self._shown = ""
