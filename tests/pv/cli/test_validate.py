"""`pv validate` from outside: output, exit code, and one message for each kind of bad input."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from support.contract_text import VALID
from support.pv_command import Ended, Pv, start_pv

CLEAN = VALID + "    challenges: [engine.faults:norm_epsilon]\n"
TYPO = CLEAN.replace("title:", "titel:")


@pytest.fixture
def pv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Pv:
    return Pv(tmp_path, monkeypatch, capsys)


@pytest.fixture
def project(pv: Pv) -> Pv:
    """One clean contract."""
    pv.write("contracts/rms-norm-v1.yaml", CLEAN)
    return pv


def other(name: str, falsifier: str) -> str:
    """CLEAN under other names."""
    text = CLEAN.replace("rms-norm", name).replace("FALSIFY-RMS-001", falsifier)
    return text.replace("no element differs", f"no element of {falsifier} differs")


def test_clean_project_states_its_denominators(project: Pv) -> None:
    assert project("validate") == Ended(0, "1 contract, 1 obligation, 1 falsifier checked. 0 errors, 0 warnings.\n", "")


def test_typo_in_a_key(project: Pv) -> None:
    project.write("contracts/rms-norm-v1.yaml", TYPO)
    assert project("validate") == Ended(
        1,
        "error[unknown-key]: unknown key 'titel'; did you mean 'title'?\n"
        " --> contracts/rms-norm-v1.yaml:4:1\n"
        "  |\n"
        "4 | titel: RMS norm\n"
        "  | ^^^^^\n"
        "  = fix: rename it to 'title'\n"
        "  = help: pv explain unknown-key\n"
        "\n"
        "0 contracts, 0 obligations, 0 falsifiers checked, 1 file not readable. 1 error.\n",
        "",
    )


def test_concise_is_one_line_per_finding(project: Pv) -> None:
    project.write("contracts/rms-norm-v1.yaml", TYPO + "tittle: x\n")
    assert project("validate", "--output-format", "concise") == Ended(
        1,
        "contracts/rms-norm-v1.yaml:4:1: unknown-key unknown key 'titel'; did you mean 'title'?\n"
        "contracts/rms-norm-v1.yaml:25:1: unknown-key unknown key 'tittle'; did you mean 'title'?\n"
        "0 contracts, 0 obligations, 0 falsifiers checked, 1 file not readable. 2 errors.\n",
        "",
    )


def test_json_is_one_document(project: Pv) -> None:
    project.write("contracts/rms-norm-v1.yaml", TYPO)
    ended = project("validate", "--output-format", "json")
    document = json.loads(ended.out)
    assert (ended.code, ended.err) == (1, "")
    assert [(item["rule"], item["key"], item["location"]["line"]) for item in document["findings"]] == [
        ("unknown-key", "titel", 4)
    ]


@pytest.mark.parametrize("name", ["full", "concise", "json", "sarif", "github"])
def test_every_format_ends_with_the_same_code(name: str, project: Pv) -> None:
    assert project("validate", "--output-format", name).code == 0
    project.write("contracts/rms-norm-v1.yaml", TYPO)
    ended = project("validate", "--output-format", name)
    assert (ended.code, ended.err) == (1, "")
    assert "titel" in ended.out


def test_references_are_resolved_over_the_catalog(project: Pv) -> None:
    project.write("contracts/rope-v1.yaml", other("rope", "FALSIFY-ROPE-001") + "depends_on: [rms-norm, rsm-norm]\n")
    project.write("contracts/copy/rope-v1.yaml", other("rope", "FALSIFY-ROPE-002"))
    ended = project("validate", "--output-format", "concise")
    found = [line.split(": ")[1].split()[0] for line in ended.out.splitlines()[:-1]]
    assert ended.code == 1
    assert sorted(found) == ["duplicate-contract-id", "unknown-dependency"]


def test_paths_limit_what_is_reported_not_what_is_known(project: Pv) -> None:
    project.write("contracts/rope-v1.yaml", other("rope", "FALSIFY-ROPE-001") + "depends_on: [rms-norm]\n")
    project.write("contracts/broken-v1.yaml", "id: broken\n")
    ended = project("validate", "contracts/rope-v1.yaml")
    assert ended == Ended(0, "1 contract, 1 obligation, 1 falsifier checked. 0 errors, 0 warnings.\n", "")


def test_works_from_a_folder_below_the_root(project: Pv, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("pyproject.toml", "[tool.pv]\n")
    monkeypatch.chdir(project.folder / "contracts")
    assert project("validate").code == 0
    assert project("validate", "rms-norm-v1.yaml").code == 0


def test_missing_path(project: Pv) -> None:
    assert project("validate", "contrcats") == Ended(2, "", "pv: contrcats: no such file or folder\n")


def test_folder_without_contracts(pv: Pv) -> None:
    assert pv("validate") == Ended(3, "", "pv: no contract files (*.yaml, *.yml) in contracts/\n")
    (pv.folder / "empty").mkdir()
    assert pv("validate", "empty") == Ended(3, "", "pv: no contract files (*.yaml, *.yml) in empty\n")


def test_file_that_is_no_file(project: Pv) -> None:
    os.mkfifo(project.folder / "contracts" / "pipe.yaml")
    assert project("validate") == Ended(2, "", "pv: contracts/pipe.yaml: is not a regular file\n")


def test_dangling_link(project: Pv) -> None:
    (project.folder / "contracts" / "link.yaml").symlink_to("nowhere.yaml")
    assert project("validate") == Ended(
        2, "", "pv: contracts/link.yaml: cannot read the file: no such file or directory\n"
    )


def test_file_without_permission(project: Pv, monkeypatch: pytest.MonkeyPatch) -> None:
    """Permissions do not stop root, so the system call says it instead."""
    real = os.open

    def refuse(path: str | Path, flags: int, *arguments: int) -> int:
        if str(path).endswith("rms-norm-v1.yaml"):
            raise PermissionError(13, "Permission denied")
        return real(path, flags, *arguments)

    monkeypatch.setattr(os, "open", refuse)
    assert project("validate") == Ended(
        2,
        "",
        "pv: contracts/rms-norm-v1.yaml: cannot read the file: permission denied; check its permissions\n",
    )


def test_unknown_key_in_the_configuration(project: Pv) -> None:
    project.write("pyproject.toml", '[tool.pv]\ncontract = ["contracts"]\n')
    ended = project("validate")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "pv: pyproject.toml: [tool.pv] has no key 'contract'; did you mean 'contracts'?\n"


def test_hostile_file_ends_like_any_other(project: Pv) -> None:
    project.write("contracts/deep-v1.yaml", b"[" * 100_000)
    project.write("contracts/latin-v1.yaml", "title: é\n".encode("latin-1"))
    ended = project("validate", "--output-format", "concise")
    assert (ended.code, ended.err) == (1, "")
    assert ended.out == (
        "contracts/deep-v1.yaml:1:1: too-deep more than 64 opening brackets in a row\n"
        "contracts/latin-v1.yaml:1:8: not-utf-8 byte 0xe9 at offset 7 is not UTF-8\n"
        "1 contract, 1 obligation, 1 falsifier checked, 2 files not readable. 2 errors.\n"
    )


def test_terminal_controls_in_a_contract_do_not_reach_the_terminal(project: Pv) -> None:
    project.write("contracts/rms-norm-v1.yaml", CLEAN.replace("title: RMS norm", 'title: "\\e[2J"\nti\u202etle: x'))
    ended = project("validate")
    assert ended.code == 1
    assert "\u202e" not in ended.out
    assert "\x1b" not in ended.out


def test_output_without_colour_and_for_any_terminal(tmp_path: Path) -> None:
    """A pipe, NO_COLOR, and an encoding that lacks the characters of the contract."""
    folder = tmp_path / "contracts"
    folder.mkdir()
    (folder / "rms-norm-v1.yaml").write_text(CLEAN + "tité: x\n", encoding="utf-8")
    for env in ({"NO_COLOR": "1"}, {"FORCE_COLOR": "1", "NO_COLOR": "1", "PYTHONIOENCODING": "ascii"}):
        process = start_pv("validate", folder=tmp_path, env=env)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (1, "")
        assert "\x1b" not in out
        assert "tit" in out


def test_nothing_is_written(project: Pv) -> None:
    file = project.folder / "contracts" / "rms-norm-v1.yaml"
    before = file.stat()
    project("validate")
    assert sorted(path.name for path in project.folder.rglob("*")) == ["contracts", "rms-norm-v1.yaml"]
    assert (file.stat()[stat.ST_MTIME], file.read_text()) == (before[stat.ST_MTIME], CLEAN)


def test_internal_error_is_one_line(project: Pv, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("pv.workflow.check.check", broken)
    assert project("validate") == Ended(
        5,
        "",
        "pv: internal error: ZeroDivisionError: division by zero; "
        "set PV_TRACEBACK=1 to see where, and please report it\n",
    )
