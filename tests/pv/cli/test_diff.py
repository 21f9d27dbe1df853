"""`pv diff` over files, folders and git refs: whole output and exit codes."""

from __future__ import annotations

import json

import pytest

from support.history import commit_all
from support.project import CONTRACT, write_project
from support.pv_command import Pv

LOOSE = CONTRACT.replace("limit: 1.0e-6", "limit: 1.0e-3")
LEGEND = (
    "breaking: another claim; loosened: claims less; both need a major version. "
    "tightened: claims more, minor. editorial: other words, patch.\n"
)


@pytest.fixture
def project(tmp_path, monkeypatch, capsys) -> Pv:
    return Pv(write_project(tmp_path), monkeypatch, capsys)


def test_a_raised_tolerance_needs_a_major_version(project):
    project.write("new.yaml", LOOSE.replace("version: 1.0.0", "version: 1.0.1"))
    said = project("diff", "contracts/doubling-v1.yaml", "new.yaml")
    assert (said.code, said.err) == (1, "")
    assert said.out == (
        "contracts/doubling-v1.yaml -> new.yaml\n"
        "\n"
        "doubling  1.0.0 -> 1.0.1  (new.yaml)\n"
        "  loosened   obligations[doubles].tolerance.limit  1e-06 -> 0.001"
        "  (raised, and the measured value is at most it)\n"
        "  needs a major version, 2.0.0 or higher: has 1.0.1, NOT ENOUGH\n"
        "\n"
        f"{LEGEND}"
        "\n"
        "1 contracts changed, 0 added, 0 removed, 0 unchanged: 1 loosened; 1 versions are not high enough.\n"
    )


def test_with_the_version_that_it_needs_it_is_fine(project):
    project.write("new.yaml", LOOSE.replace("version: 1.0.0", "version: 2.0.0"))
    said = project("diff", "contracts/doubling-v1.yaml", "new.yaml")
    assert said.code == 0
    assert "  needs a major version, 2.0.0 or higher: has 2.0.0\n" in said.out


def test_json(project):
    project.write("new.yaml", LOOSE)
    said = project("diff", "contracts/doubling-v1.yaml", "new.yaml", "--output-format", "json")
    assert said.code == 1
    document = json.loads(said.out)
    assert (document["schema"], document["enough"]) == ("pv.diff/1", False)
    (contract,) = document["contracts"]
    assert (contract["needs"], contract["lowest_version"], contract["enough"]) == ("major", "2.0.0", False)
    (change,) = contract["changes"]
    assert (change["class"], change["key"]) == ("loosened", "obligations[doubles].tolerance.limit")
    assert document["totals"]["changes"] == {"loosened": 1}


def test_comments_and_order_of_keys_are_no_change(project):
    lines = CONTRACT.splitlines()
    project.write("new.yaml", "\n".join(["# a comment", *lines[1:3], lines[0], *lines[3:]]) + "\n")
    said = project("diff", "contracts/doubling-v1.yaml", "new.yaml")
    assert (said.code, said.out.splitlines()[-1]) == (
        0,
        "0 contracts changed, 0 added, 0 removed, 1 unchanged: no changes; every version is high enough.",
    )


def test_folders_are_matched_by_id(project):
    project.write("old/moved-v1.yaml", CONTRACT)
    project.write("old/gone-v1.yaml", CONTRACT.replace("id: doubling", "id: gone"))
    project.write("contracts/fresh-v1.yaml", CONTRACT.replace("id: doubling", "id: fresh"))
    said = project("diff", "old", "contracts")
    assert said.code == 1
    assert "fresh  1.0.0  added  (contracts/fresh-v1.yaml)\n" in said.out
    assert (
        "gone  1.0.0  removed  (old/gone-v1.yaml)\n"
        "  loosened   everything it claimed is gone, and no version can say so: NOT ENOUGH\n"
    ) in said.out
    assert said.out.endswith(
        "0 contracts changed, 1 added, 1 removed, 1 unchanged: no changes; 1 versions are not high enough.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["HEAD~1"], 1),
        (["HEAD~1", "HEAD"], 1),
        (["HEAD~1:contracts", "contracts"], 1),
        (["HEAD~1:contracts/doubling-v1.yaml", "contracts/doubling-v1.yaml"], 1),
        (["HEAD", "HEAD"], 0),
        (["HEAD"], 0),
        (["HEAD", "HEAD~1"], 1),
    ],
)
def test_git_refs(project, arguments, code):
    commit_all(project.folder)
    project.write("contracts/doubling-v1.yaml", LOOSE)
    commit_all(project.folder, "2020-01-02T00:00:00Z")
    said = project("diff", *arguments)
    assert (said.code, said.err) == (code, "")
    assert ("NOT ENOUGH" in said.out) == bool(code)


def test_gates_and_waivers_are_no_contracts(project):
    project.write("contracts/gates/g.yaml", "id: g\n")
    project.write("contracts/waivers/w.yaml", "id: w\n")
    commit_all(project.folder)
    assert project("diff", "HEAD").code == 0
    assert project("diff", "HEAD:contracts").code == 0


def test_a_version_that_went_back_is_not_enough(project):
    project.write("new.yaml", CONTRACT.replace("version: 1.0.0", "version: 0.9.0"))
    said = project("diff", "contracts/doubling-v1.yaml", "new.yaml")
    assert said.code == 1
    assert "  nothing but the version changed, and it went back: NOT ENOUGH\n" in said.out
    assert project("diff", "new.yaml", "contracts/doubling-v1.yaml").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nope"], 2, "pv: 'nope' is neither a file nor a folder here, and git knows no commit 'nope'\n"),
        (["--output=x"], 2, None),
        (["HEAD:../contracts"], 2, "pv: 'HEAD:../contracts' is neither a file, nor a folder, nor a git ref\n"),
        (["HEAD:nowhere"], 2, "pv: 'HEAD:nowhere': git has no such file or folder in HEAD\n"),
        (["lib", "lib"], 3, "pv: no contract in lib, and none in lib\n"),
    ],
)
def test_usage(project, arguments, code, message):
    commit_all(project.folder)
    said = project("diff", *arguments)
    assert (said.code, said.out) == (code, "")
    assert message is None or said.err == message


def test_a_contract_with_errors_cannot_be_compared(project):
    project.write("bad.yaml", CONTRACT.replace("title:", "titel:"))
    said = project("diff", "contracts/doubling-v1.yaml", "bad.yaml")
    assert (said.code, said.out) == (1, "")
    assert said.err == (
        "pv: bad.yaml: bad.yaml:4:1: unknown key 'titel'; did you mean 'title'?; it cannot be compared\n"
    )


def test_outside_a_repository_a_ref_is_refused(project):
    said = project("diff", "HEAD")
    assert said.code == 2
    assert "'HEAD' is neither a file nor a folder here, and git" in said.err
