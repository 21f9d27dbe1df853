"""`pv lint` reads gates and waivers as strictly as contracts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.project import write_project
from support.pv_command import Pv

GATE = "id: ship\nquestion: May it ship?\ntargets: [cpu]\nrequires: [doubling]\n"
WAIVER = (
    "id: later\ncontract: doubling\ntarget: cuda\nowner: kernels team\nreason: no GPU yet\n"
    f"expires: {datetime.now(UTC).date() + timedelta(days=30)}\n"
)
CLEAN = "1 contract, 1 obligation, 1 falsifier checked. 0 errors, 0 warnings.\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Pv:
    found = Pv(write_project(tmp_path), monkeypatch, capsys)
    found.write("contracts/gates/ship.yaml", GATE)
    found.write("contracts/waivers/later.yaml", WAIVER)
    return found


def test_good_ones_are_clean(project):
    said = project("validate")
    assert (said.code, said.out) == (0, CLEAN)


@pytest.mark.parametrize(
    ("path", "text", "line"),
    [
        (
            "gates/ship.yaml",
            GATE.replace("requires", "require"),
            "contracts/gates/ship.yaml:4:1: unknown-key unknown key 'require'; did you mean 'requires'?",
        ),
        (
            "gates/ship.yaml",
            GATE.replace("[cpu]", "[gpu]"),
            "contracts/gates/ship.yaml:3:11: invalid-value expected one of "
            "cpu, cpu-oracle, cuda, cuda:sm_90, cuda-interpreted, cuda-compiled, got 'gpu'",
        ),
        (
            "gates/ship.yaml",
            GATE + "requires: []\n",
            "contracts/gates/ship.yaml:5:1: duplicate-key key 'requires' appears again; first at line 4",
        ),
        (
            "waivers/later.yaml",
            WAIVER.replace("owner: kernels team\n", ""),
            "contracts/waivers/later.yaml:1:1: missing-key key 'owner' is missing",
        ),
        (
            "waivers/later.yaml",
            WAIVER.replace("target: cuda", "target: cuda\naccepts: everything"),
            "contracts/waivers/later.yaml:4:10: invalid-value expected one of unproven, refuted; got 'everything'",
        ),
        (
            "waivers/later.yaml",
            WAIVER[: WAIVER.index("expires")] + "expires: 2020-01-01\n",
            "contracts/waivers/later.yaml:6:10: expired-waiver waiver 'later' by kernels team expired on 2020-01-01",
        ),
        (
            "waivers/early.yaml",
            WAIVER,
            "contracts/waivers/early.yaml:1:5: file-name-mismatch 'later' is not in a file named later.yaml",
        ),
    ],
)
def test_bad_ones_are_findings(project, path, text, line):
    project.write(f"contracts/{path}", text)
    said = project("validate", "--output-format", "concise")
    assert line in said.out.splitlines(), said.out
    assert said.code == (0 if "file-name-mismatch" in line else 1)


def test_a_waiver_without_end(project):
    project.write("contracts/waivers/later.yaml", WAIVER[: WAIVER.index("expires")] + "expires: 2099-01-01\n")
    said = project("validate", "--output-format", "concise")
    assert said.out.startswith("contracts/waivers/later.yaml:6:10: perpetual-waiver waiver 'later' lasts ")


def test_errors_of_a_gate_cannot_be_ignored(project):
    project.write("contracts/gates/ship.yaml", GATE + "answer: YES\n")
    assert project("lint", "--ignore", "unknown-key").code == 1
