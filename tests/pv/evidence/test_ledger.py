import json

import pytest

from pv.errors import EvidenceError
from pv.evidence.ledger import GENESIS, Ledger


@pytest.fixture
def ledger(tmp_path):
    made = Ledger(tmp_path, "host-1")
    for number in range(5):
        made.append("result", run="r", time=f"t{number}", falsifier=f"F-{number}")
    return made


def test_lines_are_chained_from_genesis(ledger):
    entries = [json.loads(line) for line in ledger.path.read_text().splitlines()]
    assert [entry["index"] for entry in entries] == [0, 1, 2, 3, 4]
    assert entries[0]["prev"] == GENESIS
    assert ledger.verify() == []


def lines_of(ledger):
    return ledger.path.read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("position", range(4))
def test_a_removed_line_is_found(ledger, position):
    lines = lines_of(ledger)
    del lines[position]
    ledger.path.write_bytes(b"".join(lines))
    assert any("does not follow" in problem for problem in ledger.verify())


@pytest.mark.parametrize("position", range(4))
def test_swapped_lines_are_found(ledger, position):
    lines = lines_of(ledger)
    lines[position], lines[position + 1] = lines[position + 1], lines[position]
    ledger.path.write_bytes(b"".join(lines))
    assert ledger.verify() != []


def test_an_edited_line_breaks_the_one_after_it(ledger):
    ledger.path.write_bytes(ledger.path.read_bytes().replace(b"F-2", b"F-9"))
    assert [problem.split(":")[1] for problem in ledger.verify()] == ["4"]


def test_half_a_line_at_the_end_is_refused_and_kept(ledger):
    data = ledger.path.read_bytes()[:-10]
    ledger.path.write_bytes(data)
    with pytest.raises(EvidenceError, match="ends in half a line"):
        ledger.append("end", run="r", time="t")
    assert ledger.path.read_bytes() == data


def test_a_long_ledger_is_continued_from_its_last_line(tmp_path):
    made = Ledger(tmp_path, "host-1")
    for _ in range(3):
        made.append("intent", run="r", time="t", planned=["x" * 20_000])
    made.append("end", run="r", time="t")
    assert made.verify() == []
