"""Is the store what pv wrote? Everything that can be checked offline, without running anything.

Found: any changed byte of a record or an attachment, a record that no ledger knows, a ledger line that was changed,
removed, reordered or spliced in, a line that contradicts its record, a digest that does not follow from the parts
it covers, a record from the future, results that contradict each other for the same inputs.
Not found without an anchor: a ledger whose tail was cut off. `heads` lets a caller keep the head elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pv.errors import EvidenceError
from pv.evidence.ledger import Ledger
from pv.evidence.store import Store, Stored, canonical
from pv.schema.verdict import Result

_CLOCK_SLACK = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Problem:
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(slots=True)
class Verification:
    records: int = 0
    attachments: int = 0
    lines: int = 0
    problems: list[Problem] = field(default_factory=list)
    aborted: list[str] = field(default_factory=list)
    """Runs with an intent and no end."""
    heads: dict[str, str] = field(default_factory=dict)
    """Ledger file -> sha256 of its last line."""
    unanchored: list[str] = field(default_factory=list)
    """Ledgers whose head no one vouched for."""


def verify(folder: Path, *, anchors: Mapping[str, str] | None = None, now: datetime | None = None) -> Verification:
    """Check a whole store.

    Args:
        anchors: host tag -> sha256 of a ledger line that must still be there.
        now: evidence from later than this, by more than five minutes, is refused.
    """
    found = Verification()
    store = Store(folder)
    records = _records(store, found)
    _check_attachments(store, records, found)
    named = _check_ledgers(store, records, anchors or {}, found)
    for digest, stored in records.items():
        where = f"records/{digest.removeprefix('sha256:')}.json"
        if digest not in named:
            found.problems.append(Problem(where, "no ledger line names this record; it was not written by a run"))
        found.problems.extend(Problem(where, what) for what in _record_problems(stored, now or datetime.now(UTC)))
    found.problems.extend(_contradictions(records))
    return found


def _records(store: Store, found: Verification) -> dict[str, Stored]:
    records: dict[str, Stored] = {}
    if not store.records.is_dir():
        return records
    for path in sorted(store.records.iterdir()):
        found.records += 1
        if path.suffix != ".json":
            found.problems.append(Problem(f"records/{path.name}", "is not a record; remove it"))
            continue
        try:
            records[f"sha256:{path.stem}"] = store.parse(path)
        except EvidenceError as err:
            found.problems.append(Problem(f"records/{path.name}", str(err).partition(": ")[2]))
    return records


def _check_attachments(store: Store, records: Mapping[str, Stored], found: Verification) -> None:
    folder = store.folder / "attachments"
    wanted = {item.sha256 for stored in records.values() for item in stored.statement.predicate.attachments}
    present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    found.attachments = len(present)
    for name in sorted(wanted - present):
        found.problems.append(Problem(f"attachments/{name}", "is named by a record and missing"))
    for name in sorted(present):
        where = f"attachments/{name}"
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != name:
            found.problems.append(Problem(where, "its bytes do not have the sha256 of its name"))
        elif name not in wanted:
            found.problems.append(Problem(where, "no record names it"))


def _check_ledgers(
    store: Store, records: Mapping[str, Stored], anchors: Mapping[str, str], found: Verification
) -> set[str]:
    """Chains, and lines against records; returns the digests that lines name."""
    named: set[str] = set()
    folder = store.folder / "ledger"
    hosts = sorted(path.stem for path in folder.glob("*.jsonl")) if folder.is_dir() else []
    for host in sorted(set(hosts) | set(anchors)):
        ledger = Ledger(store.folder, host)
        found.problems.extend(Problem(*problem.split(": ", 1)) for problem in ledger.verify())
        open_runs: dict[str, int] = {}
        line_digests = set()
        for number, line in enumerate(ledger.lines(), 1):
            found.lines += 1
            digest = hashlib.sha256(line).hexdigest()
            line_digests.add(digest)
            found.heads[host] = digest
            entry = _parse(line)
            match entry.get("event"):
                case "intent":
                    open_runs[str(entry.get("run"))] = number
                case "end":
                    open_runs.pop(str(entry.get("run")), None)
                case "result":
                    where = f"ledger/{host}.jsonl:{number}"
                    named.add(str(entry.get("evidence")))
                    found.problems.extend(Problem(where, what) for what in _line_problems(entry, records))
        found.aborted.extend(f"run {run} (ledger/{host}.jsonl:{number})" for run, number in open_runs.items())
        if host not in anchors:
            found.unanchored.append(host)
        elif anchors[host] not in line_digests:
            found.problems.append(Problem(f"ledger/{host}.jsonl", f"the anchored line {anchors[host]} is gone"))
    return named


def _parse(line: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _line_problems(entry: Mapping[str, Any], records: Mapping[str, Stored]) -> Iterator[str]:
    stored = records.get(str(entry.get("evidence")))
    if stored is None:
        yield f"names record {entry.get('evidence')}, which is missing or unreadable"
        return
    predicate = stored.statement.predicate
    for key, value in (
        ("run", predicate.run),
        ("falsifier", predicate.falsifier),
        ("target", predicate.target),
        ("result", predicate.result.value),
    ):
        if entry.get(key) != value:
            yield f"says {key} is {entry.get(key)!r}; its record says {value!r}"


def _record_problems(stored: Stored, now: datetime) -> Iterator[str]:
    statement, predicate = stored.statement, stored.statement.predicate
    subjects = {item.name: item.digest.sha256 for item in statement.subject}
    if subjects.keys() != predicate.files.keys():
        yield f"its subjects are {sorted(subjects)}, its files speak of {sorted(predicate.files)}"
    for name in sorted(subjects.keys() & predicate.files.keys()):
        if hashlib.sha256(canonical(predicate.files[name])).hexdigest() != subjects[name]:
            yield f"the digest of subject '{name}' does not follow from its files"
    try:
        started = datetime.fromisoformat(predicate.started)
    except ValueError:
        yield f"started is {predicate.started!r}; expected a time in RFC 3339"
    else:
        if started.tzinfo is None or started > now + _CLOCK_SLACK:
            yield f"started at {predicate.started}, which is in the future"
    if predicate.result is Result.PASS and any(_is_beyond(value) for value in predicate.values):
        yield "says PASS beside a measured value beyond its limit"


def _is_beyond(value: Any) -> bool:
    if value.limit is None:
        return False
    return bool(value.value > value.limit if value.bound == "at_most" else value.value < value.limit)


def _contradictions(records: Mapping[str, Stored]) -> Iterator[Problem]:
    """PASS and FAIL for the same falsifier, target and inputs: one of them is not what it seems."""
    groups: dict[tuple[str, ...], dict[Result, str]] = defaultdict(dict)
    for digest, stored in records.items():
        predicate = stored.statement.predicate
        inputs = canonical(predicate.files).decode()
        groups[predicate.contract, predicate.falsifier, predicate.target, inputs][predicate.result] = digest
    for (contract, falsifier, target, _), results in groups.items():
        if Result.PASS in results and Result.FAIL in results:
            yield Problem(
                f"{contract} {falsifier} on {target}",
                f"passed in {results[Result.PASS]} and failed in {results[Result.FAIL]} with the same inputs",
            )
