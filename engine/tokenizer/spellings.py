"""Token ids by spelling, without an object per token: sorted hashes, and the vocabulary's own bytes to be sure.

The hash of a spelling is 64-bit FNV-1a over its first bytes, started with its length. Equal hashes prove nothing:
what is found is compared byte by byte. Tokens that share a hash with another one are in a dictionary besides.

Source: the FNV constants are those of Fowler, Noll and Vo.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.gguf.strings import Strings

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]
Ids = npt.NDArray[np.int32]

UNKNOWN = -1
_BASIS, _PRIME = 0xCBF29CE484222325, np.uint64(0x100000001B3)
_HASHED_BYTES = 32
_AT_ONCE = 1 << 15


class RepeatedTokenError(Exception):
    """Two tokens are spelled alike; its arguments are the second one's id and the first one's."""


class Spellings:
    """Ids of the tokens of a vocabulary by their bytes."""

    def __init__(self, tokens: Strings) -> None:
        """
        Raises:
            RepeatedTokenError: of the tokens that repeat an earlier one, the first.
        """
        self._tokens = tokens
        starts = tokens.offsets[:-1].astype(np.int64)
        hashes = np.empty(len(tokens), np.uint64)
        for part in _parts(len(tokens)):
            hashes[part] = _hash(tokens.raw, starts[part], tokens.offsets[1:][part] - starts[part])
        order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[order]
        self._ids = order.astype(np.int32)
        self._sharing: dict[bytes, int] = {}
        twins = np.flatnonzero(self._hashes[1:] == self._hashes[:-1])
        for token_id in np.union1d(order[twins], order[twins + 1]).tolist():
            first = self._sharing.setdefault(tokens.bytes_of(token_id), token_id)
            if first != token_id:
                raise RepeatedTokenError(token_id, first)

    def ids(self, spellings: Sequence[bytes]) -> list[int]:
        """Ids of some tokens; `UNKNOWN` where there is none."""
        lengths = np.array([len(spelling) for spelling in spellings], np.int64)
        found: list[int] = self.find(
            np.frombuffer(b"".join(spellings), np.uint8), np.cumsum(lengths) - lengths, lengths
        ).tolist()
        return found

    def find(self, raw: Bytes, starts: Places, lengths: Places) -> Ids:
        """Ids of the tokens spelled raw[start : start + length]; `UNKNOWN` where there is none."""
        found = np.empty(starts.size, np.int32)
        for part in _parts(starts.size):
            found[part] = self._find(raw, starts[part], lengths[part])
        return found

    def _find(self, raw: Bytes, starts: Places, lengths: Places) -> Ids:
        hashes = _hash(raw, starts, lengths)
        at = np.minimum(np.searchsorted(self._hashes, hashes), self._hashes.size - 1)
        found = np.where(self._hashes[at] == hashes, self._ids[at], np.int32(UNKNOWN))
        known = np.flatnonzero(found != UNKNOWN)
        same = self._is_spelled(found[known], raw, starts[known], lengths[known])
        for index in known[~same].tolist():
            spelling = raw[starts[index] : starts[index] + lengths[index]].tobytes()
            found[index] = self._sharing.get(spelling, UNKNOWN)
        return found

    def _is_spelled(self, ids: Ids, raw: Bytes, starts: Places, lengths: Places) -> npt.NDArray[np.bool_]:
        offsets = self._tokens.offsets
        own = offsets[ids].astype(np.int64)
        same: npt.NDArray[np.bool_] = offsets[ids + 1] - own == lengths
        compared = np.where(same, lengths, 0)
        for here, at in _columns(compared):
            same[here] &= self._tokens.raw[own[here] + at] == raw[starts[here] + at]
        for index in np.flatnonzero(compared > _HASHED_BYTES).tolist():
            whole = raw[starts[index] : starts[index] + lengths[index]].tobytes()
            same[index] = self._tokens.bytes_of(int(ids[index])) == whole
        return same


def _parts(count: int) -> Iterator[slice]:
    return (slice(start, start + _AT_ONCE) for start in range(0, count, _AT_ONCE))


def _columns(lengths: Any) -> Iterator[tuple[Places, int]]:
    """For each of the first places in a spelling: which spellings are longer than that, and the place."""
    here = np.arange(lengths.size)
    for at in range(_HASHED_BYTES):
        here = here[lengths[here] > at]
        if not here.size:
            return
        yield here, at


def _hash(raw: Bytes, starts: Places, lengths: Any) -> npt.NDArray[np.uint64]:
    hashes: npt.NDArray[np.uint64] = lengths.astype(np.uint64) ^ np.uint64(_BASIS)
    for here, at in _columns(lengths):
        hashes[here] = (hashes[here] ^ raw[starts[here] + at]) * _PRIME
    return hashes
