"""Stores of several machines become one, whatever the order and however often."""

import hashlib
import itertools
import os
import shutil

import pytest

from pv.errors import EvidenceError
from pv.evidence.merge import merge
from pv.evidence.store import Store
from pv.evidence.verify import verify
from support.stores import add_run, files_of, judged, write_files


@pytest.fixture
def stores(tmp_path):
    """Three machines; the second one's run was aborted, the third attached something."""
    made = [tmp_path / name for name in "abc"]
    add_run(made[0], "r1", [{}, {"falsifier": "F-2"}], host="host-a")
    add_run(made[1], "r2", [{"falsifier": "F-3"}], host="host-b", end=False)
    data = b"a picture"
    digest = hashlib.sha256(data).hexdigest()
    Store(made[2]).attach(digest, data)
    attached = [{"name": "picture", "sha256": digest, "size_bytes": len(data)}]
    add_run(made[2], "r3", [{"falsifier": "F-4", "attachments": attached}], host="host-c")
    return made


def test_everything_committed_arrives(stores, tmp_path):
    merged = merge(tmp_path / "all", stores)
    assert (merged.sources, merged.records, merged.attachments, merged.lines) == (3, 4, 1, 9)
    assert (merged.result.records, len(merged.result.heads), len(merged.result.aborted)) == (4, 3, 1)
    assert merged.result.is_clean
    assert judged(tmp_path / "all") == (True, True)


def test_the_order_does_not_matter(stores, tmp_path):
    results = []
    for number, order in enumerate(itertools.permutations(stores)):
        for source in order:
            merge(tmp_path / f"all{number}", [source])
        results.append(files_of(tmp_path / f"all{number}"))
    assert all(result == results[0] for result in results)


def test_a_second_merge_changes_nothing(stores, tmp_path):
    merge(tmp_path / "all", stores)
    before = files_of(tmp_path / "all")
    again = merge(tmp_path / "all", [*stores, tmp_path / "all"])
    assert (again.records, again.attachments, again.lines) == (0, 0, 0)
    assert files_of(tmp_path / "all") == before


def test_a_later_version_of_a_host_replaces_its_beginning(stores, tmp_path):
    merge(tmp_path / "all", stores)
    add_run(stores[0], "r4", [{"falsifier": "F-5"}], host="host-a")
    assert merge(tmp_path / "all", [stores[0]]).lines == 3
    assert merge(stores[0], [tmp_path / "all"]).lines == 5
    assert files_of(stores[0]) == files_of(tmp_path / "all")


def test_two_stories_about_one_host_are_refused(stores, tmp_path):
    twin = write_files(tmp_path / "twin", files_of(stores[0]))
    add_run(stores[0], "r4", [{"falsifier": "F-5"}], host="host-a")
    add_run(twin, "r5", [{"falsifier": "F-6"}], host="host-a")
    before = files_of(stores[0])
    with pytest.raises(EvidenceError, match=r"host-a\.jsonl tells another story than the one in .*, from line 5 on"):
        merge(stores[0], [twin])
    assert files_of(stores[0]) == before


def test_a_pass_and_a_fail_for_the_same_inputs_are_a_conflict(tmp_path):
    add_run(tmp_path / "a", "r1", [{}], host="host-a")
    add_run(tmp_path / "b", "r2", [{"result": "FAIL"}], host="host-b")
    found = merge(tmp_path / "a", [tmp_path / "b"]).result
    assert found.problems == []
    assert len(found.conflicts) == 1
    assert found.conflicts[0].where == "doubling FALSIFY-DOUBLE-001 on cpu"


@pytest.mark.parametrize("damage", ["bit", "record", "forged"])
def test_a_damaged_source_is_refused_and_nothing_is_written(stores, tmp_path, damage):
    merge(tmp_path / "all", [stores[0]])
    before = files_of(tmp_path / "all")
    record = Store(stores[1]).paths()[0]
    if damage == "record":
        record.unlink()
    elif damage == "bit":
        record.write_bytes(record.read_bytes().replace(b"PASS", b"FAIL"))
    else:
        Store(stores[1]).add(Store(stores[0]).parse(Store(stores[0]).paths()[0]).statement)
    with pytest.raises(EvidenceError, match="nothing was merged"):
        merge(tmp_path / "all", [stores[2], stores[1]])
    assert files_of(tmp_path / "all") == before


def test_a_folder_that_is_no_store_is_refused(stores, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(EvidenceError, match="is no evidence store"):
        merge(stores[0], [tmp_path / "empty"])


def test_half_a_line_stays_behind_and_what_an_interrupted_run_recorded_comes_along(stores, tmp_path):
    ledger = stores[0] / "ledger/host-a.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join(lines[:2]) + lines[2][:30])  # killed between two results
    merged = merge(tmp_path / "all", [stores[0]])
    assert (merged.records, merged.lines, len(merged.result.aborted)) == (2, 2, 1)
    assert judged(tmp_path / "all") == (True, True)


def test_a_merge_that_was_killed_is_finished_by_the_next(stores, tmp_path):
    merge(tmp_path / "all", [stores[0]])
    shutil.copy(Store(stores[2]).paths()[0], tmp_path / "all/records")
    assert verify(tmp_path / "all").problems != []
    assert merge(tmp_path / "all", [stores[2]]).result.is_clean


@pytest.mark.parametrize("failing", range(1, 11))
def test_a_full_disk_leaves_whole_hosts_only(stores, tmp_path, monkeypatch, failing):
    merge(tmp_path / "all", [stores[0]])
    before = files_of(tmp_path / "all")
    real, calls = os.fsync, []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == failing:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EvidenceError, match="No space left on device"):
        merge(tmp_path / "all", [stores[1], stores[2]])
    monkeypatch.undo()
    after = files_of(tmp_path / "all")
    assert before.items() <= after.items()
    assert judged(tmp_path / "all") == (True, True)
    assert merge(tmp_path / "all", stores).result.records == 4
