"""One pass over a store: what is there, what is damaged, what counts.

    records   named by a ledger line that agrees with them, and readable: evidence
    ignored   intact, but no evidence: of another version, from the future, or never committed by a ledger line
    problems  bytes, lines or files that are not what a run of pv leaves behind
    aborted   runs with an intent and no end

A record counts from the moment its ledger line is durable; a run that dies between the two leaves a record that
nothing names, which proves nothing and harms nothing. A PASS counts only if its run ended as well: an interrupted run
may refute, and it never proves.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from pv.errors import EvidenceError
from pv.evidence.ledger import Ledger, Line
from pv.evidence.store import OtherVersion, Store
from pv.schema.store import Aborted, BlockLine, Ignored, Problem, Stored, WrittenBlock
from pv.schema.verdict import Result

CLOCK_SLACK: Final = timedelta(minutes=5)


@dataclass(slots=True)
class Scan:
    files: int = 0
    """Files in `records/`."""
    records: dict[str, Stored] = field(default_factory=dict)
    """By digest."""
    unproven: dict[str, Stored] = field(default_factory=dict)
    """Committed, and a PASS of a run that was interrupted: ignored, but it has to be intact all the same."""
    ledgers: dict[str, list[Line]] = field(default_factory=dict)
    """By host."""
    ignored: list[Ignored] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    aborted: list[Aborted] = field(default_factory=list)
    blocks: list[WrittenBlock] = field(default_factory=list)
    """Discharge blocks that runs wrote, in the order of hosts and lines."""
    torn: list[str] = field(default_factory=list)
    """Ledgers that end in half a line, left by an interrupted append; the next run cuts it off."""


def scan(folder: Path, *, now: datetime | None = None) -> Scan:
    """Read a whole store once.

    Args:
        now: evidence from later than this, by more than five minutes, is ignored.
    Raises:
        EvidenceError: a ledger cannot be read.
    """
    found = Scan()
    store = Store(folder)
    # Ledgers first: what a line names was there before the line, whoever is writing meanwhile.
    found.ledgers = {host: list(Ledger(folder, host).lines()) for host in store.hosts()}
    others = _read_records(store, found)
    named: set[str] = set()
    for host, lines in found.ledgers.items():
        for problem in _Runs(host, found, others, named).read(lines):
            found.problems.append(problem)
    latest = (now or datetime.now(UTC)) + CLOCK_SLACK
    interrupted = {item.run for item in found.aborted}
    for digest, stored in list(found.records.items()):
        ignored = None
        if digest not in named:
            ignored = _uncommitted(stored, interrupted)
        elif why := _untimely(stored, latest):
            ignored = Ignored(digest, why)
        elif _is_pass(stored) and stored.statement.predicate.run in interrupted:
            ignored = _uncommitted(stored, interrupted)
            found.unproven[digest] = stored
        if ignored is not None:
            found.ignored.append(ignored)
            del found.records[digest]
    return found


def _read_records(store: Store, found: Scan) -> set[str]:
    """Fill in the records; returns the digests of those of other versions."""
    others: set[str] = set()
    if not store.records.is_dir():
        return others
    for name in sorted(os.listdir(store.records)):  # noqa: PTH208 - names, since paths take as long as reading the files
        if name.startswith(".") and name.endswith(".tmp"):
            continue  # what a killed process left: never renamed, so never evidence
        found.files += 1
        where = f"records/{name}"
        stem, _, suffix = name.rpartition(".")
        if not stem or suffix != "json":
            found.problems.append(Problem(where, "is not a record; remove it"))
            continue
        digest = f"sha256:{stem}"
        try:
            found.records[digest] = store.parse(store.records / name)
        except OtherVersion as err:
            others.add(digest)
            found.ignored.append(Ignored(digest, str(err).partition(": ")[2], is_harmless=True))
        except EvidenceError as err:
            found.problems.append(Problem(where, str(err).partition(": ")[2]))
    return others


def _uncommitted(stored: Stored, interrupted: set[str]) -> Ignored:
    run = stored.statement.predicate.run
    if run in interrupted:
        return Ignored(stored.digest, f"run {run} was interrupted before it ended", is_harmless=True)
    return Ignored(stored.digest, "no ledger line names this record; it was not written by a run")


def _is_pass(stored: Stored) -> bool:
    return stored.statement.predicate.result is Result.PASS


def _untimely(stored: Stored, latest: datetime) -> str:
    started = stored.statement.predicate.started
    try:
        when = datetime.fromisoformat(started)
    except ValueError:
        return f"started is {started!r}; expected a time in RFC 3339"
    if when.tzinfo is None:
        return f"started is {started!r}, without a time zone"
    return f"started at {started}, which is in the future" if when > latest else ""


class _Runs:
    """The story that one ledger tells: intent, results, end, blocks."""

    def __init__(self, host: str, found: Scan, others: set[str], named: set[str]) -> None:
        self._host = host
        self._found = found
        self._others = others
        self._named = named
        self._open: dict[str, tuple[Line, set[tuple[str, str]]]] = {}
        """Run -> its intent, and what it planned and has not said yet."""
        self._ended: set[str] = set()

    def read(self, lines: list[Line]) -> Iterator[Problem]:
        for line in lines:
            where = f"ledger/{self._host}.jsonl:{line.number}"
            if line.is_torn:
                self._found.torn.append(where)
                continue
            if line.problem:
                yield Problem(where, line.problem)
            if line.entry:
                for what in self._entry(line):
                    yield Problem(where, what)
        for run, (line, _) in self._open.items():
            planned = tuple((item[0], item[1]) for item in line.entry["planned"])
            self._found.aborted.append(Aborted(run, self._host, line.number, line.entry["time"], planned))

    def _entry(self, line: Line) -> Iterator[str]:
        entry = line.entry
        run = str(entry["run"])
        match entry["event"]:
            case "intent":
                planned = entry["planned"]
                if not _is_plan(planned):
                    yield "its plan is not a list of falsifiers and targets"
                elif run in self._open:
                    yield f"run {run} has an intent already"
                else:
                    self._open[run] = (line, {(item[0], item[1]) for item in planned})
            case "result":
                key = (str(entry["falsifier"]), str(entry["target"]))
                if run not in self._open:
                    yield f"run {run} has no intent before this result, or has ended"
                elif key not in self._open[run][1]:
                    yield f"run {run} did not plan {key[0]} on {key[1]}, or has said its result already"
                else:
                    self._open[run][1].remove(key)
                yield from self._result(entry)
            case "block":
                if run in self._open or run not in self._ended:
                    yield f"run {run} has not ended before this block"
                try:
                    said = BlockLine(contract=entry["contract"], block=entry["block"])
                    self._found.blocks.append(WrittenBlock(said.contract, said.block, run, self._host, entry["time"]))
                except ValidationError:
                    yield "does not name a contract and the digest of its block"
            case _:
                intent, left = self._open.pop(run, (None, set()))
                self._ended.add(run)
                if intent is None:
                    yield f"run {run} has no intent before this end"
                elif left or entry["results"] != len(intent.entry["planned"]):
                    yield f"run {run} planned {len(intent.entry['planned'])} results and ends without {len(left)}"

    def _result(self, entry: Mapping[str, Any]) -> Iterator[str]:
        digest = str(entry["evidence"])
        if digest in self._named:
            yield f"names record {digest} a second time"
        self._named.add(digest)
        if digest in self._others:
            return
        stored = self._found.records.get(digest)
        if stored is None:
            yield f"names record {digest}, which is missing or unreadable; restore it from git"
            return
        predicate = stored.statement.predicate
        for key, value in (
            ("run", predicate.run),
            ("falsifier", predicate.falsifier),
            ("target", predicate.target),
            ("result", predicate.result.value),
        ):
            if entry[key] != value:
                yield f"says {key} is {entry[key]!r}; its record says {value!r}"
        if predicate.environment.host != self._host:
            yield f"its record was made on {predicate.environment.host!r}"


def _is_plan(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, list) and len(item) == 2 and all(isinstance(part, str) for part in item) for item in value
    )
