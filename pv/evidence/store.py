"""The store: one immutable, content-addressed JSON file per record.

evidence/records/<sha256 of the bytes>.json     an in-toto Statement v1
evidence/attachments/<sha256 of the bytes>      what a falsifier attached
evidence/ledger/<host tag>.jsonl                see ledger.py
evidence/.lock                                  held while a run's records and ledger lines are written
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pv.atomic import locked, write_atomically
from pv.errors import EvidenceError
from pv.schema.evidence import Statement

_RECORD_LIMIT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Stored:
    digest: str
    """`sha256:...` of the file's bytes."""
    statement: Statement


def canonical(value: Any) -> bytes:
    """JSON with sorted keys, no spaces, UTF-8, one line; NaN and infinities are refused."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8") + b"\n"


class Store:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records = folder / "records"

    def lock(self) -> AbstractContextManager[None]:
        return locked(self.folder / ".lock")

    def add(self, statement: Statement) -> str:
        """Write a record; the same record twice is one file.

        Returns:
            `sha256:...` of its bytes.
        """
        data = canonical(statement.model_dump(mode="json", by_alias=True))
        digest = hashlib.sha256(data).hexdigest()
        write_atomically(self.records / f"{digest}.json", data, exclusive=True)
        return f"sha256:{digest}"

    def attach(self, sha256: str, data: bytes) -> None:
        write_atomically(self.folder / "attachments" / sha256, data, exclusive=True)

    def read(self, digest: str) -> Statement:
        """The record with this digest, checked against its name.

        Raises:
            EvidenceError: missing, changed, or not a record of this version.
        """
        path = self.records / f"{digest.removeprefix('sha256:')}.json"
        return self.parse(path).statement

    def __iter__(self) -> Iterator[Stored]:
        """Every record, in the order of its digest.

        Raises:
            EvidenceError: a file is not what its name says.
        """
        if not self.records.is_dir():
            return
        for path in sorted(self.records.glob("*.json")):
            yield self.parse(path)

    def parse(self, path: Path) -> Stored:
        name = f"{self.folder.name}/records/{path.name}"
        try:
            if path.stat().st_size > _RECORD_LIMIT_BYTES:
                raise EvidenceError(f"{name}: is larger than {_RECORD_LIMIT_BYTES} bytes; it is not a record of pv")
            data = path.read_bytes()
        except OSError as err:
            raise EvidenceError(f"{name}: cannot be read: {err.strerror or err}") from err
        digest = hashlib.sha256(data).hexdigest()
        if path.stem != digest:
            raise EvidenceError(
                f"{name}: its bytes have sha256 {digest}; the record was changed after it was written; "
                "restore it from git or delete it and run pv discharge"
            )
        try:
            value = json.loads(data, object_pairs_hook=_unique, parse_constant=_refuse_constant)
            return Stored(f"sha256:{digest}", Statement.model_validate(value))
        except ValidationError as err:
            first = err.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise EvidenceError(f"{name}: {where}: {first['msg']}") from err
        except ValueError as err:
            raise EvidenceError(f"{name}: is not a record: {err}") from err


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")
