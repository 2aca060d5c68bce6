"""Words of a Segment are linearizable, alone and composed, as those of this process are."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from concurrent_programs import check_programs
from segments import segment
from subjects import RefSubject, TwoRefsSubject

_WORDS = 1 << 18  # each run of each program has its own


class SharedWordSubject(RefSubject):
    pass


class TwoSharedWordsSubject(TwoRefsSubject):
    pass


@pytest.fixture
def words() -> Iterator[Any]:
    with segment(_WORDS * 16) as seg:
        words, used = seg.array("words", "int64", _WORDS), count()

        def make(value: int) -> Any:
            word = words.at(next(used))
            word.set(value)
            return word

        yield make


@pytest.mark.parametrize("subject", [SharedWordSubject, TwoSharedWordsSubject])
def test_linearizable(subject: Any, words: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "make", staticmethod(words))
    check_programs(subject)
