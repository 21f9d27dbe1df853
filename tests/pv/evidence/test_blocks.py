"""The ledger's lines about discharge blocks: which block is whose, and what a run leaves that dies in between."""

from __future__ import annotations

import hashlib
import json

import pytest

from pv.discharge.block import with_block
from pv.errors import EvidenceError
from pv.evidence.blocks import Blocks, block_digest
from pv.evidence.merge import merge
from pv.evidence.read import read_evidence
from pv.load import load_text
from pv.schema.contract import Discharge
from pv.schema.store import BlockOrigin, WrittenBlock
from support.project import write_project
from support.pv_command import Pv
from support.stores import add_run, judged

FILE = "contracts/doubling-v1.yaml"


def block(standing: str, *have: str) -> Discharge:
    entry = {"standing": standing, "have": have, "evidence": ["sha256:" + "b" * 64, "sha256:" + "a" * 64]}
    return Discharge.model_validate({"standing": standing, "falsifiers": {"F-1": entry}})


A, B, C = block("PARTIAL", "cpu", "cuda"), block("DISCHARGED", "cpu"), block("OPEN")


def written(host: str, *blocks: Discharge, contract: str = "rope") -> list[WrittenBlock]:
    return [WrittenBlock(contract, block_digest(item), "r", host, "t") for item in blocks]


def test_the_digest_is_of_canonical_json_with_sorted_lists():
    said = (
        '{"falsifiers":{"F-1":{"evidence":["sha256:' + "a" * 64 + '","sha256:' + "b" * 64 + '"],'
        '"have":["cpu","cuda"],"missing":[],"standing":"PARTIAL"}},"standing":"PARTIAL"}\n'
    )
    assert block_digest(A) == "sha256:" + hashlib.sha256(said.encode()).hexdigest()
    assert block_digest(block("PARTIAL", "cuda", "cpu")) == block_digest(A)


def test_a_block_is_known_by_contract_and_the_last_of_any_host_is_current():
    blocks = Blocks([*written("h1", A, B), *written("h2", C, A), *written("h1", C, contract="softmax")])
    origins = {name: blocks.origin("rope", item) for name, item in (("A", A), ("B", B), ("C", C))}
    assert origins == {"A": BlockOrigin.LAST, "B": BlockOrigin.LAST, "C": BlockOrigin.EARLIER}
    assert blocks.origin("rope", block("STALE")) is BlockOrigin.UNKNOWN
    assert blocks.origin("softmax", A) is BlockOrigin.UNKNOWN
    assert blocks.origin("gelu", A) is BlockOrigin.UNRECORDED


def test_a_block_that_is_written_again_is_the_last():
    blocks = Blocks(written("h1", A, B, A))
    assert (blocks.origin("rope", A), blocks.origin("rope", B)) == (BlockOrigin.LAST, BlockOrigin.EARLIER)


def test_after_a_merge_the_blocks_of_every_host_are_known(tmp_path):
    add_run(tmp_path / "a", "r1", [{}], host="host-a", blocks=[("rope", block_digest(A)), ("rope", block_digest(B))])
    add_run(tmp_path / "b", "r2", [{"falsifier": "F-2"}], host="host-b", blocks=[("rope", block_digest(C))])
    for order in ("ab", "ba"):
        folder = tmp_path / order
        merge(folder, [tmp_path / name for name in order])
        assert judged(folder) == (True, True)
        blocks = read_evidence(folder).blocks
        assert [blocks.origin("rope", item).value for item in (A, B, C)] == ["earlier", "last", "last"]


def test_a_line_of_a_run_that_has_not_ended_is_damage(tmp_path):
    add_run(tmp_path, "r1", [{}], end=False, blocks=[("rope", block_digest(A))])
    assert judged(tmp_path) == (False, False)
    with pytest.raises(EvidenceError, match="run r1 has not ended before this block"):
        read_evidence(tmp_path)


@pytest.fixture
def pv(tmp_path, monkeypatch, capsys):
    return Pv(write_project(tmp_path / "project"), monkeypatch, capsys)


def lines(pv: Pv) -> list[str]:
    ledger = next((pv.folder / "evidence/ledger").iterdir())
    return [line for line in ledger.read_text().splitlines() if json.loads(line)["event"] == "block"]


