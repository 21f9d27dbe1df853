"""A store written by a real run, then damaged in every way we can name."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from pv.evidence.ledger import Ledger
from pv.evidence.store import Store
from pv.evidence.verify import verify
from support.command import pv
from support.project import write_project
from support.records import make_statement


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    root = write_project(tmp_path_factory.mktemp("project"))
    for _ in range(2):
        assert pv("discharge", cwd=root).code == 0
    folder = root / "evidence"
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def folder(pristine, tmp_path):
    for name, data in pristine.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path


def ledger_of(folder):
    return next((folder / "ledger").iterdir())


def problems(folder, **options):
    return [str(problem) for problem in verify(folder, **options).problems]


def test_what_a_run_wrote_is_in_order(folder):
    found = verify(folder)
    assert found.problems == []
    assert (found.records, found.lines, found.blocks, found.aborted) == (2, 8, 2, [])
    assert found.unanchored == list(found.heads)


def test_every_sampled_bit_of_every_file_is_found(folder):
    """A changed bit of the very last ledger line is visible only against an anchored head."""
    ledger = ledger_of(folder)
    head = verify(folder).heads
    for path in [*Store(folder).records.iterdir(), ledger]:
        good = path.read_bytes()
        for bit in range(0, 8 * len(good), 53):
            changed = bytearray(good)
            changed[bit // 8] ^= 1 << bit % 8
            path.write_bytes(changed)
            assert problems(folder, anchors=head), (path.name, bit)
        path.write_bytes(good)


def test_a_cut_tail_is_unanchored_without_a_head_and_found_with_one(folder):
    head = verify(folder).heads
    ledger = ledger_of(folder)
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join(lines[:-2]))  # the end of the last run, and its block
    found = verify(folder)
    assert found.problems == []
    assert found.unanchored == [ledger.stem]
    assert len(found.aborted) == 1
    assert any("the anchored line" in problem for problem in problems(folder, anchors=head))


def test_a_missing_ledger_is_found_by_its_anchor(folder):
    head = verify(folder).heads
    ledger_of(folder).unlink()
    assert any("the anchored line" in problem for problem in problems(folder, anchors=head))


def test_a_forged_record_is_in_no_ledger(folder):
    digest = Store(folder).add(make_statement())
    assert any(digest[7:] in problem and "no ledger line" in problem for problem in problems(folder))


def append(folder, **fields):
    ledger = Ledger(folder, ledger_of(folder).stem)
    ledger.append("result", run="r1", time="t", **fields)


def test_a_line_that_contradicts_its_record_is_found(folder):
    digest = Store(folder).add(make_statement(result="FAIL"))
    append(folder, falsifier="FALSIFY-DOUBLE-001", target="cpu", result="PASS", evidence=digest)
    assert any("says result is 'PASS'; its record says 'FAIL'" in problem for problem in problems(folder))


def test_a_removed_record_is_found(folder):
    next(Store(folder).records.iterdir()).unlink()
    assert any("is missing or unreadable" in problem for problem in problems(folder))


def test_a_digest_that_does_not_follow_from_its_files_is_found(folder):
    statement = make_statement()
    digest = Store(folder).add(statement)
    append(folder, falsifier="FALSIFY-DOUBLE-001", target="cpu", result="PASS", evidence=digest)
    assert any("digest of subject 'contract' does not follow" in problem for problem in problems(folder))


def test_evidence_from_the_future_is_refused(folder):
    early = datetime.now(UTC) - timedelta(hours=1)
    assert any("which is in the future" in problem for problem in problems(folder, now=early))


def test_a_pass_and_a_fail_for_the_same_inputs_contradict(folder):
    record = next(Store(folder).records.iterdir())
    value = json.loads(record.read_bytes())
    value["predicate"]["result"] = "FAIL"
    digest = Store(folder).add(make_statement(**value["predicate"]))
    append(folder, falsifier="FALSIFY-DOUBLE-001", target="cpu", result="FAIL", evidence=digest)
    assert any(re.search(r"passed in sha256:\w+ and failed in sha256:\w+ with the same inputs", problem)
               for problem in map(str, verify(folder).conflicts))  # fmt: skip


def test_a_changed_attachment_is_found(folder):
    store = Store(folder)
    store.attach("0" * 64, b"not what the name says")
    assert any("do not have the sha256 of its name" in problem for problem in problems(folder))


def test_a_spliced_line_is_found(folder):
    ledger = ledger_of(folder)
    lines = ledger.read_bytes().splitlines(keepends=True)
    lines.insert(3, lines[2])
    ledger.write_bytes(b"".join(lines))
    assert any("index is 2; expected 3" in problem for problem in problems(folder))
