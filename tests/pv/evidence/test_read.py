"""What counts as evidence, what does not, and what stops everything."""

import hashlib
import json

import pytest

from pv.errors import EvidenceError
from pv.evidence.ledger import Ledger
from pv.evidence.read import read_evidence
from pv.evidence.store import Store
from support.records import make_statement
from support.stores import HOST, add_run, files_of, rewritten, write_files


def counted(folder):
    return [stored.statement.predicate.run for stored in read_evidence(folder).records]


def test_a_finished_run_counts(tmp_path):
    add_run(tmp_path, "r1", [{}, {"falsifier": "F-2"}])
    assert counted(tmp_path) == ["r1", "r1"]
    assert read_evidence(tmp_path).notes() == ()


def test_no_store_is_no_evidence(tmp_path):
    assert read_evidence(tmp_path / "none").records == ()


def test_an_interrupted_run_may_refute_and_never_proves(tmp_path):
    add_run(tmp_path, "r1", [{}, {"falsifier": "F-2", "result": "FAIL"}], end=False)
    found = read_evidence(tmp_path)
    assert [stored.statement.predicate.falsifier for stored in found.records] == ["F-2"]
    assert found.notes() == (
        "1 evidence records do not count: the run that wrote them was interrupted",
        "1 runs have no end, aborted or still running: r1",
    )


def test_a_record_that_no_line_names_counts_for_nothing(tmp_path):
    add_run(tmp_path, "r1", [{}])
    Store(tmp_path).add(make_statement(run="r1", falsifier="F-9"))
    found = read_evidence(tmp_path)
    assert len(found.records) == 1
    assert found.notes() == ()
    assert found.problems() == ("1 evidence records do not count: no ledger line names this record; "
                             "it was not written by a run",)  # fmt: skip


@pytest.mark.parametrize("started", ["2999-01-01T00:00:00Z", "2026-01-01T00:00:00", "soon"])
def test_a_record_without_a_possible_time_counts_for_nothing(tmp_path, started):
    add_run(tmp_path, "r1", [{"started": started}])
    found = read_evidence(tmp_path)
    assert found.records == ()
    assert found.notes() == ()
    assert found.problems() == ("1 evidence records do not count: they are from the future, or have no valid time",)


def test_records_of_another_version_are_counted_and_left_aside(tmp_path):
    """As after an update of pv: intact, named by the ledger, unreadable."""
    add_run(tmp_path / "old", "r1", [{}])
    files = files_of(tmp_path / "old")
    record = next(name for name in files if name.startswith("records/"))
    name, data = rewritten(files.pop(record), lambda value: value.update(predicateType="urn:pv-contracts:evidence:0"))
    folder = write_files(tmp_path / "new", {name: data})
    ledger = Ledger(folder, HOST)
    ledger.append("intent", run="r1", time="t", planned=[["FALSIFY-DOUBLE-001", "cpu"]])
    ledger.append("result", run="r1", time="t", falsifier="FALSIFY-DOUBLE-001", target="cpu", result="PASS",
                  evidence=f"sha256:{name.split('/')[1][:-5]}")  # fmt: skip
    ledger.append("end", run="r1", time="t", results=1)
    found = read_evidence(folder)
    assert found.records == ()
    assert found.notes() == (
        "1 evidence records do not count: is of version urn:pv-contracts:evidence:0; "
        "this pv reads urn:pv-contracts:evidence:1",
    )


@pytest.mark.parametrize("result", ["FAIL", "TIMEOUT"])
def test_deleting_the_record_of_a_bad_attempt_stops_everything(tmp_path, result):
    """Run it five times, keep the good one, delete the rest."""
    bad = [add_run(tmp_path, f"r{number}", [{"result": result, "run": f"r{number}"}])[0] for number in range(4)]
    add_run(tmp_path, "r4", [{}])
    for digest in bad:
        Store(tmp_path).path_of(digest).unlink()
    with pytest.raises(EvidenceError, match=r"is missing or unreadable; restore it from git, and 3 more problems"):
        read_evidence(tmp_path)


def test_a_line_that_says_more_than_its_record_stops_everything(tmp_path):
    add_run(tmp_path, "r1", [{"result": "FAIL"}])
    ledger = tmp_path / f"ledger/{HOST}.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b'"FAIL"', b'"PASS"'))
    with pytest.raises(
        EvidenceError, match=r"host-0\.jsonl:2: was changed after it was written.* see pv evidence verify"
    ):
        read_evidence(tmp_path)


def test_half_a_line_at_the_end_is_nothing(tmp_path):
    add_run(tmp_path, "r1", [{}])
    with (tmp_path / f"ledger/{HOST}.jsonl").open("ab") as file:
        file.write(b'{"digest":"00')
    assert counted(tmp_path) == ["r1"]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b'{"a":1,"a":2}', "a key stands twice"),
        (b'{"a":1e999}', "1e999 is out of range"),
        (b'{"a":NaN}', "NaN is not a number"),
        (b'\xef\xbb\xbf{}', "BOM"),
        (b'{}x', "Extra data"),
        (b'"\xff"', "utf-8"),
        (b"[" * 100_000, "nested too deeply"),
    ],
    ids=["duplicate", "range", "nan", "bom", "trailing", "utf-8", "deep"],
)  # fmt: skip
def test_loose_json_is_a_problem_and_no_crash(tmp_path, data, problem):
    write_files(tmp_path, {f"records/{hashlib.sha256(data).hexdigest()}.json": data})
    with pytest.raises(EvidenceError, match=problem):
        read_evidence(tmp_path)


def test_the_order_of_two_stores_of_one_host_does_not_come_from_clocks(tmp_path):
    """A clock that jumps back between two runs breaks nothing: the chain, not the time, orders a ledger."""
    add_run(tmp_path, "r1", [{"started": "2026-06-01T00:00:00Z"}])
    add_run(tmp_path, "r2", [{"started": "2020-01-01T00:00:00Z"}])
    assert sorted(counted(tmp_path)) == ["r1", "r2"]
    entries = [json.loads(line) for line in (tmp_path / f"ledger/{HOST}.jsonl").read_text().splitlines()]
    assert [entry["index"] for entry in entries] == list(range(6))
