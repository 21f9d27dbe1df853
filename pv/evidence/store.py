"""The store: one immutable, content-addressed JSON file per record.

evidence/records/<sha256 of the bytes>.json     an in-toto Statement v1
evidence/attachments/<sha256 of the bytes>      what a falsifier attached
evidence/ledger/<host tag>.jsonl                see ledger.py
evidence/.lock                                  held while a run's records and ledger lines are written
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from pv.atomic import locked, remove_leftovers, write_atomically
from pv.errors import EvidenceError
from pv.evidence.strict import canonical, strict_json
from pv.schema.evidence import PREDICATE_TYPE, Statement
from pv.schema.store import Stored as Stored

RECORD_LIMIT_BYTES: Final = 4 << 20
"""A falsifier with 30,000 parameter sets stays below it; what a test records is bounded before, see record.py."""
_FAMILY: Final = PREDICATE_TYPE.rpartition(":")[0] + ":"


class OtherVersion(EvidenceError):  # noqa: N818 - a fact about the record, not about its bytes
    """A record of another version of pv: intact, but what it says cannot be read."""


class Store:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records = folder / "records"
        self.attachments = folder / "attachments"

    def lock(self) -> AbstractContextManager[None]:
        return locked(self.folder / ".lock")

    def add(self, statement: Statement) -> str:
        """Write a record; the same record twice is one file.

        Returns:
            `sha256:...` of its bytes.
        Raises:
            EvidenceError: it is too large to be read again, or cannot be written.
        """
        data = canonical(statement.model_dump(mode="json", by_alias=True))
        if len(data) > RECORD_LIMIT_BYTES:
            name = statement.predicate.falsifier
            raise EvidenceError(f"{name}: its record has {len(data)} bytes, at most {RECORD_LIMIT_BYTES} are kept")
        digest = hashlib.sha256(data).hexdigest()
        write_atomically(self.records / f"{digest}.json", data, exclusive=True)
        return f"sha256:{digest}"

    def attach(self, sha256: str, data: bytes) -> None:
        write_atomically(self.attachments / sha256, data, exclusive=True)

    def read(self, digest: str) -> Statement:
        """The record with this digest, checked against its name.

        Raises:
            EvidenceError: missing, changed, or not a record of this version.
        """
        return self.parse(self.path_of(digest)).statement

    def sweep(self) -> None:
        """Remove what killed processes left; the caller holds the lock, so nobody is writing here."""
        for folder in (self.records, self.attachments, self.folder / "ledger"):
            remove_leftovers(folder)

    def path_of(self, digest: str) -> Path:
        return self.records / f"{digest.removeprefix('sha256:')}.json"

    def hosts(self) -> list[str]:
        """Tags of the machines that have a ledger here."""
        return sorted(path.stem for path in (self.folder / "ledger").glob("*.jsonl"))

    def paths(self) -> list[Path]:
        """Files of all records, in the order of their digests."""
        return sorted(self.records.glob("*.json"), key=lambda path: path.name)

    def __iter__(self) -> Iterator[Stored]:
        """Every record, in the order of its digest.

        Raises:
            EvidenceError: a file is not what its name says.
        """
        return map(self.parse, self.paths())

    def parse(self, path: Path) -> Stored:
        """The record in one file.

        Raises:
            OtherVersion: it is a record, but of another version.
            EvidenceError: it is not what its name says.
        """
        name = f"{self.folder.name}/records/{path.name}"
        try:
            with path.open("rb") as file:
                data = file.read(RECORD_LIMIT_BYTES + 1)
        except OSError as err:
            raise EvidenceError(f"{name}: cannot be read: {err.strerror or err}") from err
        if len(data) > RECORD_LIMIT_BYTES:
            raise EvidenceError(f"{name}: is larger than {RECORD_LIMIT_BYTES} bytes; it is not a record of pv")
        digest = hashlib.sha256(data).hexdigest()
        if path.stem != digest:
            raise EvidenceError(
                f"{name}: its bytes have sha256 {digest}; the record was changed after it was written; "
                "restore it from git"
            )
        try:
            value = strict_json(data)
            written_as = value.get("predicateType") if isinstance(value, dict) else None
            if isinstance(written_as, str) and written_as.startswith(_FAMILY) and written_as != PREDICATE_TYPE:
                raise OtherVersion(f"{name}: is of version {written_as}; this pv reads {PREDICATE_TYPE}")
            return Stored(f"sha256:{digest}", Statement.model_validate_json(data, strict=True))
        except ValidationError as err:
            first = err.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise EvidenceError(f"{name}: {where}: {first['msg']}") from err
        except ValueError as err:
            raise EvidenceError(f"{name}: is not a record: {err}") from err
