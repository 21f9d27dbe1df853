"""Evidence stores made by hand, whole and damaged, and what two verifiers say about them."""

from __future__ import annotations

import hashlib
import json
import runpy
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pv.evidence.ledger import Ledger
from pv.evidence.store import Store
from pv.evidence.strict import canonical
from pv.evidence.verify import verify
from support.records import make_statement

SECOND = runpy.run_path(str(Path(__file__).parents[1] / "verifier" / "verify_evidence.py"))["Verifier"]
"""The verifier that shares no code with pv."""

HOST = "host-0"
FILES = {"contract": {"contract id": "1" * 64}, "test": {"checks/test_double.py": "2" * 64}, "code": {}}


def subjects(files: dict[str, dict[str, str]]) -> list[dict[str, Any]]:
    return [
        {"name": name, "digest": {"sha256": hashlib.sha256(canonical(parts)).hexdigest()}}
        for name, parts in files.items()
    ]


def add_run(
    folder: Path, run: str, predicates: Sequence[dict[str, Any]], *, host: str = HOST, end: bool = True,
    blocks: Sequence[tuple[str, str]] = (),
) -> list[str]:  # fmt: skip
    """One whole run, as `pv discharge` writes it; returns the digests of its records.

    Args:
        predicates: fields that differ from a passing record; one record for each.
        end: whether the run says that it ended.
        blocks: contracts whose discharge blocks it wrote, and their digests.
    """
    store, ledger = Store(folder), Ledger(folder, host)
    statements = []
    for fields in predicates:
        machine = {"host": host, "system": "Linux", "machine": "x86_64", "cpu_count": 2, "versions": {}}
        made = make_statement(**{"run": run, "files": FILES, "environment": machine, **fields})
        value = made.model_dump(mode="json", by_alias=True)
        value["subject"] = subjects(value["predicate"]["files"])
        statements.append(type(made).model_validate(value))
    planned = [[item.predicate.falsifier, item.predicate.target] for item in statements]
    ledger.append("intent", run=run, time="2026-01-01T00:00:00Z", planned=planned)
    digests = [store.add(item) for item in statements]
    for digest, item in zip(digests, statements, strict=True):
        ledger.append(
            "result", run=run, time="2026-01-01T00:00:01Z", falsifier=item.predicate.falsifier,
            target=item.predicate.target, result=item.predicate.result.value, evidence=digest,
        )  # fmt: skip
    if end:
        ledger.append("end", run=run, time="2026-01-01T00:00:02Z", results=len(planned))
    for contract, digest in blocks:
        ledger.append("block", run=run, time="2026-01-01T00:00:03Z", contract=contract, block=digest)
    return digests


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file but the lock, by its path in the store."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def judged(folder: Path, anchors: dict[str, str] | None = None) -> tuple[bool, bool]:
    """Whether pv finds the store clean, and whether the second verifier does."""
    return verify(folder, anchors=anchors).is_clean, not SECOND(folder, anchors or {}).run()


def rewritten(data: bytes, change: Callable[[dict[str, Any]], object]) -> tuple[str, bytes]:
    """A record changed by somebody who also makes its name fit; the new name and bytes."""
    value = json.loads(data)
    change(value)
    new = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    return f"records/{hashlib.sha256(new).hexdigest()}.json", new


