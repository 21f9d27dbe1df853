"""What rules may look at: the catalog, what pytest collected, what the evidence supports. Read-only, indexed once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from pv.catalog import Catalog, Questions
from pv.lint.known import Baseline, Leftover
from pv.lint.modules import Modules
from pv.load import Loaded, Parsed
from pv.schema.binding import CollectedTest, Collection
from pv.schema.contract import Contract, Discharge, Falsifier
from pv.schema.evidence import Value
from pv.schema.settings import Settings
from pv.schema.store import BlockOrigin

_VERSION_SUFFIX = re.compile(r"-v\d+$")


@dataclass(frozen=True)
class LintContext:
    catalog: Catalog
    settings: Settings
    root: Path
    questions: Questions = field(default_factory=Questions)
    collection: Collection | None = None
    """What pytest collected; None where tests were not looked at."""
    search: tuple[str, ...] = ()
    """Folders below the root that pytest puts on the import path, besides the root itself."""
    discharges: Mapping[str, Discharge] | None = None
    """Standings recomputed from evidence, by contract id; None where evidence was not looked at."""
    evidence_problem: str = ""
    """Why standings could not be recomputed; empty if they could."""
    previous: Mapping[str, tuple[str, Contract | None]] | None = None
    """Contracts as they were at `since`, by id, with their paths; None for one that had errors. None: not looked at."""
    since: str = ""
    """The git ref of `previous`."""
    blocks: Mapping[str, BlockOrigin] = field(default_factory=dict)
    """Where the discharge block of a contract comes from, by contract id, as far as the ledger was asked."""
    measured: Mapping[str, Mapping[str, Sequence[Value]]] = field(default_factory=dict)
    """Values of the evidence that counts today, by falsifier and target."""
    unregistered: Mapping[str, str] | None = None
    """Falsifiers whose evidence is not shown to be younger than its claim, with the reason; None: not looked at."""
    history_problem: str = ""
    """Why evidence could not be compared with git history; empty if it could."""
    baseline: Baseline | None = None
    """Findings that are known; None without a baseline."""
    leftover: Leftover = field(default_factory=Leftover)
    """What nothing needed; known only to late rules."""
    today: date = field(default_factory=lambda: datetime.now(UTC).date())

    @cached_property
    def readable(self) -> tuple[tuple[Loaded, Contract], ...]:
        """Every file whose contract could be read."""
        return tuple((item, item.contract) for item in self.catalog.loaded if item.contract is not None)

    @cached_property
    def files(self) -> tuple[Loaded | Parsed[Any], ...]:
        """Every file that was read: contracts, gates, waivers."""
        return (*self.catalog.loaded, *self.questions.gates, *self.questions.waivers)

    @cached_property
    def by_path(self) -> Mapping[str, Loaded]:
        return {item.path: item for item in self.catalog.loaded}

    @cached_property
    def contract_ids(self) -> frozenset[str]:
        return frozenset(contract.id for _, contract in self.readable)

    @cached_property
    def unreadable_ids(self) -> frozenset[str]:
        """Ids of files with errors, as written or by file name: a reference to one is not known to be wrong."""
        files = [item for item in self.catalog.loaded if item.contract is None]
        named = {_VERSION_SUFFIX.sub("", PurePosixPath(item.path).stem) for item in files}
        return frozenset(named | {item.id for item in files if item.id is not None})

    @cached_property
    def falsifier_ids(self) -> frozenset[str]:
        """Of every contract, and of files with errors as far as they could be parsed."""
        known = {item.id for _, contract in self.readable for item in contract.falsifiers}
        for loaded in self.catalog.loaded:
            if loaded.contract is None:
                known.update(_written_ids(loaded))
        return frozenset(known)

    @cached_property
    def knows_all_falsifiers(self) -> bool:
        """False while a file cannot be parsed at all."""
        return all(item.contract is not None or item.data is not None for item in self.catalog.loaded)

    @cached_property
    def modules(self) -> Modules:
        return Modules(self.root, self.search)

    @cached_property
    def tests(self) -> Mapping[str, tuple[CollectedTest, ...]]:
        """Collected tests by exact node id, and by node id without parameters."""
        found: dict[str, list[CollectedTest]] = {}
        for test in self.collection.tests if self.collection else ():
            for name in dict.fromkeys((test.nodeid, test.base)):
                found.setdefault(name, []).append(test)
        return {name: tuple(tests) for name, tests in found.items()}

    @cached_property
    def bindings(self) -> Mapping[str, tuple[tuple[str, Falsifier], ...]]:
        """(contract id, falsifier) pairs by the node id of each collected test that they name."""
        found: dict[str, list[tuple[str, Falsifier]]] = {}
        for _, contract, _, falsifier in self.falsifiers():
            for test in self.tests.get(falsifier.test, ()):
                found.setdefault(test.nodeid, []).append((contract.id, falsifier))
        return {nodeid: tuple(pairs) for nodeid, pairs in found.items()}

    def is_uncollected(self, path: str) -> bool:
        """Whether pytest failed on this file or on something that it needs, so that what it holds is not known."""
        folders = (parent.as_posix() for parent in PurePosixPath(path).parents)
        return not self._broken.isdisjoint((path, *folders))

    @cached_property
    def _broken(self) -> frozenset[str]:
        """Files and folders that could not be collected; a broken conftest.py breaks its folder."""
        paths = [PurePosixPath(item.path) for item in self.collection.problems] if self.collection else []
        return frozenset((path.parent if path.name == "conftest.py" else path).as_posix() for path in paths)

    def falsifiers(self) -> Iterator[tuple[Loaded, Contract, int, Falsifier]]:
        """Every falsifier with its position in its contract."""
        for loaded, contract in self.readable:
            for index, falsifier in enumerate(contract.falsifiers):
                yield loaded, contract, index, falsifier


def _written_ids(loaded: Loaded) -> Iterator[str]:
    falsifiers = (loaded.data or {}).get("falsifiers")
    for item in falsifiers if isinstance(falsifiers, list) else ():
        name = item.get("id") if isinstance(item, dict) else None
        if isinstance(name, str):
            yield name
