"""What an element costs, and what ten million of them leave behind."""

from __future__ import annotations

import memory


class BytesPerElement:
    param_names = ("who",)
    params = (list(memory.STRUCTURES),)
    unit = "bytes"

    def track_bytes(self, who: str) -> float:
        return memory.bytes_per_element(who)


class GrowthAfterTenMillion:
    param_names = ("who", "threads")
    params = (list(memory.STRUCTURES), [1, 2])
    unit = "KiB"
    timeout = 300

    def track_growth(self, who: str, threads: int) -> float:
        return memory.growth_kib(who, threads)