def damages(files: dict[str, bytes]) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Every way we can name to damage these files, each with what was done."""
    ledger = next(name for name in files if name.startswith("ledger/"))
    lines = files[ledger].splitlines(keepends=True)
    for position in range(len(lines)):
        cut = [*lines[:position], *lines[position + 1 :]]
        yield f"line {position + 1} removed", {**files, ledger: b"".join(cut)}
        yield f"line {position + 1} twice", {**files, ledger: b"".join([*lines[: position + 1], *lines[position:]])}
        yield f"tail cut before line {position + 1}", {**files, ledger: b"".join(lines[:position])}
        yield f"line {position + 1} torn", {**files, ledger: b"".join(lines[:position]) + lines[position][:40]}
        changed = json.loads(lines[position])
        changed["time"] = "2030-01-01T00:00:00Z"
        yield (
            f"line {position + 1} edited",
            {**files, ledger: b"".join([*lines[:position], canonical(changed), *lines[position + 1 :]])},
        )
        for said, fields in BLOCKS.items() if changed["event"] == "block" else ():
            told = [*lines[:position], canonical(changed | fields), *lines[position + 1 :]]
            yield f"line {position + 1}, {said}, ledger rewritten", {**files, ledger: _rechained(told)}
    for position in range(len(lines) - 1):
        swapped = [*lines[:position], lines[position + 1], lines[position], *lines[position + 2 :]]
        yield f"lines {position + 1} and {position + 2} swapped", {**files, ledger: b"".join(swapped)}
    for tail in (b"{}\n", b"null\n", b"[1]\n", b"\n", b"{", b"x", b"\xff", b'{"event":"end"}\n', b"[" * 9000 + b"\n"):
        yield f"{tail[:20]!r} appended", {**files, ledger: files[ledger] + tail}
    for name in files:
        yield f"{name} gone", {other: data for other, data in files.items() if other != name}
        yield f"{name} empty", {**files, name: b""}
    yield "a stray file", {**files, "records/notes.txt": b"hello"}
    yield "a stray attachment", {**files, f"attachments/{hashlib.sha256(b'x').hexdigest()}": b"x"}
    yield "a false attachment", {**files, "attachments/" + "0" * 64: b"x"}
    yield "a file that a killed process left", {**files, "records/.abc.json.1234.tmp": b"half"}
    record = next(name for name in files if name.startswith("records/") and b'"result":"PASS"' in files[name])
    edits: dict[str, Callable[[dict[str, Any]], object]] = {
        "another result": lambda value: value["predicate"].update(result="ERROR"),
        "an unknown result": lambda value: value["predicate"].update(result="GREAT"),
        "an unknown field": lambda value: value["predicate"].update(verdict="PASS"),
        "a missing field": lambda value: value["predicate"].pop("tests"),
        "a wrong type": lambda value: value["predicate"].update(tests_passed="1"),
        "a fraction of a test": lambda value: value["predicate"].update(tests_passed=0.5),
        "a boolean": lambda value: value["predicate"].update(tests_passed=True),
        "another version": lambda value: value.update(predicateType="urn:pv-contracts:evidence:2"),
        "another family": lambda value: value.update(predicateType="urn:other:1"),
        "no subject": lambda value: value.update(subject=[]),
        "a foreign subject": lambda value: value["subject"][0].update(name="weights"),
        "another digest": lambda value: value["subject"][0]["digest"].update(sha256="3" * 64),
        "another file": lambda value: value["predicate"]["files"]["code"].update({"lib/x.py": "4" * 64}),
        "from the future": lambda value: value["predicate"].update(started="2999-01-01T00:00:00Z"),
        "without time zone": lambda value: value["predicate"].update(started="2026-01-01T00:00:00"),
        "at no time": lambda value: value["predicate"].update(started="yesterday"),
        "another machine": lambda value: value["predicate"]["environment"].update(host="host-9"),
        "another run": lambda value: value["predicate"].update(run="r9"),
        "another target": lambda value: value["predicate"].update(target="cuda"),
        "an impossible target": lambda value: value["predicate"].update(target="gpu"),
        "beyond its limit": lambda value: value["predicate"]["values"][0].update(value=1.0),
        "below its limit": lambda value: value["predicate"]["values"][0].update(bound="at_least"),
        "no test passed": lambda value: value["predicate"].update(tests_passed=0),
        "elsewhere": lambda value: value["predicate"].update(ran_target="cuda"),
        "an attachment": lambda value: value["predicate"].update(
            attachments=[{"name": "a", "sha256": "5" * 64, "size_bytes": 1}]
        ),
    }  # fmt: skip
    for said, edit in edits.items():
        name, data = rewritten(files[record], edit)
        rest = {other: kept for other, kept in files.items() if other != record}
        yield f"{said}, ledger untouched", {**rest, name: data}
        old, new = Path(record).stem, Path(name).stem
        yield f"{said}, ledger rewritten", {**rest, name: data, ledger: _rechained(_renamed(lines, old, new, data))}


BLOCKS = {
    "another contract": {"contract": "rope"},
    "no contract": {"contract": "No Id"},
    "a number for a contract": {"contract": 7},
    "another block": {"block": "sha256:" + "b" * 64},
    "no digest": {"block": "b" * 64},
    "a list of blocks": {"block": ["sha256:" + "b" * 64]},
    "an unknown run": {"run": "r9"},
}
"""What a ledger line may say of a discharge block."""


def _renamed(lines: list[bytes], old: str, new: str, record: bytes) -> Iterator[bytes]:
    """Lines that speak of the new record and agree with it."""
    said = json.loads(record).get("predicate", {})
    for raw in lines:
        line = json.loads(raw.replace(old.encode(), new.encode()))
        if line.get("evidence") == f"sha256:{new}":
            line.update({key: said[key] for key in ("run", "falsifier", "target", "result") if key in said})
        yield canonical(line)


def _rechained(lines: Iterable[bytes]) -> bytes:
    """The ledger as somebody writes it who knows the format: every digest follows from what it covers."""
    out, previous = [], "0" * 64
    for raw in lines:
        line = json.loads(raw)
        line["prev"] = previous
        line["digest"] = hashlib.sha256(canonical({k: v for k, v in line.items() if k != "digest"})).hexdigest()
        out.append(canonical(line))
        previous = hashlib.sha256(out[-1]).hexdigest()
    return b"".join(out)
