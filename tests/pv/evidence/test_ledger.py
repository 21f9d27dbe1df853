"""The chain of one host: what an append writes, and what every kind of damage looks like."""

import hashlib
import json

import pytest

from pv.errors import EvidenceError
from pv.evidence.ledger import GENESIS, Ledger, is_torn


@pytest.fixture
def ledger(tmp_path):
    made = Ledger(tmp_path, "host-1")
    made.append("intent", run="r", time="t0", planned=[[f"F-{number}", "cpu"] for number in range(3)])
    for number in range(3):
        made.append("result", run="r", time=f"t{number}", falsifier=f"F-{number}", target="cpu", result="PASS",
                    evidence="sha256:" + "0" * 64)  # fmt: skip
    made.append("end", run="r", time="t3", results=3)
    return made


def lines_of(ledger):
    return ledger.path.read_bytes().splitlines(keepends=True)


def write(ledger, lines):
    ledger.path.write_bytes(b"".join(lines))


def test_lines_are_chained_from_genesis(ledger):
    lines = lines_of(ledger)
    entries = [json.loads(line) for line in lines]
    assert [entry["index"] for entry in entries] == [0, 1, 2, 3, 4]
    assert [entry["prev"] for entry in entries] == [GENESIS, *(hashlib.sha256(line).hexdigest() for line in lines[:-1])]
    assert ledger.verify() == []


def test_several_lines_at_once_are_the_lines_one_by_one(tmp_path):
    entries = [("intent", {"planned": [["F", "cpu"]]}), ("end", {"results": 1})]
    together, apart = Ledger(tmp_path / "a", "host-1"), Ledger(tmp_path / "b", "host-1")
    together.path.parent.mkdir(parents=True)
    together.path.write_bytes(b'{"event"')
    apart.path.parent.mkdir(parents=True)
    apart.path.write_bytes(b'{"event"')
    together.extend(entries, run="r", time="t")
    for event, fields in entries:
        apart.append(event, run="r", time="t", **fields)
    assert together.path.read_bytes() == apart.path.read_bytes()
    assert [json.loads(line).get("cut_bytes") for line in lines_of(together)] == [8, None]
    assert together.verify() == []


def test_a_line_carries_the_digest_of_the_rest_of_it(ledger):
    entry = json.loads(lines_of(ledger)[1])
    said = entry.pop("digest")
    plain = json.dumps(entry, sort_keys=True, separators=(",", ":")) + "\n"
    assert said == hashlib.sha256(plain.encode()).hexdigest()


@pytest.mark.parametrize("position", range(4))
def test_a_removed_line_is_found(ledger, position):
    lines = lines_of(ledger)
    del lines[position]
    write(ledger, lines)
    assert any(f"index is {position + 1}; expected {position}" in problem for problem in ledger.verify())


@pytest.mark.parametrize("position", range(4))
def test_swapped_lines_are_found(ledger, position):
    lines = lines_of(ledger)
    lines[position], lines[position + 1] = lines[position + 1], lines[position]
    write(ledger, lines)
    assert len(ledger.verify()) >= 2


def test_a_repeated_line_is_found(ledger):
    lines = lines_of(ledger)
    write(ledger, [*lines, lines[-1]])
    assert ledger.verify() == ["ledger/host-1.jsonl:6: index is 4; expected 5"]


def test_a_line_from_another_ledger_is_found(ledger, tmp_path):
    other = Ledger(tmp_path / "other", "host-1")
    other.append("intent", run="x", time="t", planned=[])
    lines = lines_of(ledger)
    write(ledger, [*lines_of(other), *lines[1:]])
    assert ledger.verify() == ["ledger/host-1.jsonl:2: does not follow from the line before it"]


def test_a_changed_bit_of_any_line_is_found(ledger):
    """Also of the last one, which no other line vouches for."""
    good = ledger.path.read_bytes()
    last = 8 * (len(good) - len(lines_of(ledger)[-1]))
    for bit in [*range(0, last, 29), *range(last, 8 * len(good), 3)]:
        changed = bytearray(good)
        changed[bit // 8] ^= 1 << bit % 8
        ledger.path.write_bytes(changed)
        assert ledger.verify() != [], bit


def test_another_spelling_of_the_same_line_is_found(ledger):
    lines = lines_of(ledger)
    write(ledger, [*lines[:-1], json.dumps(json.loads(lines[-1])).encode() + b"\n"])
    assert ledger.verify() == ["ledger/host-1.jsonl:5: was changed after it was written"]


@pytest.mark.parametrize("kept", range(1, 9))
def test_a_torn_append_is_no_line_and_the_next_one_cuts_it_off(ledger, kept):
    lines = lines_of(ledger)
    torn = lines[-1][: len(lines[-1]) * kept // 9]
    write(ledger, [*lines[:-1], torn])
    assert ledger.verify() == []
    assert [line.is_torn for line in ledger.lines()] == [False] * 4 + [True]
    ledger.append("end", run="r", time="t3", results=3)
    assert ledger.verify() == []
    assert json.loads(lines_of(ledger)[-1])["cut_bytes"] == len(torn)


@pytest.mark.parametrize("tail", [b"*", b"}", b"\x8a", b"\x0b", b" {}"], ids=["star", "brace", "byte", "vt", "object"])
def test_a_last_line_whose_end_was_changed_is_not_taken_for_torn(ledger, tail):
    data = ledger.path.read_bytes()[:-1] + tail
    ledger.path.write_bytes(data)
    assert ledger.verify() != []
    with pytest.raises(EvidenceError, match="was not left by an interrupted run"):
        ledger.append("end", run="r", time="t", results=0)
    assert ledger.path.read_bytes() == data


def test_a_line_is_torn_wherever_it_ends():
    line = '{"event":"intent","planned":[["é","cpu"]],"n":1.5}'.encode()
    assert all(is_torn(line[:end]) for end in range(1, len(line) + 1))


def test_nothing_is_appended_to_a_damaged_last_line(ledger):
    write(ledger, [*lines_of(ledger)[:-1], b'{"event":"end"}\n'])
    with pytest.raises(EvidenceError, match=r"ledger/host-1\.jsonl: its last line is damaged"):
        ledger.append("end", run="r", time="t", results=0)


def test_a_long_ledger_is_continued_from_its_last_line(tmp_path):
    made = Ledger(tmp_path, "host-1")
    for size in (20_000, 100_000, 300_000):
        made.append("intent", run="r", time="t", planned=["x" * size])
    made.append("end", run="r", time="t", results=0)
    assert made.verify() == []