def findings(pv: Pv) -> list[str]:
    said = pv("lint", "--output-format", "json", "--select", "edited-discharge", "--select", "stale-discharge")
    return [item["rule"] for item in json.loads(said.out)["findings"]]


def current(pv: Pv) -> Discharge:
    contract = load_text((pv.folder / FILE).read_bytes(), FILE).contract
    assert contract is not None
    assert contract.discharge is not None
    return contract.discharge


def test_a_run_that_dies_between_the_line_and_the_block_leaves_nothing_that_looks_forged(pv, monkeypatch):
    """Refuted: writing the file first, or the line in the midst of it."""
    assert pv("discharge").code == 0
    first = current(pv)
    (pv.folder / "lib/double.py").write_text("def double(x):\n    return 2 * x + (x == 3)\n")

    def dies(*_: object) -> None:
        raise EvidenceError("killed")

    with monkeypatch.context() as killed:
        killed.setattr("pv.workflow.block.write_atomically", dies)
        assert pv("discharge").err.endswith("killed\n")
    assert (current(pv), len(lines(pv))) == (first, 2)
    # The evidence refutes now what the block says; that is an error, and not that pv never wrote it.
    said = pv("lint")
    assert "the evidence says FALSIFIED" in said.out
    assert "pv never wrote" not in said.out
    assert pv("discharge").code == 1
    assert (current(pv).standing.value, len(lines(pv)), findings(pv)) == ("FALSIFIED", 3, [])


def test_an_earlier_block_put_back_is_stale_and_no_forgery(pv):
    assert pv("discharge").code == 0
    first = (pv.folder / FILE).read_bytes()
    assert pv("discharge").code == 0
    assert current(pv) != load_text(first, FILE).contract.discharge
    (pv.folder / FILE).write_bytes(first)
    assert findings(pv) == ["stale-discharge"]
    assert "pv wrote this discharge block, and another one later" in pv("lint").out


def test_the_block_of_another_contract_is_unknown(pv):
    assert pv("discharge").code == 0
    text = (pv.folder / FILE).read_text().replace("id: doubling\n", "id: tripling\n")
    (pv.folder / FILE).unlink()
    pv.write("contracts/tripling-v1.yaml", text)
    said = pv("lint", "--select", "edited-discharge")
    assert (said.code, "the evidence says OPEN" in said.out) == (1, True)
    opened = with_block(text.encode(), current_open())
    pv.write("contracts/tripling-v1.yaml", opened)
    said = pv("lint", "--select", "edited-discharge")
    assert "no line of a ledger says that pv wrote this discharge block" in said.out
    assert "run 'pv discharge tripling'" in said.out


def current_open() -> Discharge:
    return Discharge.model_validate({"standing": "OPEN", "falsifiers": {"FALSIFY-DOUBLE-001": {"standing": "OPEN"}}})


def test_a_ledger_of_a_pv_that_wrote_no_such_lines_is_told_so_and_mended_by_discharge(pv):
    assert pv("discharge").code == 0
    ledger = next((pv.folder / "evidence/ledger").iterdir())
    whole = ledger.read_bytes()
    ledger.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))  # the block's line is the last one
    assert findings(pv) == ["edited-discharge"]
    said = pv("lint", "--select", "edited-discharge").out
    assert "no line of a ledger says that pv wrote this discharge block; it was typed, or written by a pv that" in said
    assert pv("discharge").code == 0
    assert findings(pv) == []


def test_an_unchanged_block_is_written_into_the_ledger_once(pv):
    """A test that never reaches its claim leaves the contract OPEN, and its block names no evidence."""
    pv.write("lib/double.py", "def double(x):\n    raise ValueError\n")
    for _ in range(2):
        assert pv("discharge").code == 4
    assert (current(pv).standing.value, len(lines(pv)), findings(pv)) == ("OPEN", 1, [])
    pv.write(FILE, with_block((pv.folder / FILE).read_bytes(), B))
    assert set(findings(pv)) == {"edited-discharge"}
    assert pv("discharge").code == 4
    assert (len(lines(pv)), findings(pv)) == (1, [])
