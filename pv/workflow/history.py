"""Pre-registration: was the claim in git before the run that meets it?

A threshold that is chosen after the measurement proves nothing. The claim of a record is the contract part of its
fingerprint: the falsifier, its obligations and their equations. It is registered if a commit that leads to the current
one holds the very same claim and is not younger than the start of the run. Commit times are as honest as whoever
commits; an anchor outside the repository is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from pv.catalog import NO_CONTRACTS
from pv.errors import UsageError
from pv.evidence.fingerprint import claim_digests
from pv.evidence.store import Stored
from pv.load import load_text
from pv.process.git import Git, Revision
from pv.schema.contract import Contract
from pv.schema.settings import Settings

_MAX_REVISIONS = 200
"""Of one contract; older ones are not looked at."""
_MAX_READ_AHEAD = 5000
"""Old files that are read by one process and kept until they are asked for."""


class Registration:
    """Answers for one state of the repository; git is asked when the first answer is wanted."""

    def __init__(self, root: Path, settings: Settings, paths: Mapping[str, str]) -> None:
        """
        Args:
            paths: contract id -> its file today, relative to the root.
        """
        self._git = Git(root)
        self._settings = settings
        self._paths = paths
        self._contracts: dict[str, Contract | None] = {}
        self._texts: dict[str, bytes | None] = {}
        self._revisions: dict[str, list[Revision]] = {}

    @cached_property
    def problem(self) -> str:
        """Why nothing can be said; empty if something can."""
        try:
            problem = self._git.why_absent() or self._read_history()
        except UsageError as err:
            problem = str(err)
        return f"thresholds are not compared with git history: {problem}" if problem else ""

    def why_not(self, stored: Stored) -> str:
        """Why the record's claim is not shown to be older than its run; empty if it is."""
        if self.problem:
            return self.problem
        predicate = stored.statement.predicate
        started = datetime.fromisoformat(predicate.started)
        first: datetime | None = None
        for revision, contract in self._versions(predicate.contract):
            falsifier = next((item for item in contract.falsifiers if item.id == predicate.falsifier), None)
            if falsifier is None or claim_digests(contract, falsifier) != predicate.files.get("contract"):
                continue
            first = datetime.fromtimestamp(revision.time, UTC)
            if first <= started:
                return ""
        if first is None:
            return "not registered: its claim is in no commit"
        return f"not registered: its claim was committed at {first:%Y-%m-%dT%H:%M:%SZ}, after the run began"

    def _read_history(self) -> str:
        if self._git.is_shallow():
            return "the clone is shallow; run git fetch --unshallow"
        skipped = tuple(f"{folder}/{name}/" for folder in self._settings.contracts for name in NO_CONTRACTS)
        for revision in self._git.revisions(self._settings.contracts):
            if not revision.path.startswith(skipped):
                self._revisions.setdefault(revision.path, []).append(revision)
        # The newest version has the block that the run wrote, so the one before it is usually the answer.
        likely = [item.blob for path in self._paths.values() for item in self._revisions.get(path, ())[:2] if item.blob]
        self._texts = dict(self._git.read(likely[:_MAX_READ_AHEAD]))
        return ""

    def _versions(self, contract: str) -> Iterator[tuple[Revision, Contract]]:
        """Committed versions of a contract, newest first in each file: its own, then those that are gone."""
        own = self._paths.get(contract, "")
        gone = [path for path, revisions in self._revisions.items() if not revisions[0].blob and path != own]
        for path in (own, *gone):
            for revision in self._revisions.get(path, ())[:_MAX_REVISIONS]:
                found = self._read(revision.blob) if revision.blob else None
                if found is not None and found.id == contract:
                    yield revision, found

    def _read(self, blob: str) -> Contract | None:
        if blob not in self._contracts:
            if blob not in self._texts:
                self._texts.update(self._git.read([blob]))
            text = self._texts.pop(blob)
            self._contracts[blob] = load_text(text, blob).contract if text is not None else None
        return self._contracts[blob]
