"""`pv schema` from outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import pv.schema
from support.pv_command import Ended, Pv

COMMITTED = Path(pv.schema.__file__).with_name("contract.schema.json")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Pv:
    return Pv(tmp_path, monkeypatch, capsys)


def test_prints_the_committed_schema(run: Pv) -> None:
    assert run("schema") == Ended(0, COMMITTED.read_text(encoding="utf-8"), "")


def test_writes_a_file(run: Pv) -> None:
    assert run("schema", "--output", "contract.schema.json") == Ended(0, "", "")
    written = (run.folder / "contract.schema.json").read_text(encoding="utf-8")
    assert json.loads(written)["$id"] == "urn:pv-contracts:contract:1"


def test_folder_that_does_not_exist(run: Pv) -> None:
    assert run("schema", "-o", "none/a.json") == Ended(
        2, "", "pv: none/a.json: cannot write the schema: no such file or directory\n"
    )
