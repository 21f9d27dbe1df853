"""Baseline files: read, add to, prune.

    {"schema": "pv.baseline/1",
     "entries": [
      {"rule": "missing-reference", "subject": "rope", "path": "", "key": "", "count": 1, "until": "2027-01-31"}
     ]}

One entry a line, in a fixed order, so that a review sees what was added. `until` is the last day on which it counts.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, ValidationError

from pv.atomic import write_atomically
from pv.errors import UsageError
from pv.lint.engine import Outcome
from pv.lint.known import Baseline, Entry, Identity
from pv.lint.registry import RULES_BY_NAME, may_be_known
from pv.load import read_bytes
from pv.schema.base import Date, Model, Text
from pv.schema.location import Location

SCHEMA: Final = "pv.baseline/1"
LIFETIME_DAYS: Final = 180
"""Days for which an entry counts after it was added."""

_MAX_BYTES: Final = 16 << 20


class _Entry(Model):
    rule: Text
    subject: str
    path: str
    key: str
    count: int = Field(ge=1, strict=True)
    until: Date


class _File(Model):
    schema_: Literal["pv.baseline/1"] = Field(alias="schema")
    entries: tuple[_Entry, ...]


def read_baseline(root: Path, path: Path, *, may_be_missing: bool) -> Baseline:
    """
    Args:
        may_be_missing: a file that is not there has no entries.
    Raises:
        UsageError: it cannot be read, or is not a baseline.
    """
    shown = _shown(root, path)
    if may_be_missing and not path.exists():
        return Baseline(shown)
    text = read_bytes(path, shown, limit=_MAX_BYTES)
    if len(text) > _MAX_BYTES:
        raise UsageError(f"{shown}: is larger than {_MAX_BYTES} bytes; it is not a baseline of pv")
    try:
        file = _File.model_validate(json.loads(text, object_pairs_hook=_no_duplicates))
    except ValidationError as err:
        first = err.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{shown}: is not a baseline: {where}: {first['msg'].lower()}") from err
    except (ValueError, RecursionError) as err:
        raise UsageError(f"{shown}: is not a baseline: {str(err).lower()}") from err
    lines = _lines(text)
    return Baseline(
        shown,
        tuple(
            Entry(
                Identity(item.rule, item.subject, item.path, item.key),
                item.count,
                item.until,
                Location(shown, lines[index] if index < len(lines) else 1),
            )
            for index, item in enumerate(file.entries)
        ),
    )


def updated(baseline: Baseline, outcome: Outcome, today: date) -> tuple[Baseline, int]:
    """The baseline with every new finding that may be known, and how many were added; nothing is taken out.

    An expired entry whose findings are still there is what an explicit update renews.
    """
    until = today + timedelta(days=LIFETIME_DAYS)
    fresh: Counter[Identity] = Counter(Identity.of(item) for item in outcome.findings if may_be_known(item))
    entries = [item for item in baseline.entries if item.until >= today or item.identity not in fresh]
    entries += [Entry(identity, count, until, Location(baseline.path)) for identity, count in fresh.items()]
    return Baseline(baseline.path, tuple(entries)), sum(fresh.values())


def pruned(baseline: Baseline, outcome: Outcome, today: date) -> tuple[Baseline, int]:
    """The baseline without what nothing needs and what has expired, and how many findings it knows less.

    Entries of rules that did not run are kept, except those of rules that do not exist.
    """
    needed = {id(entry): covered for entry, covered in outcome.leftover.entries}
    entries = []
    for entry in baseline.entries:
        count = needed.get(id(entry), entry.count)
        if count and entry.until >= today and entry.identity.rule in RULES_BY_NAME:
            entries.append(Entry(entry.identity, count, entry.until, entry.place))
    gone = sum(item.count for item in baseline.entries) - sum(item.count for item in entries)
    return Baseline(baseline.path, tuple(entries)), gone


def write_baseline(path: Path, baseline: Baseline) -> None:
    """
    Raises:
        EvidenceError: the file cannot be written; what stood there is intact.
    """
    write_atomically(path, _render(baseline.entries).encode("ascii"))


def _render(entries: Iterable[Entry]) -> str:
    lines = [
        "  " + json.dumps(
            {
                "rule": item.identity.rule,
                "subject": item.identity.subject,
                "path": item.identity.path,
                "key": item.identity.key,
                "count": item.count,
                "until": item.until.isoformat(),
            }
        )
        for item in sorted(entries, key=lambda item: (item.identity, item.until))
    ]  # fmt: skip
    body = "\n" + ",\n".join(lines) + "\n" if lines else ""
    return f'{{"schema": "{SCHEMA}",\n "entries": [{body}]}}\n'


def _lines(text: bytes) -> list[int]:
    """Line of each entry in a file that we wrote; in any other, the places are unknown."""
    found = [number for number, line in enumerate(text.splitlines(), 1) if line.startswith(b'  {"rule": ')]
    return found if text.count(b'"rule"') == len(found) else []


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = Counter(key for key, _ in pairs)
    twice = [key for key, count in keys.items() if count > 1]
    if twice:
        raise ValueError(f"key {twice[0]!r} stands twice")
    return dict(pairs)


def _shown(root: Path, path: Path) -> str:
    absolute = Path.cwd() / path
    return absolute.relative_to(root).as_posix() if absolute.is_relative_to(root) else path.as_posix()
