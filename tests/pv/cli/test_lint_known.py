"""`pv lint` with what is known: suppressions, a baseline, an older commit, evidence older than its thresholds."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.command import pv as process
from support.history import commit_all
from support.project import CONTRACT, write_project
from support.pv_command import Pv

TOTALS = "1 contract, 1 falsifier: 1 bound, 0 unbound, 0 dangling."
# One warning, missing-reference; with the waiver also one error, expired-waiver.
FORMAT = CONTRACT.replace("kind: kernel", "kind: format")
WAIVED = FORMAT + ("waivers: [{obligation: doubles, owner: me, reason: not yet, expires: 2020-01-01}]\n")


def days(number: int) -> str:
    return (datetime.now(UTC).date() + timedelta(days=number)).isoformat()


def suppression(rule: str = "missing-reference", name: str = "doubling", until: str | None = None) -> str:
    return f"suppress: [{{rule: {rule}, id: {name}, reason: later, owner: me, until: {until or days(30)}}}]\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Pv:
    return Pv(write_project(tmp_path, contract=WAIVED), monkeypatch, capsys)


def put(project: Pv, text: str) -> None:
    project.write("contracts/doubling-v1.yaml", text)


def concise(project: Pv, *arguments: str) -> list[str]:
    """Rules found, then the last line."""
    said = project("lint", "--output-format", "concise", *arguments)
    *findings, last = said.out.splitlines()
    return [*(line.split(": ", 1)[1].split()[0] for line in findings), last]


class TestSuppressions:
    def test_a_finding_can_be_suppressed_and_is_counted(self, project):
        assert concise(project) == ["missing-reference", "expired-waiver", f"{TOTALS} 1 error, 1 warning."]
        put(project, WAIVED + suppression())
        assert concise(project) == ["expired-waiver", f"{TOTALS} 1 error; 1 suppressed."]

    def test_an_error_too(self, project):
        put(project, WAIVED + suppression("expired-waiver", "doubles"))
        assert project("lint").code == 0
        assert concise(project) == ["missing-reference", f"{TOTALS} 1 warning; 1 suppressed."]

    @pytest.mark.parametrize("name", ["doubles", "FALSIFY-DOUBLE-001", "other"])
    def test_only_of_the_id_it_names(self, project, name):
        put(project, FORMAT + suppression(name=name))
        assert concise(project) == ["missing-reference", "unused-suppression", f"{TOTALS} 2 warnings."]

    def test_an_expired_one_hides_nothing(self, project):
        put(project, FORMAT + suppression(until=days(-1)))
        assert concise(project) == ["missing-reference", "expired-suppression", f"{TOTALS} 2 warnings."]

    def test_one_that_lasts_longer_than_a_year_hides_nothing(self, project):
        put(project, FORMAT + suppression(until=days(366)))
        assert concise(project) == [f"{TOTALS} 0 errors, 0 warnings; 1 suppressed."]
        put(project, FORMAT + suppression(until=days(367)))
        assert concise(project) == ["missing-reference", "perpetual-suppression", f"{TOTALS} 2 warnings."]

    def test_a_finding_in_a_test_file_belongs_to_the_contract_that_names_it(self, project):
        put(project, CONTRACT + suppression("missing-marker", "FALSIFY-DOUBLE-001"))
        test = project.folder / "checks/test_double.py"
        test.write_text(test.read_text().replace('@pytest.mark.falsifies("FALSIFY-DOUBLE-001")\n', ""))
        assert concise(project)[:-1] == []
        # The same entry is not called unused by a command that looks at no test.
        assert project("validate", "--output-format", "concise").out.count("unused-suppression") == 0

    def test_an_ignored_rule_leaves_its_suppression_alone(self, project):
        put(project, FORMAT + suppression())
        assert concise(project, "--ignore", "missing-reference") == [f"{TOTALS} 0 errors, 0 warnings."]

    @pytest.mark.parametrize("rule", ["edited-discharge", "unknown-key", "unused-suppression", "missing-version-bump"])
    def test_what_keeps_pv_honest_cannot_be_suppressed(self, project, rule):
        put(project, CONTRACT + suppression(rule))
        assert concise(project) == ["unknown-suppressed-rule", f"{TOTALS} 1 error."]

    def test_a_file_with_errors_is_not_excused(self, project):
        put(project, FORMAT.replace("title:", "titel:") + suppression("unknown-key"))
        assert project("lint").code == 1

    def test_it_is_no_part_of_the_claim(self, project):
        put(project, CONTRACT)
        assert process("discharge", cwd=project.folder).code == 0
        path = project.folder / "contracts/doubling-v1.yaml"
        path.write_text(path.read_text().replace("discharge:", suppression() + "discharge:"))
        assert process("status", cwd=project.folder).code == 0

    @pytest.mark.parametrize("key", ["reason", "owner", "until", "id", "rule"])
    def test_every_key_is_needed(self, project, key):
        entry = {"rule": "missing-reference", "id": "doubling", "reason": "r", "owner": "o", "until": days(1)}
        del entry[key]
        put(project, FORMAT + f"suppress: [{json.dumps(entry)}]\n")
        said = project("validate", "--output-format", "concise")
        assert said.code == 1
        assert f"key '{key}' is missing in suppress[0]" in said.out


class TestBaseline:
    FILE = "baseline.json"

    def update(self, project: Pv, *more: str):
        return project("lint", "--baseline", self.FILE, "--baseline-update", *more)

    def known(self, project: Pv, *more: str) -> list[str]:
        return concise(project, "--baseline", self.FILE, *more)

    def entries(self, project: Pv) -> list[dict[str, object]]:
        return json.loads((project.folder / self.FILE).read_text())["entries"]

    def test_what_was_there_is_known_and_what_is_new_is_not(self, project):
        said = self.update(project)
        assert (said.code, said.err) == (0, "pv: baseline.json: 2 added, 0 removed, 2 known now\n")
        assert self.entries(project)[1] == {
            "rule": "missing-reference", "subject": "doubling", "path": "", "key": "kind", "count": 1,
            "until": days(180),
        }  # fmt: skip
        assert self.known(project) == [f"{TOTALS} 0 errors, 0 warnings; 2 in the baseline."]
        put(project, "# moves every line\n" + WAIVED)
        assert self.known(project) == [f"{TOTALS} 0 errors, 0 warnings; 2 in the baseline."]
        put(project, WAIVED.replace("    challenges: [lib.faults:off_by_one]\n", ""))
        assert self.known(project)[:-1] == ["missing-challenge"]

    def test_reading_adds_nothing(self, project):
        project.write(self.FILE, '{"schema": "pv.baseline/1", "entries": []}')
        assert self.known(project)[:-1] == ["missing-reference", "expired-waiver"]
        assert self.entries(project) == []

    def test_a_second_finding_of_the_same_kind_is_new(self, project):
        self.update(project)
        twice = WAIVED.replace("expires: 2020-01-01}]", "expires: 2020-01-01}, {obligation: doubles, owner: you,"
                               " reason: not yet, expires: 2020-01-02}]")  # fmt: skip
        put(project, twice)
        assert self.known(project).count("expired-waiver") == 1

    def test_what_was_mended_is_unused_until_it_is_pruned(self, project):
        self.update(project)
        put(project, FORMAT)
        assert self.known(project) == ["unused-baseline-entry", f"{TOTALS} 1 warning; 1 in the baseline."]
        # An update adds, and never takes out.
        self.update(project)
        assert len(self.entries(project)) == 2
        said = project("lint", "--baseline", self.FILE, "--baseline-prune")
        assert said.err == "pv: baseline.json: 0 added, 1 removed, 1 known now\n"
        assert self.known(project) == [f"{TOTALS} 0 errors, 0 warnings; 1 in the baseline."]

    def test_pruning_adds_nothing(self, project):
        project.write(self.FILE, '{"schema": "pv.baseline/1", "entries": []}')
        project("lint", "--baseline", self.FILE, "--baseline-prune")
        assert self.entries(project) == []

    def test_an_expired_entry_covers_nothing_until_it_is_added_again(self, project):
        put(project, FORMAT)
        self.update(project)
        path = project.folder / self.FILE
        path.write_text(path.read_text().replace(days(180), days(-1)))
        assert self.known(project)[:-1] == ["expired-baseline-entry", "missing-reference"]
        assert self.update(project).err == "pv: baseline.json: 1 added, 0 removed, 1 known now\n"
        assert self.known(project)[:-1] == []

    def test_a_part_of_the_project_shows_everything(self, project):
        self.update(project)
        for part in (["contracts"], ["--select", "missing-reference"]):
            said = project("lint", "--baseline", self.FILE, "--output-format", "concise", *part)
            assert said.err == "pv: baseline.json is ignored: only a part of the project is checked\n"
            assert "missing-reference" in said.out
            assert project("lint", "--baseline", self.FILE, "--baseline-update", *part).code == 2

    def test_entries_of_rules_that_did_not_run_are_left_alone(self, project):
        self.update(project)
        assert self.known(project, "--ignore", "missing-reference") == [
            f"{TOTALS} 0 errors, 0 warnings; 1 in the baseline."
        ]
        project("lint", "--baseline", self.FILE, "--baseline-prune", "--ignore", "missing-reference")
        assert len(self.entries(project)) == 2

    def test_a_file_that_cannot_be_read_is_not_excused(self, project):
        put(project, FORMAT.replace("title:", "titel:"))
        said = self.update(project)
        assert said.code == 1
        assert self.entries(project) == []

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "is not a baseline: expecting value"),
            ("[]", "is not a baseline: : input should be"),
            ('{"schema": "pv.baseline/2", "entries": []}', "is not a baseline: schema"),
            ('{"schema": "pv.baseline/1", "entries": [{}]}', "is not a baseline: entries.0.rule"),
            ('{"schema": "pv.baseline/1", "entries": [], "entries": []}', "key 'entries' stands twice"),
            ("[" * 100_000, "is not a baseline"),
            ('{"schema": "pv.baseline/1", "all": true, "entries": []}', "is not a baseline: all: extra"),
        ],
    )
    def test_another_file_is_refused(self, project, text, message):
        project.write(self.FILE, text)
        said = project("lint", "--baseline", self.FILE)
        assert (said.code, said.out) == (2, "")
        assert message in said.err

    def test_usage(self, project):
        assert project("lint", "--baseline", "none.json").code == 2
        assert project("lint", "--baseline-update").err == (
            "pv: --baseline-update and --baseline-prune need --baseline FILE\n"
        )


class TestSince:
    LOOSE = CONTRACT.replace("limit: 1.0e-6", "limit: 1.0e-3")

    @pytest.fixture
    def committed(self, project: Pv) -> Pv:
        put(project, CONTRACT)
        commit_all(project.folder)
        return project

    def test_a_loosened_contract_must_have_a_higher_major_version(self, committed):
        put(committed, self.LOOSE)
        assert concise(committed) == [f"{TOTALS} 0 errors, 0 warnings."]
        said = committed("lint", "--since", "HEAD", "--output-format", "concise")
        assert said.code == 1
        assert said.out == (
            "contracts/doubling-v1.yaml:2:10: missing-version-bump obligations[doubles].tolerance.limit changed from "
            "1e-06 to 0.001 since HEAD, which is loosened: version 1.0.0 must become 2.0.0 or higher, got 1.0.0\n"
            f"{TOTALS} 1 error.\n"
        )

    def test_with_the_version_it_is_clean(self, committed):
        (committed.folder / "contracts/doubling-v1.yaml").unlink()
        committed.write("contracts/doubling-v2.yaml", self.LOOSE.replace("version: 1.0.0", "version: 2.0.0"))
        assert concise(committed, "--since", "HEAD") == [f"{TOTALS} 0 errors, 0 warnings."]

    def test_unchanged_is_clean_and_new_needs_nothing(self, committed):
        new = CONTRACT.replace("id: doubling", "id: other").replace("DOUBLE-001", "OTHER-001")
        committed.write("contracts/other-v1.yaml", new)
        assert "missing-version-bump" not in concise(committed, "--since", "HEAD")

    def test_a_version_that_went_back(self, committed):
        put(committed, CONTRACT.replace("version: 1.0.0", "version: 0.9.0"))
        assert "version went back from 1.0.0 to 0.9.0 since HEAD" in committed("lint", "--since", "HEAD").out

    def test_a_contract_that_is_gone_is_a_warning(self, committed):
        committed.write("contracts/other-v1.yaml", CONTRACT.replace("id: doubling", "id: other"))
        (committed.folder / "contracts/doubling-v1.yaml").unlink()
        said = committed("lint", "--since", "HEAD", "--output-format", "concise")
        assert (
            "contracts/doubling-v1.yaml:1:1: missing-version-bump contract 'doubling' of HEAD is gone, "
            "with everything it claimed\n"
        ) in said.out
        assert said.code == 0

    def test_a_contract_that_had_errors_there_is_a_warning(self, project):
        put(project, CONTRACT.replace("title:", "titel:"))
        commit_all(project.folder)
        put(project, self.LOOSE)
        said = project("lint", "--since", "HEAD")
        assert "contract 'doubling' had errors at HEAD, so its changes are not known" in said.out
        assert said.code == 0

    def test_a_ref_that_does_not_exist(self, committed):
        said = committed("lint", "--since", "nope")
        assert (said.code, said.out) == (2, "")
        assert "git knows no commit 'nope'" in said.err

    def test_a_folder_is_not_taken_for_a_ref(self, committed):
        assert committed("lint", "--since", "contracts").code == 2

    def test_without_git(self, project):
        said = project("lint", "--since", "HEAD")
        assert (said.code, said.out) == (2, "")
        assert "git" in said.err


class TestRegistration:
    @pytest.fixture
    def discharged(self, project: Pv) -> Pv:
        put(project, CONTRACT)
        assert process("discharge", cwd=project.folder).code == 0
        return project

    def test_committed_before_the_run(self, discharged):
        commit_all(discharged.folder, "2020-01-01T00:00:00Z", "contracts")
        assert concise(discharged) == [f"{TOTALS} 0 errors, 0 warnings."]

    def test_committed_after_the_run(self, discharged):
        commit_all(discharged.folder, "2099-01-01T00:00:00Z", "contracts")
        said = discharged("lint", "--output-format", "concise")
        assert said.code == 0
        assert (
            "threshold-after-evidence evidence of 'FALSIFY-DOUBLE-001' is not registered: its claim was committed at "
            "2099-01-01T00:00:00Z, after the run began\n"
        ) in said.out

    def test_never_committed(self, discharged):
        path = discharged.folder / "contracts/doubling-v1.yaml"
        text = path.read_text()
        path.write_text(text.replace("limit: 1.0e-6", "limit: 1.0e-9"))
        commit_all(discharged.folder, "2020-01-01T00:00:00Z", "contracts")
        path.write_text(text)
        assert "is not registered: its claim is in no commit" in discharged("lint").out

    def test_without_git_it_is_said_once(self, discharged):
        assert concise(discharged) == ["threshold-after-evidence", f"{TOTALS} 1 note."]
        assert "thresholds are not compared with git history: " in discharged("lint").out
