"""Pre-registration in a fresh clone without history, as CI makes it: said clearly; no crash, no silent pass."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from support.command import pv
from support.history import commit_all
from support.project import write_project
from support.pv_command import Pv

GATE = "id: {id}\nquestion: May it ship?\ntargets: [cpu]\nrequires: [doubling]\nregistered: {registered}\n"
SAID = "thresholds are not compared with git history: the clone is shallow; run git fetch --unshallow"


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two commits: the claim, then the evidence that meets it."""
    root = write_project(tmp_path_factory.mktemp("origin"))
    for name, registered in (("ship", "false"), ("ship-registered", "true")):
        path = root / f"contracts/gates/{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(GATE.format(id=name, registered=registered))
    commit_all(root, "2020-01-01T00:00:00Z")
    assert pv("discharge", cwd=root).code == 0
    commit_all(root, "2020-01-02T00:00:00Z")
    return root


@pytest.fixture(params=[None, 1], ids=["whole", "depth 1"])
def clone(request, origin, tmp_path, monkeypatch, capsys) -> tuple[Pv, bool]:
    depth = [] if request.param is None else [f"--depth={request.param}"]
    command = ["git", "clone", "-q", *depth, origin.as_uri(), str(tmp_path / "clone")]
    subprocess.run(command, check=True, capture_output=True)
    return Pv(tmp_path / "clone", monkeypatch, capsys), request.param is not None


def test_lint_says_once_that_it_cannot_tell(clone):
    run, is_shallow = clone
    said = run("lint", "--select", "threshold-after-evidence", "--output-format", "json")
    found = [(item["rule"], item["severity"], item["message"]) for item in json.loads(said.out)["findings"]]
    assert (said.code, said.err) == (0, "")
    assert found == ([("threshold-after-evidence", "info", SAID)] if is_shallow else [])


def test_a_gate_says_it_beside_its_answer(clone):
    run, is_shallow = clone
    said = run("gate", "ship")
    assert (said.code, said.err) == (0, "")
    assert (f"{SAID} (FALSIFY-DOUBLE-001)" in said.out) == is_shallow


def test_a_gate_that_asks_for_registered_evidence_cannot_decide(clone):
    run, is_shallow = clone
    said = run("gate", "ship-registered")
    assert (said.code, said.err) == ((4, "") if is_shallow else (0, ""))
    assert (SAID in said.out) == is_shallow


def test_history_that_is_fetched_later_decides(clone):
    run, _ = clone
    subprocess.run(["git", "fetch", "-q", "--unshallow"], cwd=run.folder, check=False, capture_output=True)
    assert run("gate", "ship-registered").code == 0
