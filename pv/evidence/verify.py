"""Is the store what pv wrote? Everything that can be checked offline, without running anything.

Found: any changed bit of a record, an attachment or a ledger line; a record that no ledger knows; a line that was
removed, reordered or spliced in; a line or a plan that contradicts its records; a digest that does not follow from
the parts it covers; a record from the future; results that contradict each other for the same inputs.
Not found without an anchor: a ledger whose tail was cut off. `heads` lets a caller keep the head elsewhere.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from pv.evidence.scan import scan
from pv.evidence.store import Store
from pv.evidence.strict import canonical
from pv.schema.evidence import Value
from pv.schema.store import Problem, Stored, Verification
from pv.schema.verdict import Result, serves


def verify(folder: Path, *, anchors: Mapping[str, str] | None = None, now: datetime | None = None) -> Verification:
    """Check a whole store.

    Args:
        anchors: host tag -> sha256 of a ledger line that must still be there.
        now: evidence from later than this, by more than five minutes, is refused.
    Raises:
        EvidenceError: a ledger cannot be read.
    """
    seen = scan(folder, now=now)
    found = Verification(
        records=seen.files,
        lines=sum(len(lines) for lines in seen.ledgers.values()),
        blocks=len(seen.blocks),
        problems=list(seen.problems),
        ignored=seen.ignored,
        aborted=seen.aborted,
        torn=seen.torn,
    )
    _check_heads({host: [line.sha256 for line in lines if not line.is_torn] for host, lines in seen.ledgers.items()},
                 anchors or {}, found)  # fmt: skip
    for item in seen.ignored:
        if not item.is_harmless:
            found.problems.append(Problem(_place(item.digest), item.why))
    committed = {**seen.records, **seen.unproven}
    for digest, stored in sorted(committed.items()):
        found.problems.extend(Problem(_place(digest), what) for what in _record_problems(stored))
    _check_attachments(Store(folder), committed, found)
    found.conflicts.extend(_conflicts(seen.records))
    return found


def _conflicts(records: Mapping[str, Stored]) -> Iterator[Problem]:
    """PASS and FAIL for the same falsifier, target and inputs: one of them is not what it seems."""
    groups: dict[tuple[str, ...], dict[Result, str]] = defaultdict(dict)
    for digest in sorted(records):
        predicate = records[digest].statement.predicate
        inputs = canonical(predicate.files).decode()
        groups[predicate.contract, predicate.falsifier, predicate.target, inputs].setdefault(predicate.result, digest)
    for (contract, falsifier, target, _), results in sorted(groups.items()):
        if Result.PASS in results and Result.FAIL in results:
            yield Problem(
                f"{contract} {falsifier} on {target}",
                f"passed in {results[Result.PASS]} and failed in {results[Result.FAIL]} with the same inputs",
            )


def _place(digest: str) -> str:
    return f"records/{digest.removeprefix('sha256:')}.json"


def _check_heads(chains: Mapping[str, list[str]], anchors: Mapping[str, str], found: Verification) -> None:
    for host in sorted(chains.keys() | anchors.keys()):
        chain = chains.get(host, [])
        if chain:
            found.heads[host] = chain[-1]
        if host not in anchors:
            found.unanchored.append(host)
        elif anchors[host] not in chain:
            found.problems.append(Problem(f"ledger/{host}.jsonl", f"the anchored line {anchors[host]} is gone"))


def _check_attachments(store: Store, records: Mapping[str, Stored], found: Verification) -> None:
    wanted = {item.sha256 for stored in records.values() for item in stored.statement.predicate.attachments}
    present = {path.name for path in store.attachments.iterdir()} if store.attachments.is_dir() else set()
    present = {name for name in present if not (name.startswith(".") and name.endswith(".tmp"))}
    found.attachments = len(present)
    for name in sorted(wanted - present):
        found.problems.append(Problem(f"attachments/{name}", "is named by a record and missing"))
    for name in sorted(present):
        where = f"attachments/{name}"
        if _sha256(store.attachments / name) != name:
            found.problems.append(Problem(where, "its bytes do not have the sha256 of its name"))
        elif name not in wanted and not found.aborted and not found.ignored:
            found.problems.append(Problem(where, "no record names it"))


def _sha256(path: Path) -> str:
    """Of the file's bytes; empty if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _record_problems(stored: Stored) -> Iterator[str]:
    statement, predicate = stored.statement, stored.statement.predicate
    subjects = {item.name: item.digest.sha256 for item in statement.subject}
    if subjects.keys() != predicate.files.keys():
        yield f"its subjects are {sorted(subjects)}, its files speak of {sorted(predicate.files)}"
    for name in sorted(subjects.keys() & predicate.files.keys()):
        if hashlib.sha256(canonical(predicate.files[name])).hexdigest() != subjects[name]:
            yield f"the digest of subject '{name}' does not follow from its files"
    if predicate.result is Result.PASS:
        if any(_is_beyond(value) for value in predicate.values):
            yield "says PASS beside a measured value beyond its limit"
        if predicate.tests_passed != len(predicate.tests) or not predicate.tests:
            yield f"says PASS with {predicate.tests_passed} of {len(predicate.tests)} tests passed"
        if predicate.ran_target is not None and not serves(predicate.ran_target, predicate.target):
            yield f"says PASS on {predicate.target}, and ran on {predicate.ran_target}"


def _is_beyond(value: Value) -> bool:
    if value.limit is None:
        return False
    return value.value > value.limit if value.bound == "at_most" else value.value < value.limit
