"""Stores of several hosts with all that a run may leave, merged in every order, grouping and direction."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pv.evidence.merge import merge
from pv.evidence.store import Store
from pv.evidence.strict import canonical
from support.stores import FILES, SECOND, add_run, files_of, write_files

ATTACHED: Final = (b"a picture", b"another")
KINDS: Final = ("PASS", "FAIL", "ERROR", "interrupted", "torn", "orphan", "foreign")
"""What a run of a host comes to; the last four are what a killed or a newer pv leaves."""


def add(folder: Path, host: str, number: int, kind: str) -> None:
    """One run of a host; every third one has other inputs, so that some results meet."""
    run, data = f"{host}-{number}", ATTACHED[number % 2]
    digest = hashlib.sha256(data).hexdigest()
    fields: dict[str, Any] = {
        "started": f"2026-01-01T00:00:{number:02}Z",
        "result": kind if kind in ("FAIL", "ERROR") else "PASS",
        "tests_passed": 0 if kind in ("FAIL", "ERROR") else 1,
        "files": {**FILES, "code": {"lib/double.py": f"{number // 3:064}"}},
        "attachments": [{"name": "seen", "sha256": digest, "size_bytes": len(data)}],
    }
    Store(folder).attach(digest, data)
    ledger = folder / "ledger" / f"{host}.jsonl"
    before = ledger.read_bytes().count(b"\n") if ledger.exists() else 0
    add_run(folder, run, [fields], host=host, end=kind not in ("interrupted", "torn", "orphan"))
    lines = ledger.read_bytes().splitlines(keepends=True)
    if kind == "torn":
        ledger.write_bytes(b"".join(lines[: before + 1]) + lines[before + 1][:50])
    elif kind == "orphan":
        ledger.write_bytes(b"".join(lines[: before + 1]))
    elif kind == "foreign":
        newer = canonical({"predicateType": "urn:pv-contracts:evidence:9", "of": run})
        (folder / "records" / f"{hashlib.sha256(newer).hexdigest()}.json").write_bytes(newer)


def snapshots(folder: Path, host: str, kinds: Sequence[str]) -> list[dict[str, bytes]]:
    """The host's store after each of its runs, and before the first."""
    made: list[dict[str, bytes]] = [{}]
    for number, kind in enumerate(kinds):
        add(folder, host, number, kind)
        made.append(files_of(folder))
    return made


def conflicts(histories: Mapping[str, Sequence[str]], seen: Mapping[str, int]) -> int:
    """Inputs with a PASS and a FAIL, from what was planned and not from what was recorded.

    Args:
        seen: host -> how many of its runs are in any store.
    """
    results: defaultdict[int, set[str]] = defaultdict(set)
    for host, kinds in histories.items():
        for number, kind in enumerate(kinds[: seen[host]]):
            results[number // 3].add("PASS" if kind == "foreign" else kind)
    return sum({"PASS", "FAIL"} <= found for found in results.values())


def merged_into(folder: Path, sources: Iterable[Path]) -> dict[str, bytes]:
    """One source after the other."""
    for source in sources:
        merge(folder, [source])
    return files_of(folder)


def trial(base: Path, seed: int) -> int:
    """Three or four stores, each of which has some hosts' ledgers, some of them as they were earlier.

    Returns:
        How many merges were made.
    Raises:
        AssertionError: two of them do not give the same bytes, or the result is not what was planned.
    """
    chosen = random.Random(seed)
    hosts = [f"host-{letter}" for letter in "abc"[: chosen.randint(1, 3)]]
    histories = {host: chosen.choices(KINDS, k=chosen.randint(1, 4)) for host in hosts}
    states = {host: snapshots(base / f"of-{host}", host, kinds) for host, kinds in histories.items()}
    stores, seen = [], dict.fromkeys(hosts, 0)
    for number in range(chosen.choice([3, 4])):
        files: dict[str, bytes] = {}
        for host, made in states.items():
            length = chosen.randint(0, len(made) - 1)
            seen[host] = max(seen[host], length)
            files.update(made[length])
        stores.append(_store(base / f"store{number}", files))

    whole = merge(_store(base / "whole", {}), stores)
    expected = files_of(base / "whole")
    assert whole.result.problems == []
    assert len(whole.result.conflicts) == conflicts(histories, seen), (histories, seen)
    assert bool(SECOND(base / "whole", {}).run()) == bool(whole.result.conflicts)
    again = merge(base / "whole", [*stores, base / "whole"])
    assert (again.records, again.attachments, again.lines) == (0, 0, 0)
    assert files_of(base / "whole") == expected

    orders = list(itertools.permutations(stores))
    for number, order in enumerate(orders):
        assert merged_into(base / f"one{number}", order) == expected, order
    half = len(stores) // 2
    for name, some in (("left", stores[:half]), ("right", stores[half:])):
        merge(_store(base / name, {}), some)
    assert merged_into(base / "left", [base / "right", base / "left"]) == expected
    for number, store in enumerate(stores):
        others = chosen.sample(stores[:number] + stores[number + 1 :], len(stores) - 1)
        assert merged_into(_store(base / f"into{number}", files_of(store)), others) == expected, (store, others)
    return 2 + len(orders) * len(stores) + 4 + len(stores) * (len(stores) - 1)


def _store(folder: Path, files: dict[str, bytes]) -> Path:
    (folder / "ledger").mkdir(parents=True)
    return write_files(folder, files)
