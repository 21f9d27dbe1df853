"""Print how long `pv status` and `pv evidence verify` take over many records: `python tests/bench/status.py [sizes]`.

The least of three runs each. Ten records for each falsifier, ten falsifiers for each contract, every record fresh.
The goals are 5 s and 10 s for 10,000 records on two cores, and a straight line: CPU for each record stays level.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from cost import heading, least, line, python

from pv.config import load_settings
from pv.workflow.select import readable_catalog
from pv.workflow.standings import fingerprints
from support.project import CONTRACT, write_project
from support.stores import add_run

ATTEMPTS = 10
FALSIFIERS = 10


def project(root: Path, records: int) -> None:
    """A project whose store holds as many records, all of them PASS with the inputs as they are."""
    write_project(root)
    (root / "contracts/doubling-v1.yaml").unlink()
    head, one = CONTRACT.split("falsifiers:\n")
    for number in range(-(-records // (ATTEMPTS * FALSIFIERS))):
        items = [one.replace("DOUBLE-001", f"C{number}-{index}") for index in range(FALSIFIERS)]
        text = head.replace("id: doubling", f"id: doubling-{number}") + "falsifiers:\n" + "".join(items)
        (root / f"contracts/doubling-{number}-v1.yaml").write_text(text, encoding="utf-8")
    _, settings = load_settings(root)
    prints = fingerprints(root, settings)
    predicates = []
    for loaded, falsifier in readable_catalog(root, settings).falsifiers():
        assert loaded.contract is not None
        files = {name: dict(parts) for name, parts in prints.of(loaded.contract, falsifier).files.items()}
        predicates.append({"contract": loaded.contract.id, "falsifier": falsifier.id, "files": files})
    synced, os.fsync = os.fsync, lambda _descriptor: None
    try:
        for attempt in range(ATTEMPTS):
            started = f"2026-01-01T00:00:{attempt:02}Z"
            add_run(root / "evidence", f"r{attempt}", [{**fields, "started": started} for fields in predicates])
    finally:
        os.fsync = synced


def main(sizes: list[int]) -> None:
    for records in sizes:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            project(root, records)
            is_goal = records == 10_000
            heading(f"{records} evidence records, least of 3 runs")
            for name, command, goal_s in (
                ("pv status", ["status"], 5.0),
                ("pv evidence verify", ["evidence", "verify"], 10.0),
            ):
                spent = least(3, python("-m", "pv", *command), root)
                line(name, spent, count=records, wall_goal_s=goal_s if is_goal else None)


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [100, 1_000, 10_000])
