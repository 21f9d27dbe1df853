"""Checking a project: which files are read, what is reported, what is counted."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from pv.config import load_settings
from pv.errors import ConfigError, NothingToCheck, UsageError
from pv.report import REPORTERS
from pv.report.findings import Totals
from pv.workflow.check import LINT, VALIDATE, CheckReport, check, find_project
from support.catalogs import GOOD
from support.project import TEST, write_project
from support.pv_command import Pv

TODAY = date(2026, 11, 21)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(write_project(tmp_path))
    return tmp_path


def run(root: Path, *paths: str, stages=VALIDATE, **more) -> CheckReport:
    own_root, settings = load_settings(root)
    return check(own_root, settings, [Path(path) for path in paths], stages=stages, today=TODAY, **more)


def rules(report: CheckReport) -> list[str]:
    return [item.rule for item in report.findings]


def test_validate_counts_and_looks_at_no_test(project):
    (project / "checks/test_double.py").write_text("raise SystemExit('imported')\n", encoding="utf-8")
    report = run(project)
    assert report.totals == Totals(contracts=1, obligations=1, falsifiers=1)
    assert (rules(report), report.has_errors) == ([], False)


def test_lint_collects_and_counts_bindings(project):
    report = run(project, stages=LINT)
    assert report.totals == Totals(contracts=1, obligations=1, falsifiers=1, bound=1, unbound=0, dangling=0)
    assert rules(report) == []


def test_orphans_are_found_in_files_that_no_contract_names(project):
    text = (project / "checks/test_double.py").read_text(encoding="utf-8").replace("DOUBLE-001", "TRIPLE-001")
    (project / "checks/test_triple.py").write_text(text, encoding="utf-8")
    assert rules(run(project, stages=LINT)) == ["orphan-marker"]


def test_with_paths_ids_resolve_in_the_whole_project_but_only_the_paths_are_reported(project):
    rope = GOOD.replace("equations:\n", "depends_on: [doubling]\nequations:\n", 1)
    (project / "contracts/rope-v1.yaml").write_text(rope, encoding="utf-8")
    (project / "contracts/bad-v1.yaml").write_text("id: [\n", encoding="utf-8")
    report = run(project, "contracts/rope-v1.yaml")
    assert (rules(report), report.totals) == ([], Totals(contracts=1, obligations=1, falsifiers=1))
    everything = run(project)
    assert rules(everything) == ["yaml-syntax"]
    assert everything.totals == Totals(contracts=2, obligations=2, falsifiers=2, unreadable=1)


def test_a_clash_with_a_file_elsewhere_is_reported_from_either_side(project):
    shutil.copy(project / "contracts/doubling-v1.yaml", project / "contracts/second-doubling-v1.yaml")
    for path in ("contracts/doubling-v1.yaml", "contracts/second-doubling-v1.yaml"):
        assert "duplicate-contract-id" in rules(run(project, path))


def test_file_outside_the_project_stands_alone(project, tmp_path_factory):
    """Its id is that of a contract of the project, which it is a copy of."""
    copy = tmp_path_factory.mktemp("elsewhere") / "doubling-v1.yaml"
    shutil.copy(project / "contracts/doubling-v1.yaml", copy)
    report = run(project, str(copy))
    assert (rules(report), report.totals.contracts) == ([], 1)


def test_project_reached_through_a_link_is_the_project(project, tmp_path_factory):
    link = tmp_path_factory.mktemp("links") / "project"
    link.symlink_to(project)
    (project / "contracts/doubling-v1.yaml").rename(project / "contracts/other-v1.yaml")
    (finding,) = run(project, str(link / "contracts")).findings
    assert finding.location.path == "contracts/other-v1.yaml"


def test_missing_test_file_is_dangling_and_not_a_collection_error(project):
    (project / "checks/test_double.py").unlink()
    report = run(project, stages=LINT)
    assert rules(report) == ["dangling-test"]
    assert (report.totals.bound, report.totals.unbound, report.totals.dangling) == (0, 0, 1)


def test_broken_test_file_is_a_collection_error_with_its_claim_beside_it(project):
    (project / "checks/test_double.py").write_text("import nothing_of_this_name\n", encoding="utf-8")
    (finding,) = run(project, stages=LINT).findings
    assert (finding.rule, finding.location.path) == ("collection-error", "checks/test_double.py")
    assert [place.path for _, place in finding.related] == ["contracts/doubling-v1.yaml"]
    assert "nothing_of_this_name" in finding.message


def claim_discharged(project: Path) -> None:
    with (project / "contracts/doubling-v1.yaml").open("a", encoding="utf-8") as file:
        file.write("\ndischarge:\n  standing: DISCHARGED\n  falsifiers:\n")
        file.write("    FALSIFY-DOUBLE-001: {standing: DISCHARGED, have: [cpu], missing: [], evidence: []}\n")


def test_without_the_model_blocks_are_said_to_be_unchecked_and_the_rest_is_checked(project):
    claim_discharged(project)
    text = (project / "pyproject.toml").read_text(encoding="utf-8")
    text = text.replace("[tool.pv]\n", '[tool.pv]\nmodel = "models/large.gguf"\n')
    (project / "pyproject.toml").write_text(text, encoding="utf-8")
    report = run(project, stages=LINT)
    assert (rules(report), report.totals.bound) == (["edited-discharge", "unchecked-discharge"], 1)
    assert "no line of a ledger says that pv wrote" in report.findings[0].message
    assert "models/large.gguf" in report.findings[1].message


def test_edited_block_is_compared_with_the_evidence(project):
    claim_discharged(project)
    assert rules(run(project, stages=LINT)) == ["edited-discharge", "edited-discharge"]
    assert rules(run(project, stages=VALIDATE)) == []


def test_rules_ignored_by_the_settings_stay_silent(project):
    (project / "contracts/doubling-v1.yaml").rename(project / "contracts/other-v1.yaml")
    assert rules(run(project)) == ["file-name-mismatch"]
    assert rules(run(project, ignore=["file-name-mismatch"])) == []
    with (project / "pyproject.toml").open("r+", encoding="utf-8") as file:
        text = file.read().replace("[tool.pv]\n", '[tool.pv]\nignore = ["file-name-mismatch"]\n')
        file.seek(0)
        file.write(text)
    assert rules(run(project)) == []


def test_unknown_rules_are_refused_where_they_are_named(project):
    with pytest.raises(UsageError, match=r"^no rule is called 'missing-marks'; did you mean 'missing-marker'\?$"):
        run(project, select=["missing-marks"])
    root, settings = load_settings(project)
    with pytest.raises(ConfigError, match=r"^pyproject.toml: \[tool.pv\] ignore: no rule is called 'x'"):
        check(root, settings.model_copy(update={"ignore": ("x",)}), stages=VALIDATE)


def test_nothing_to_check_is_not_clean(project):
    (project / "empty").mkdir()
    with pytest.raises(NothingToCheck, match="no contract files"):
        run(project, "empty")


def test_report_shows_the_source_of_a_test_file(project):
    text = (project / "checks/test_double.py").read_text(encoding="utf-8").replace("@pytest.mark.falsifies", "# ")
    (project / "checks/test_double.py").write_text(text, encoding="utf-8")
    shown = REPORTERS["full"](run(project, stages=LINT).for_reporter())
    assert " | def test_double(pv):" in shown
    assert " = note: FALSIFY-DOUBLE-001 names this test here: contracts/doubling-v1.yaml:25:11" in shown


@pytest.mark.parametrize("format_", sorted(REPORTERS))
def test_every_format_renders_what_a_check_found(project, format_):
    (project / "contracts/bad-v1.yaml").write_text("id: [\n", encoding="utf-8")
    assert "yaml-syntax" in REPORTERS[format_](run(project).for_reporter())


@pytest.mark.parametrize("place", ["", "contracts", "contracts/doubling-v1.yaml"])
def test_project_is_found_from_the_paths_wherever_the_command_runs(project, place, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    root, settings = find_project([project / place])
    assert (root, settings.falsifiers) == (project.resolve(), ("checks",))


def test_folder_without_any_project_belongs_to_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "contracts").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_project([Path("contracts")])[0] == tmp_path.resolve()
    assert find_project([])[0] == tmp_path.resolve()


def test_a_limit_in_the_evidence_that_is_not_the_contracts_is_found(project, monkeypatch, capsys):
    """Through a real run: the test measures against ten times what its contract says, and passes."""
    (project / "checks/test_double.py").write_text(TEST.replace("limit=1e-6", "limit=1e-5"), encoding="utf-8")
    assert Pv(project, monkeypatch, capsys)("discharge").code == 4
    report = run(project, stages=LINT, ignore=["threshold-after-evidence"])
    assert [item.message for item in report.findings] == [
        "FALSIFY-DOUBLE-001 on cpu measures 'max_abs_error' against at most 1e-05, "
        "the tolerance of 'doubles' is at most 1e-06"
    ]
