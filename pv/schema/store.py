"""What reading a whole evidence store gives: what counts, what does not, what is damaged."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pv.schema.base import Digest, Model, SlugId
from pv.schema.evidence import Statement


@dataclass(frozen=True, slots=True)
class Stored:
    """One record, intact."""

    digest: str
    """`sha256:...` of the file's bytes."""
    statement: Statement


@dataclass(frozen=True, slots=True)
class Problem:
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class Ignored:
    """An intact record that is no evidence."""

    digest: str
    why: str
    is_harmless: bool = False
    """Whether pv itself leaves such a record: of another version, or of a run that was killed."""


@dataclass(frozen=True, slots=True)
class Aborted:
    """A run that never said that it ended: it was interrupted, or it is still running."""

    run: str
    host: str
    line: int
    """Of its intent, from 1."""
    time: str
    planned: tuple[tuple[str, str], ...]
    """Falsifier and target."""


class BlockLine(Model):
    """What a ledger line says of a discharge block."""

    contract: SlugId
    block: Digest
    """Of the block's content, whatever its spelling."""


@dataclass(frozen=True, slots=True)
class WrittenBlock:
    """A discharge block that a run wrote into a contract file, or died before it could."""

    contract: str
    digest: str
    """`sha256:...` of its content."""
    run: str
    host: str
    time: str


class BlockOrigin(StrEnum):
    """Where the discharge block in a contract file comes from, by what the ledgers say."""

    LAST = "last"
    """The last one that some host wrote."""
    EARLIER = "earlier"
    """A run wrote it, and a later one wrote another."""
    UNKNOWN = "unknown"
    """Runs wrote blocks of this contract, and never this one."""
    UNRECORDED = "unrecorded"
    """No ledger has a line about any block of this contract."""


@dataclass(slots=True)
class Verification:
    """A whole store, checked offline."""

    records: int = 0
    """Files in `records/`."""
    attachments: int = 0
    lines: int = 0
    blocks: int = 0
    """Lines about discharge blocks."""
    problems: list[Problem] = field(default_factory=list)
    conflicts: list[Problem] = field(default_factory=list)
    """PASS and FAIL for the same falsifier, target and inputs: nothing is damaged, and one of them misleads."""
    ignored: list[Ignored] = field(default_factory=list)
    """Intact records that are no evidence; those that pv itself cannot have left are problems as well."""
    aborted: list[Aborted] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    """Where an interrupted append left half a line."""
    heads: dict[str, str] = field(default_factory=dict)
    """Host -> sha256 of the last whole line of its ledger."""
    unanchored: list[str] = field(default_factory=list)
    """Hosts whose head no one vouched for: their tail may have been cut off."""

    @property
    def is_clean(self) -> bool:
        return not self.problems and not self.conflicts


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge added, and what the result says."""

    sources: int
    records: int
    attachments: int
    lines: int
    result: Verification
