"""What an evidence store holds, as text and as JSON: verify, list, show, merge."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pv.report.discharge import measured
from pv.report.escape import visible
from pv.schema.run import Measured
from pv.schema.store import Aborted, Ignored, Merged, Stored, Verification, WrittenBlock


def verification_text(found: Verification, *, anchored: Sequence[str]) -> str:
    lines = [visible(f"problem   {item}") for item in found.problems]
    lines += [visible(f"conflict  {item}") for item in found.conflicts]
    lines += [visible(_aborted(item)) for item in found.aborted]
    lines += [visible(f"ignored   {item.digest}: {item.why}") for item in found.ignored if item.is_harmless]
    lines += [f"torn      {where}: half a line, left by an interrupted run; the next run cuts it off"
              for where in found.torn]  # fmt: skip
    for host, head in sorted(found.heads.items()):
        state = "anchored" if host in anchored else "unanchored: a tail that was cut off would not show"
        lines.append(f"head      {host}={head}  {state}")
    return "\n".join([*lines, *([""] if lines else []), _closing(found)])


def verification_json(found: Verification) -> str:
    return _dump({"schema": "pv.evidence.verify/1", **_verification(found)})


def list_text(
    rows: Sequence[Stored], aborted: Sequence[Aborted], blocks: Sequence[WrittenBlock], *, total: int, ignored: int
) -> str:
    """Newest first; ids and digests in full, because people paste them."""
    said = [(item.time, visible(_aborted(item, with_time=False))) for item in aborted]
    said += [(item.time, visible(f"BLOCK     {item.contract}  {item.digest}")) for item in blocks]
    for row in rows:
        it = row.statement.predicate
        caught = sum(item.outcome.value == "CAUGHT" for item in it.challenges)
        challenges = f"  {caught}/{len(it.challenges)} challenges caught" if it.challenges else ""
        said.append(
            (it.started, visible(f"{it.result.value:<9} {it.falsifier}  {it.target}  {row.digest}{challenges}"))
        )
    lines = [f"{time}  {line}" for time, line in sorted(said, reverse=True)]
    closing = f"{len(rows)} of {total} evidence records, {len(aborted)} aborted runs, {len(blocks)} discharge blocks."
    if ignored:
        closing += f" {ignored} more records do not count; see pv evidence verify."
    return "\n".join([*lines, "", closing])


def list_json(
    rows: Sequence[Stored],
    aborted: Sequence[Aborted],
    blocks: Sequence[WrittenBlock],
    *,
    total: int,
    ignored: Sequence[Ignored],
) -> str:
    return _dump(
        {
            "schema": "pv.evidence.list/1",
            "records": [
                {
                    "digest": row.digest,
                    "run": row.statement.predicate.run,
                    "started": row.statement.predicate.started,
                    "host": row.statement.predicate.environment.host,
                    "contract": row.statement.predicate.contract,
                    "falsifier": row.statement.predicate.falsifier,
                    "target": row.statement.predicate.target,
                    "result": row.statement.predicate.result.value,
                    "reason": row.statement.predicate.reason,
                }
                for row in rows
            ],
            "aborted": [_aborted_json(item) for item in aborted],
            "ignored": [{"digest": item.digest, "why": item.why} for item in ignored],
            "blocks": [asdict(item) for item in blocks],
            "totals": {
                "records": total,
                "shown": len(rows),
                "aborted": len(aborted),
                "ignored": len(ignored),
                "blocks": len(blocks),
            },
        }
    )


def record_text(record: Stored) -> str:
    it = record.statement.predicate
    lines = [
        record.digest,
        f"  {it.result.value}  {it.falsifier} of {it.contract} {it.contract_version}, on {it.target}",
        f"  {it.reason}",
        "",
        f"  run         {it.run}, started {it.started}, {it.duration_s:g} s, pv {it.pv_version}",
        f"  machine     {it.environment.host}, {it.environment.system} {it.environment.machine}, "
        f"{it.environment.cpu_count} CPUs",
        f"  versions    {', '.join(f'{name} {version}' for name, version in sorted(it.environment.versions.items()))}",
        f"  threads     {', '.join(map('='.join, sorted(it.environment.threads.items()))) or 'not recorded'}",
        f"  ran on      {it.ran_target or 'not recorded'}",
    ]
    lines += [
        f"  device      {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in sorted(it.device.items())
    ]
    lines.append(f"  tests       {it.tests_passed} of {len(it.tests)} passed")
    lines += [f"              {test}" for test in it.tests]
    for item in it.values:
        value = Measured(name=item.name, value=item.value, unit=item.unit, limit=item.limit, bound=item.bound)
        lines.append(f"  measured    {measured(value)}")
    lines += [f"  challenge   {item.fault} {item.outcome.value}: {item.reason}" for item in it.challenges]
    lines += [f"  attachment  {item.name}, {item.size_bytes} bytes, sha256:{item.sha256}" for item in it.attachments]
    for subject in record.statement.subject:
        lines.append(f"  {subject.name:<10}  sha256:{subject.digest.sha256}")
        lines += [f"              {name}  {sha256}" for name, sha256 in sorted(it.files.get(subject.name, {}).items())]
    return "\n".join(visible(line) for line in lines)


def record_json(record: Stored) -> str:
    return _dump(
        {
            "schema": "pv.evidence.show/1",
            "digest": record.digest,
            "statement": record.statement.model_dump(mode="json", by_alias=True),
        }
    )


def block_text(digest: str, written: Sequence[WrittenBlock]) -> str:
    """A discharge block by what the ledgers say of it."""
    lines = [f"  discharge block of {item.contract}, run {item.run}, {item.host}, {item.time}" for item in written]
    return "\n".join(visible(line) for line in (digest, *lines))


def block_json(digest: str, written: Sequence[WrittenBlock]) -> str:
    return _dump({"schema": "pv.evidence.show/1", "digest": digest, "blocks": [asdict(item) for item in written]})


def merge_text(merged: Merged) -> str:
    lines = [visible(f"conflict  {item}") for item in merged.result.conflicts]
    lines += [visible(f"problem   {item}") for item in merged.result.problems]
    added = (
        f"merged {merged.sources} stores: {merged.records} records, {merged.attachments} attachments, "
        f"{merged.lines} ledger lines added."
    )
    return "\n".join([*lines, added, _closing(merged.result)])


def merge_json(merged: Merged) -> str:
    added = {"records": merged.records, "attachments": merged.attachments, "lines": merged.lines}
    return _dump(
        {
            "schema": "pv.evidence.merge/1",
            "sources": merged.sources,
            "added": added,
            "result": _verification(merged.result),
        }
    )


def _closing(found: Verification) -> str:
    return (
        f"{found.records} records, {found.attachments} attachments, {found.lines} ledger lines of "
        f"{len(found.heads)} hosts, {found.blocks} discharge blocks: {len(found.problems)} problems, "
        f"{len(found.conflicts)} conflicts, "
        f"{len(found.aborted)} aborted runs, {len(found.ignored)} records that do not count, "
        f"{len(found.unanchored)} unanchored ledgers."
    )


def _aborted(item: Aborted, *, with_time: bool = True) -> str:
    planned = ", ".join(f"{falsifier} on {target}" for falsifier, target in item.planned[:4])
    more = f" and {len(item.planned) - 4} more" if len(item.planned) > 4 else ""
    since = f" since {item.time}" if with_time else ""
    name = "aborted   " if with_time else "ABORTED   "
    return f"{name}run {item.run} has no end{since} (ledger/{item.host}.jsonl:{item.line}); planned {planned}{more}"


def _aborted_json(item: Aborted) -> dict[str, Any]:
    planned = [list(pair) for pair in item.planned]
    return {"run": item.run, "host": item.host, "line": item.line, "time": item.time, "planned": planned}


def _verification(found: Verification) -> dict[str, Any]:
    return {
        "problems": [{"where": item.where, "what": item.what} for item in found.problems],
        "conflicts": [{"where": item.where, "what": item.what} for item in found.conflicts],
        "aborted": [_aborted_json(item) for item in found.aborted],
        "ignored": [{"digest": item.digest, "why": item.why} for item in found.ignored],
        "torn": found.torn,
        "heads": dict(sorted(found.heads.items())),
        "unanchored": found.unanchored,
        "totals": {
            "records": found.records,
            "attachments": found.attachments,
            "lines": found.lines,
            "blocks": found.blocks,
            "hosts": len(found.heads),
            "problems": len(found.problems),
            "conflicts": len(found.conflicts),
            "aborted": len(found.aborted),
            "ignored": len(found.ignored),
        },
    }


def _dump(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
