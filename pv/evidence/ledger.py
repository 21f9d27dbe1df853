"""The ledger: one append-only, hash-chained file of JSON lines per host.

    {"event": "intent", ..., "planned": [[falsifier, target], ...]}                     before a run
    {"event": "result", ..., "falsifier", "target", "result", "evidence": "sha256:..."} one for each record
    {"event": "end",    ..., "results": n}                                              after its last result
    {"event": "block",  ..., "contract": id, "block": "sha256:..."}                     before a discharge block

    every line: "index" from 0, "prev" = sha256 of the line before (64 zeros at first), "run", "time",
    "digest" = sha256 of the line without its digest; canonical JSON, so that one content has one spelling
    "cut_bytes": length of half a line that an interrupted append had left, where one was cut off

A run whose intent has no end stays visible: it was aborted, or it is still running.
A block line is written by a run that has ended, before the contract file is; see blocks.py.
`prev` shows what was removed, reordered or spliced, `digest` what was changed, the last line included.
A tail that was cut off shows only against a head that somebody kept elsewhere.
Appending needs the store's lock.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pv.atomic import append_line, cut_tail
from pv.errors import EvidenceError
from pv.evidence.strict import canonical, strict_json

GENESIS: Final = "0" * 64

_COMMON: Final = frozenset({"event", "index", "prev", "run", "time", "digest"})
_FIELDS: Final = {
    "intent": _COMMON | {"planned"},
    "result": _COMMON | {"falsifier", "target", "result", "evidence"},
    "end": _COMMON | {"results"},
    "block": _COMMON | {"contract", "block"},
}
_OPTIONAL: Final = frozenset({"cut_bytes"})
_FIRST_READ_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it was read; `problem` says why its fields cannot be believed."""

    number: int
    """From 1, as editors count."""
    sha256: str
    entry: dict[str, Any]
    problem: str = ""
    is_torn: bool = False
    """Half a line at the end, left by an interrupted append: nothing was ever said to be written there."""


class Ledger:
    def __init__(self, folder: Path, host: str) -> None:
        self.host = host
        self.path = folder / "ledger" / f"{host}.jsonl"

    def append(self, event: str, *, run: str, time: str, **fields: Any) -> None:
        """Add one line; see `extend`."""
        self.extend([(event, fields)], run=run, time=time)

    def extend(self, entries: Iterable[tuple[str, Mapping[str, Any]]], *, run: str, time: str) -> None:
        """Add (event, fields) lines of one run in one write; the caller holds the store's lock.

        Raises:
            EvidenceError: the last line is damaged, or the file cannot be written.
        """
        entries = tuple(entries)
        if not entries:
            return
        last, torn = self._tail()
        index, prev = 0, GENESIS
        if last:
            try:
                index = int(strict_json(last)["index"]) + 1
            except (ValueError, TypeError, KeyError) as err:
                raise EvidenceError(
                    f"ledger/{self.path.name}: its last line is damaged: {err}; see pv evidence verify"
                ) from err
            prev = hashlib.sha256(last).hexdigest()
        cut: dict[str, Any] = {"cut_bytes": len(torn)} if torn else {}
        lines: list[bytes] = []
        for number, (event, fields) in enumerate(entries, index):
            line = {"event": event, "index": number, "prev": prev, "run": run, "time": time, **fields, **cut}
            lines.append(canonical({**line, "digest": _digest(line)}))
            prev, cut = hashlib.sha256(lines[-1]).hexdigest(), {}
        if torn:
            cut_tail(self.path, len(torn))
        append_line(self.path, b"".join(lines))

    def lines(self) -> Iterator[Line]:
        """Every line with its first problem; each is checked against the one before it.

        Raises:
            EvidenceError: the file cannot be read.
        """
        prev = GENESIS
        for index, raw in enumerate(self._raw_lines()):
            sha256 = hashlib.sha256(raw).hexdigest()
            if not raw.endswith(b"\n") and is_torn(raw):
                yield Line(index + 1, sha256, {}, is_torn=True)
                return
            try:
                entry, problem = _parse(raw, index, prev)
            except ValueError as err:
                entry, problem = {}, f"is not a line of a ledger: {err}"
            yield Line(index + 1, sha256, entry, problem)
            prev = sha256

    def verify(self) -> list[str]:
        """Problems of the chain, one for each line that has any."""
        return [f"ledger/{self.path.name}:{line.number}: {line.problem}" for line in self.lines() if line.problem]

    def _raw_lines(self) -> list[bytes]:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as err:
            raise EvidenceError(f"ledger/{self.path.name}: cannot be read: {err.strerror or err}") from err
        *whole, rest = data.split(b"\n")
        return [line + b"\n" for line in whole] + ([rest] if rest else [])

    def _tail(self) -> tuple[bytes, bytes]:
        """The last whole line, and half a line after it that an interrupted append left; each may be empty.

        Raises:
            EvidenceError: what follows the last whole line is no beginning of a line.
        """
        wanted = _FIRST_READ_BYTES
        try:
            with self.path.open("rb") as file:
                end = file.seek(0, os.SEEK_END)
                while True:
                    begin = file.seek(max(0, end - wanted))
                    tail = file.read()
                    if begin == 0 or tail.count(b"\n") > 1:
                        break
                    wanted *= 4
        except FileNotFoundError:
            return b"", b""
        except OSError as err:
            raise EvidenceError(f"ledger/{self.path.name}: cannot be read: {err.strerror or err}") from err
        whole, newline, torn = tail.rpartition(b"\n")
        if torn and not is_torn(torn):
            raise EvidenceError(
                f"ledger/{self.path.name}: its last line has no end and was not left by an interrupted run; "
                "see pv evidence verify"
            )
        return whole.rpartition(b"\n")[2] + newline, torn


def is_torn(data: bytes) -> bool:
    """Whether `data` is the beginning of a line, as a write leaves it when the process is killed in its midst."""
    if not data.startswith(b"{") or any(byte < 0x20 for byte in data):
        return False
    try:
        # The incremental decoder waits for the rest of a character at the very end, and refuses anything else.
        json.loads(codecs.getincrementaldecoder("utf-8")().decode(data))
    except json.JSONDecodeError as err:
        return err.msg != "Extra data"
    except ValueError:
        return False
    return True


def _parse(raw: bytes, index: int, prev: str) -> tuple[dict[str, Any], str]:
    """The line's fields, and its first problem.

    Raises:
        ValueError: it is no strict JSON object.
    """
    if not raw.endswith(b"\n"):
        raise ValueError("it has no end")
    entry = strict_json(raw)
    if not isinstance(entry, dict):
        raise ValueError("it is not an object")
    expected = _FIELDS.get(str(entry.get("event")))
    if expected is None:
        raise ValueError(f"event is {entry.get('event')!r}; expected one of {', '.join(_FIELDS)}")
    if entry.keys() - _OPTIONAL != expected:
        odd = sorted((entry.keys() - _OPTIONAL) ^ expected)
        raise ValueError(f"fields missing or unknown: {', '.join(odd)}")
    if canonical(entry) != raw or _digest({key: entry[key] for key in entry if key != "digest"}) != entry["digest"]:
        return entry, "was changed after it was written"
    if entry["index"] != index:
        return entry, f"index is {entry['index']}; expected {index}"
    if entry["prev"] != prev:
        return entry, "does not follow from the line before it"
    return entry, ""


def _digest(line: dict[str, Any]) -> str:
    return hashlib.sha256(canonical(line)).hexdigest()
