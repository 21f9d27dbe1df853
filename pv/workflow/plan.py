"""What `pv discharge` and `pv challenge` are going to run: falsifiers bound to what pytest collected."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pv.bind.collect import collect
from pv.evidence.redact import Redactor
from pv.load import Loaded
from pv.schema.binding import CollectedTest, Collection
from pv.schema.contract import Contract, Falsifier
from pv.schema.run import Job
from pv.schema.settings import Settings
from pv.schema.verdict import is_weaker, serves
from pv.workflow.select import Selected


@dataclass(frozen=True, slots=True)
class Planned:
    """One falsifier on one target, bound to what pytest collected."""

    loaded: Loaded
    contract: Contract
    falsifier: Falsifier
    job: Job
    unbound: str = ""
    """Why it cannot run; empty if it can."""


def plan(root: Path, settings: Settings, selected: Sequence[Selected], targets: Sequence[str]) -> list[Planned]:
    """Bind every selected falsifier to the tests that pytest collects, for each target it can use."""
    files = list(dict.fromkeys(falsifier.test.split("::", 1)[0] for _, _, falsifier in selected))
    collection = collect(root, settings, files)
    named, redactor = collection.by_name(), Redactor(root)
    return [
        _bind(loaded, contract, falsifier, target, collection, named.get(falsifier.test, ()), redactor)
        for loaded, contract, falsifier in selected
        for target in targets
        if any(serves(target, required) or is_weaker_run(target, required) for required in falsifier.targets)
    ]


def is_weaker_run(target: str, required: str) -> bool:
    """A weaker target is worth running only where it executes the same kernels; `cpu` never stands in for `cuda`."""
    return target != "cpu" and is_weaker(target, required)


def graded(planned: Iterable[Planned]) -> frozenset[tuple[str, str]]:
    """Falsifier and fault of every challenge that has a size."""
    return frozenset(
        (item.falsifier.id, challenge.fault)
        for item in planned
        for challenge in item.falsifier.challenges
        if challenge.grade is not None
    )


def _bind(
    loaded: Loaded,
    contract: Contract,
    falsifier: Falsifier,
    target: str,
    collection: Collection,
    tests: Sequence[CollectedTest],
    redactor: Redactor,
) -> Planned:
    unmarked = [test.nodeid for test in tests if falsifier.id not in test.falsifies]
    unbound = ""
    if not tests:
        path = falsifier.test.split("::", 1)[0]
        problem = next((item.message for item in collection.problems if item.path == path), "")
        unbound = f"{falsifier.test} is not collected by pytest" + (f": {problem}" if problem else "")
    elif unmarked:
        unbound = f'{unmarked[0]} does not carry @pytest.mark.falsifies("{falsifier.id}")'
    job = Job(
        falsifier=falsifier.id,
        contract=contract.id,
        nodeids=tuple(test.nodeid for test in tests),
        target=target,
        timeout_s=falsifier.timeout_s,
    )
    return Planned(loaded, contract, falsifier, job, redactor.text(unbound))
