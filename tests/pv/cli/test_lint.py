"""`pv lint`: output, exit code and files, as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.command import pv as pv_child
from support.project import write_project
from support.pv_command import Ended, Pv

CLEAN = "1 contract, 1 falsifier: 1 bound, 0 unbound, 0 dangling. 0 errors, 0 warnings.\n"
UNMARKED = (
    "checks/test_double.py:6:1: missing-marker "
    "test 'checks/test_double.py::test_double' does not name falsifier 'FALSIFY-DOUBLE-001'\n"
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Pv:
    """A project without findings."""
    return Pv(write_project(tmp_path), monkeypatch, capsys)


@pytest.fixture
def unmarked(project: Pv) -> Pv:
    """A project whose test does not name its falsifier: one warning."""
    edit(project, "checks/test_double.py", '@pytest.mark.falsifies("FALSIFY-DOUBLE-001")\n', "")
    return project


def edit(project: Pv, path: str, old: str, new: str) -> None:
    text = (project.folder / path).read_text(encoding="utf-8")
    assert old in text
    project.write(path, text.replace(old, new))


def test_clean_project(project):
    said = pv_child("lint", cwd=project.folder)
    assert (said.code, said.out, said.err) == (0, CLEAN, "")


def test_warnings_do_not_fail(unmarked):
    last = "1 contract, 1 falsifier: 0 bound, 1 unbound, 0 dangling. 1 warning.\n"
    assert unmarked("lint", "--output-format", "concise") == Ended(0, UNMARKED + last, "")


STRICT = "1 contract, 1 falsifier: 0 bound, 1 unbound, 0 dangling. 1 error.\n"


def test_strict_binding_fails(unmarked):
    said = unmarked("lint", "--strict-test-binding", "--output-format", "concise")
    assert said == Ended(1, UNMARKED + STRICT, "")


def test_strict_binding_by_environment(unmarked, monkeypatch):
    monkeypatch.setenv("PV_STRICT_TEST_BINDING", "1")
    assert unmarked("lint", "--output-format", "concise").code == 1
    assert unmarked("lint", "--no-strict-test-binding", "--output-format", "concise").code == 0


def test_strict_binding_by_settings(unmarked):
    edit(unmarked, "pyproject.toml", "[tool.pv]\n", "[tool.pv]\nstrict-test-binding = true\n")
    assert unmarked("lint", "--output-format", "concise") == Ended(1, UNMARKED + STRICT, "")


def test_exit_zero_for_the_step_that_uploads(unmarked):
    said = unmarked("lint", "--strict-test-binding", "--exit-zero", "--output-format", "sarif")
    assert (said.code, said.err) == (0, "")
    (run,) = json.loads(said.out)["runs"]
    assert [result["level"] for result in run["results"]] == ["error"]


def test_output_goes_to_a_file_and_the_summary_to_stderr(unmarked):
    said = unmarked("lint", "--strict-test-binding", "-o", "out/found.json", "--output-format", "json")
    assert said == Ended(1, "", f"pv: {STRICT}")
    document = json.loads((unmarked.folder / "out/found.json").read_text(encoding="utf-8"))
    assert (document["schema"], document["totals"]["unbound"]) == ("pv.lint/1", 1)


def test_dash_is_stdout(project):
    assert project("lint", "-o", "-") == Ended(0, CLEAN, "")


def test_unwritable_output_is_one_line_and_2(project):
    project.write("file", "")
    said = project("lint", "-o", "file/found.json")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert said.err.startswith("pv: file/found.json: cannot be written")


def test_selected_and_ignored_rules(unmarked):
    assert unmarked("lint", "--select", "dangling-test,orphan-marker").out.endswith(" 0 errors, 0 warnings.\n")
    assert unmarked("lint", "--ignore", "missing-marker").out.endswith(" 0 errors, 0 warnings.\n")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--select", "missing-marks"], "pv: no rule is called 'missing-marks'; did you mean 'missing-marker'?\n"),
        (["--ignore", "PV203"], "pv: no rule is called 'PV203'; 'pv rules' lists them\n"),
        (["nowhere"], "pv: nowhere: no such file or folder\n"),
    ],
    ids=["select", "ignore", "path"],
)
def test_wrong_names_are_usage_errors(project, args, message):
    assert project("lint", *args) == Ended(2, "", message)


def test_wrong_format_names_the_right_ones(project):
    said = project("lint", "--output-format", "xml")
    assert (said.code, said.out) == (2, "")
    assert "'xml'" in said.err
    assert "sarif" in said.err


def test_no_contracts_is_3(project):
    (project.folder / "contracts/doubling-v1.yaml").unlink()
    assert project("lint") == Ended(3, "", "pv: no contract files (*.yaml, *.yml) in contracts/\n")


def test_dangling_test_is_shown_with_its_line(project):
    edit(project, "contracts/doubling-v1.yaml", "::test_double", "::test_duble")
    assert project("lint") == Ended(
        1,
        "error[dangling-test]: falsifier 'FALSIFY-DOUBLE-001' names a test that pytest does not collect: "
        "checks/test_double.py has no 'test_duble'; did you mean 'test_double'?\n"
        "  --> contracts/doubling-v1.yaml:25:11\n"
        "   |\n"
        "25 |     test: checks/test_double.py::test_duble\n"
        "   |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "   = fix: correct the node id, or write the test\n"
        "   = help: pv explain dangling-test\n"
        "\n"
        "1 contract, 1 falsifier: 0 bound, 0 unbound, 1 dangling. 1 error.\n",
        "",
    )
