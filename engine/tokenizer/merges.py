"""Merging neighbours: the best pair first, of equals the leftmost, until none of the pairs left has a merge.

    table   pair     left id << 32 | right id, ascending
            rank     the lower is merged first
            result   id of the token that the two become

Source: the algorithm of byte pair encoding as in Sennrich et al. 2016, with a queue as in Hugging Face's tokenizers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from heapq import heappop, heappush

import numpy as np
import numpy.typing as npt

Merges = npt.NDArray[np.int32]
"""(M, 3): ids of the left token, the right token and the one that they become; best first."""
NO_MERGES: Merges = np.empty((0, 3), np.int32)
_GONE = -1


class MergeTable:
    """What becomes of two neighbours."""

    def __init__(self, merges: Merges) -> None:
        """A pair that is there twice has the later rank."""
        pairs = merges[:, 0].astype(np.int64) << 32 | merges[:, 1]
        order = np.argsort(pairs, kind="stable")
        ordered = pairs[order]
        last = np.append(ordered[1:] != ordered[:-1], np.ones(min(1, len(ordered)), np.bool_))
        self._pairs = ordered[last].data
        self._ranks = order[last].data
        self._results = merges[order[last], 2].data

    def merge(self, ids: Sequence[int]) -> list[int]:
        """The tokens that a piece of text becomes, given those of its smallest parts."""
        found, count = list(ids), len(ids)
        after, before = list(range(1, count + 1)), list(range(-1, count - 1))
        queue: list[tuple[int, int, int, int]] = []

        def add(at: int) -> None:
            if after[at] < count:
                pair = found[at] << 32 | found[after[at]]
                place = bisect_left(self._pairs, pair)
                if place < len(self._pairs) and self._pairs[place] == pair:
                    heappush(queue, (self._ranks[place], at, pair, self._results[place]))

        for at in range(count):
            add(at)
        while queue:
            _, at, pair, result = heappop(queue)
            right = after[at]
            if right == count or found[at] << 32 | found[right] != pair:
                continue  # one of the two was merged with another one meanwhile
            found[at], found[right] = result, _GONE
            after[at] = after[right]
            if after[at] < count:
                before[after[at]] = at
            add(at)
            if before[at] >= 0:
                add(before[at])
        return [token for token in found if token != _GONE]
