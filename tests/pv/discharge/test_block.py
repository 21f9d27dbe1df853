"""The block is replaced; every other byte of the file stays."""

import pytest

from pv.discharge.block import with_block
from pv.load import load_text
from pv.schema.contract import Discharge, FalsifierDischarge
from pv.schema.verdict import Standing
from support.project import CONTRACT

DIGEST = "sha256:" + "ab" * 32
PARTIAL = Discharge(
    standing=Standing.PARTIAL,
    falsifiers={
        "FALSIFY-DOUBLE-001": FalsifierDischarge(
            standing=Standing.PARTIAL, have=("cpu",), missing=("cpu: challenge a.b:c SURVIVED",), evidence=(DIGEST,)
        )
    },
)
FULL = Discharge(
    standing=Standing.DISCHARGED,
    falsifiers={
        "FALSIFY-DOUBLE-001": FalsifierDischarge(standing=Standing.DISCHARGED, have=("cpu",), evidence=(DIGEST,))
    },
)


def test_a_file_without_block_keeps_every_byte_and_gets_one():
    written = with_block(CONTRACT.encode(), PARTIAL)
    assert written.startswith(CONTRACT.encode())
    loaded = load_text(written, "c.yaml")
    assert loaded.findings == ()
    assert loaded.contract is not None
    assert loaded.contract.discharge == PARTIAL


def test_replacing_the_block_twice_leaves_one():
    once = with_block(CONTRACT.encode(), PARTIAL)
    twice = with_block(once, FULL)
    assert twice == with_block(CONTRACT.encode(), FULL)
    assert twice.count(b"discharge:") == 1


def test_what_follows_the_block_stays():
    tail = b"# last words\nreferences: [a paper]\n"
    written = with_block(with_block(CONTRACT.encode(), PARTIAL) + tail, FULL)
    assert written.endswith(tail)
    loaded = load_text(written, "c.yaml")
    assert loaded.contract is not None
    assert loaded.contract.references == ("a paper",)
    assert loaded.contract.discharge == FULL


@pytest.mark.parametrize("text", ['it\'s: "quoted" # not a comment', "- [x]", "cpu: naïve ∑ \u00e9", "no", "1e-3"])
def test_any_text_in_missing_survives_the_round_trip(text):
    block = Discharge(
        standing=Standing.OPEN,
        falsifiers={"FALSIFY-DOUBLE-001": FalsifierDischarge(standing=Standing.OPEN, missing=(text,))},
    )
    loaded = load_text(with_block(CONTRACT.encode(), block), "c.yaml")
    assert loaded.contract is not None
    assert loaded.contract.discharge == block
