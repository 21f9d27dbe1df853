"""Arrays of strings as they lie in the file: bytes and offsets, decoded when asked for.

A vocabulary of 150,000 tokens and as many merges takes 4 MB this way, and 30 MB as a list of `str`.

    string   u64 length, bytes        the array is strings one after the other; each starts where the last one ends

Where strings start is found without a step per string: a length below 256 is a byte that seven zero bytes follow. Such
places are looked for all at once; each that begins where the string before it ends is a start. Other strings, the long
ones and those beside zero bytes of a text, are stepped over one by one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt

from engine.gguf.cursor import Cursor
from engine.gguf.display import quote

STRING_CAP_BYTES = 64 * 1024 * 1024
_WINDOW_BYTES = 1 << 18
_AT_ONCE = 1 << 14
_BY_HAND = 16
_LENGTH = struct.Struct("<Q")

Places = npt.NDArray[np.int64]


class Strings(Sequence[str]):
    """A read-only array of strings.

    Attributes:
        raw: bytes of all strings, one after the other, uint8.
        offsets: (len + 1,) uint32; string i is raw[offsets[i] : offsets[i + 1]].
    """

    def __init__(self, raw: npt.NDArray[np.uint8], offsets: npt.NDArray[np.uint32], errors: str = "strict") -> None:
        """
        Args:
            errors: what decoding does with bytes that are not UTF-8, as in `bytes.decode`.
        """
        self.raw, self.offsets, self._errors = raw, offsets, errors

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def bytes_of(self, index: int) -> bytes:
        """Bytes of one string; its index is not checked and not negative."""
        return self.raw[self.offsets[index] : self.offsets[index + 1]].tobytes()

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        found = range(len(self))[index]
        if isinstance(found, range):
            return [self.bytes_of(one).decode("utf-8", self._errors) for one in found]
        return self.bytes_of(found).decode("utf-8", self._errors)

    def __iter__(self) -> Iterator[str]:
        return (raw.decode("utf-8", self._errors) for raw in self.each())

    def each(self) -> Iterator[bytes]:
        """The bytes of one string after the other."""
        return (self.bytes_of(index) for index in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Strings):
            return np.array_equal(self.offsets, other.offsets) and np.array_equal(self.raw, other.raw)
        return isinstance(other, list) and list(self) == other

    __hash__ = None  # type: ignore[assignment] # as a list

    def __repr__(self) -> str:
        return repr(list(self))

    def not_utf8(self) -> int | None:
        """Index of the first string that is not valid UTF-8."""
        for start in range(0, len(self), _AT_ONCE):
            ends = self.offsets[start : start + _AT_ONCE + 1]
            here = self.raw[ends[0] : ends[-1]]
            first = here[(ends[:-1] - ends[0])[ends[1:] > ends[:-1]]]
            # all are valid if they are together and none begins inside a character
            if _wrong_at(here.tobytes()) is not None or (first & 0xC0 == 0x80).any():
                return next(i for i in range(start, start + len(ends) - 1) if _wrong_at(self.bytes_of(i)) is not None)
        return None


def _wrong_at(raw: bytes) -> int | None:
    """Place of the first byte that is not UTF-8."""
    try:
        raw.decode()
    except UnicodeDecodeError as err:
        return err.start
    return None


def read_strings(cursor: Cursor, key: str, count: int, *, as_text: bool, token_bytes: int | None = None) -> Strings:
    """The elements of a string array at the cursor.

    Args:
        as_text: refuse what is not UTF-8; otherwise undecodable bytes become lone surrogates (PEP 383).
        token_bytes: a string is a token or two of them, and a token has at most so many bytes.

    Raises:
        GgufError: A07, M11, S01, S03, S04.
    """
    parts: list[npt.NDArray[np.uint8]] = []
    sizes: list[Places] = []
    begin, left = cursor.position, count
    while left:
        starts = _starts(cursor, left)
        if not starts.size:
            starts = _step(cursor, key, count - left, token_bytes)
        parts.append(_without_lengths(np.frombuffer(cursor.buffer, np.uint8), starts, cursor.position))
        sizes.append(np.diff(starts, append=cursor.position) - 8)
        left -= starts.size
    offsets = np.zeros(count + 1, np.uint32)
    if count:
        np.cumsum(np.concatenate(sizes), out=offsets[1:], dtype=np.uint32)
    raw = np.concatenate(parts) if parts else np.empty(0, np.uint8)
    strings = Strings(raw, offsets, "strict" if as_text else "surrogateescape")
    if as_text and (bad := strings.not_utf8()) is not None:
        wrong = strings.bytes_of(bad)
        at = _wrong_at(wrong) or 0
        where = begin + 8 * (bad + 1) + int(strings.offsets[bad]) + at
        problem = f"string {bad} of array {quote(key)} is not valid UTF-8; byte 0x{wrong[at]:02x}"
        raise cursor.error("S04", where, problem)
    return strings


def _starts(cursor: Cursor, most: int) -> Places:
    """Starts of the strings at the cursor of which the buffer has all, some 256 KiB; moves behind the last."""
    begin, stop = cursor.position, min(len(cursor.buffer), cursor.position + _WINDOW_BYTES)
    places, ends = _likely(np.frombuffer(cursor.buffer, np.uint8)[begin:stop], begin)
    breaks = np.append(np.flatnonzero(places[1:] != ends[:-1]) + 1, places.size)
    found: list[Places] = []
    position, left = begin, most
    while left:
        at = int(np.searchsorted(places, position))
        if at < places.size and places[at] == position:
            last = min(int(breaks[np.searchsorted(breaks, at, "right")]), at + left)
            found.append(places[at:last])
            position = int(ends[last - 1])
        else:
            by_hand, position = _step_in(cursor.buffer, position, stop, min(left, _BY_HAND))
            if not by_hand:
                break
            found.append(np.array(by_hand))
        left -= found[-1].size
    cursor.position = position
    return np.concatenate(found) if found else np.empty(0, np.int64)


def _likely(window: npt.NDArray[np.uint8], begin: int) -> tuple[Places, Places]:
    """Places in a window of the file that look like a length below 256, and where their strings would end in it."""
    zero = window == 0
    two = zero[:-1] & zero[1:]
    four = two[:-2] & two[2:]
    places = np.flatnonzero(four[1:-3] & four[4:])  # zeros at 1..4 and at 4..7
    ends = places + 8 + window[places]
    inside = ends <= window.size
    return places[inside] + begin, ends[inside] + begin


def _step_in(buffer: bytes, position: int, stop: int, most: int) -> tuple[list[int], int]:
    """Starts of at most so many strings that end before `stop`, one after the other, and where the last one ends."""
    starts: list[int] = []
    while len(starts) < most and position + 8 <= stop:
        end = position + 8 + _LENGTH.unpack_from(buffer, position)[0]
        if end > stop:
            break
        starts.append(position)
        position = end
    return starts, position


def _step(cursor: Cursor, key: str, index: int, token_bytes: int | None) -> Places:
    """Start of the one string at the cursor, whatever it holds; moves behind it."""
    start = cursor.position
    what = f"string {index} of array {quote(key)}"
    length = cursor.u64("A07", f"the length of {what}")
    if token_bytes is not None and 2 * token_bytes < length <= cursor.remaining:
        raise cursor.error("M11", start, f"length of {what} is {length}; a token has at most {token_bytes} bytes")
    check_length(cursor, start, length, what, "A07")
    cursor.need(length, "A07", what)
    cursor.position += length
    return np.array([start])


def check_length(cursor: Cursor, offset: int, length: int, what: str, too_long: str) -> None:
    """Refuse a length that the file or this reader has no room for.

    Raises:
        GgufError: `too_long`, or S03 where the file may be cut short; S01.
    """
    if length > cursor.remaining:
        # A length beyond the whole file is a lie; one within it is more likely a truncated file.
        code, advice = (too_long, "") if length > cursor.size_bytes else ("S03", "is the download complete?")
        raise cursor.error(
            code, offset, f"length of {what} is {length}; the file has {cursor.remaining} bytes left", advice
        )
    if length > STRING_CAP_BYTES:
        raise cursor.error(
            "S01", offset, f"length of {what} is {length}; this reader takes {STRING_CAP_BYTES}", inconclusive=True
        )


def _without_lengths(buffer: npt.NDArray[np.uint8], starts: Places, end: int) -> npt.NDArray[np.uint8]:
    """Bytes of the strings that start there, the last of which ends at `end`."""
    keep = np.ones(end - int(starts[0]), np.bool_)
    keep[((starts - starts[0])[:, None] + np.arange(8)).ravel()] = False
    return buffer[starts[0] : end][keep]
