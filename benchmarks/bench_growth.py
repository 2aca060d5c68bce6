"""How a map grows."""

from __future__ import annotations

import growth


class LongestInsert:
    param_names = ("who", "keys")
    params = (list(growth.MAPS), list(growth.KEY_KINDS))
    unit = "us"
    timeout = 300

    def track_longest(self, who: str, keys: str) -> float:
        return min(growth.longest_insert_us(who, keys) for _ in range(3))


class BytesPerEntry:
    param_names = ("who", "keys", "entries")
    params = (list(growth.MAPS), list(growth.KEY_KINDS), [1_000, 100_000, 1_000_000])
    unit = "bytes"

    def track_bytes(self, who: str, keys: str, entries: int) -> float:
        return growth.bytes_per_entry(who, keys, entries)
