"""`pv gate` as a user meets it: files on disk, real evidence, whole output, exit codes."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from support.command import pv as process
from support.project import CONTRACT, PYPROJECT, SUBJECT, write_project
from support.pv_command import Pv

GATE = """\
id: ship
question: May doubling ship?
targets: [cpu, cuda]
requires: [doubling]
"""
WAIVER = """\
id: no-gpu-yet
contract: doubling
target: cuda
owner: kernels team
reason: no machine with a GPU before December
expires: 2099-01-31
"""


@pytest.fixture(scope="module")
def discharged(tmp_path_factory) -> Path:
    """A project whose one claim is DISCHARGED on the CPU, with a gate."""
    root = write_project(tmp_path_factory.mktemp("discharged"))
    (root / "contracts/gates").mkdir()
    (root / "contracts/gates/ship.yaml").write_text(GATE)
    assert process("discharge", cwd=root).code == 0
    return root


@pytest.fixture
def project(discharged, tmp_path, monkeypatch, capsys) -> Pv:
    """A copy of it."""
    subprocess.run(["cp", "-r", f"{discharged}/.", str(tmp_path)], check=True)
    return Pv(tmp_path, monkeypatch, capsys)


CUDA = """\
cuda: CANNOT DECIDE
  OPEN        doubling  doubles
              nothing claims it on cuda; FALSIFY-DOUBLE-001 names other targets
              first  let a falsifier of doubles in contracts/doubling-v1.yaml name cuda under targets
              run    pv discharge doubling --target cuda

To turn cuda to YES:
  pv discharge doubling --target cuda
"""
UNREGISTERED = "note: thresholds are not compared with git history: git rev-parse failed: not a git repository"


def test_yes_on_the_cpu(project):
    said = project("gate", "ship", "--target", "cpu")
    assert said.code == 0, said
    assert re.sub(r"git repository.*", "git repository", said.out) == (
        "YES - cpu: YES\n"
        "May doubling ship?  (contracts/gates/ship.yaml)\n"
        "\n"
        "model  none: no evidence that counts used a model\n"
        "\n"
        "              cpu\n"
        "DISCHARGED    1/1\n"
        "worst margin  FALSIFY-DOUBLE-001 max_abs_error 0 <= 1e-06 (margin 100 %)\n"
        "answer        YES\n"
        "\n"
        "rows: falsifiers on the target, and obligations that nothing refutes there; a stored status has no say\n"
        "\n"
        f"{UNREGISTERED} (FALSIFY-DOUBLE-001)\n".replace(" (FALSIFY-DOUBLE-001)", "")
        + "\n"
        "1 contracts, 1 rows on 1 targets, 1 evidence records: 0 in the way, 0 waived.\n"
    )
    assert said.err == ""


def test_what_nobody_claims_on_cuda_cannot_be_decided_there(project):
    said = project("gate", "ship")
    assert said.code == 4
    assert said.out.startswith("CANNOT DECIDE - cpu: YES, cuda: CANNOT DECIDE\n")
    assert CUDA in said.out
    assert said.out.endswith("1 contracts, 2 rows on 2 targets, 1 evidence records: 1 in the way, 0 waived.\n")


def test_json(project):
    said = project("gate", "ship", "--output-format", "json")
    assert said.code == 4
    document = json.loads(said.out)
    assert (document["schema"], document["answer"]) == ("pv.gate/1", "CANNOT DECIDE")
    cpu, cuda = document["targets"]
    assert (cpu["answer"], cpu["counts"]["DISCHARGED"], cpu["rows"], cpu["open"]) == ("YES", 1, 1, [])
    assert cpu["worst_margin"]["falsifier"] == "FALSIFY-DOUBLE-001"
    assert cpu["worst_margin"]["limit"] == 1e-6
    assert cuda["open"][0]["command"] == "pv discharge doubling --target cuda"


def test_github(project):
    said = project("gate", "ship", "--output-format", "github")
    assert said.code == 4
    first, last = said.out.splitlines()
    assert first.startswith(
        "::warning file=contracts/gates/ship.yaml,title=ship on cuda%3A CANNOT DECIDE::doubling doubles is OPEN: "
    )
    assert last.startswith("CANNOT DECIDE - cpu: YES, cuda: CANNOT DECIDE. ")


def test_the_model_is_named_by_its_digest(tmp_path, monkeypatch, capsys):
    root = write_project(
        tmp_path,
        pyproject=PYPROJECT.replace("[tool.pv]", '[tool.pv]\nmodel = "m.bin"'),
        test=(
            "import pytest\nfrom lib import double as subject\n"
            '@pytest.mark.falsifies("FALSIFY-DOUBLE-001")\n'
            "def test_double(pv):\n    assert pv.model.is_file()\n"
            '    pv.record("e", abs(subject.double(3) - 6), limit=1e-6)\n'
        ),
    )
    (root / "m.bin").write_bytes(b"weights")
    (root / "contracts/gates").mkdir()
    (root / "contracts/gates/ship.yaml").write_text(GATE)
    assert process("discharge", cwd=root).code == 0
    said = Pv(root, monkeypatch, capsys)("gate", "ship", "--target", "cpu")
    assert said.code == 0
    # printf weights | sha256sum
    assert "model  m.bin  sha256:9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c\n" in said.out


def test_a_refutation_is_a_no_with_what_to_mend(project):
    (project.folder / "lib/double.py").write_text("def double(x):\n    return 2 * x + 1\n")
    assert process("discharge", cwd=project.folder).code == 1
    said = project("gate", "ship", "--target", "cpu")
    assert said.code == 1
    assert said.out.startswith("NO - cpu: NO\n")
    assert "  FALSIFIED   doubling  FALSIFY-DOUBLE-001\n" in said.out
    assert "first  mend what it refutes: look at lib/double.py\n" in said.out
    assert "run    pv discharge FALSIFY-DOUBLE-001 --target cpu\n" in said.out


def test_a_changed_input_is_stale_and_named(project):
    (project.folder / "lib/double.py").write_text(SUBJECT + "\n# touched\n")
    said = project("gate", "ship", "--target", "cpu")
    assert said.code == 4
    assert "  STALE       doubling  FALSIFY-DOUBLE-001\n" in said.out
    assert "stale, changed since: code (lib/double.py)" in said.out


def test_a_damaged_store_is_a_problem_and_no_yes(project):
    (record,) = (project.folder / "evidence/records").glob("*.json")
    record.write_bytes(record.read_bytes().replace(b'"PASS"', b'"FAIL"', 1))
    said = project("gate", "ship", "--target", "cpu")
    assert said.code == 4
    assert "  problem     evidence: " in said.out
    assert "run    pv evidence verify\n" in said.out


def test_a_typed_block_opens_nothing(project):
    contract = project.folder / "contracts/doubling-v1.yaml"
    written = contract.read_text()
    subprocess.run(["rm", "-r", str(project.folder / "evidence")], check=True)
    assert "standing: DISCHARGED" in written
    said = project("gate", "ship", "--target", "cpu")
    assert said.code == 4
    assert "cpu: no evidence" in said.out


BOTH = GATE.replace("requires: [doubling]", "requires: [doubling, {select: [doubling], on: cpu}]")


class TestWaivers:
    def ask(self, project: Pv, waiver: str, gate: str = BOTH + "waivers: [no-gpu-yet]\n"):
        project.write("contracts/gates/ship.yaml", gate)
        project.write("contracts/waivers/no-gpu-yet.yaml", waiver)
        return project("gate", "ship")

    def soon(self) -> str:
        from datetime import UTC, datetime, timedelta

        return (datetime.now(UTC).date() + timedelta(days=30)).isoformat()

    def test_in_force_and_listed(self, project):
        said = self.ask(project, WAIVER.replace("2099-01-31", self.soon()))
        assert said.code == 0, said
        assert said.out.startswith("YES - cpu: YES, cuda: YES\n")
        assert f"  OPEN, waived until {self.soon()} by kernels team (no-gpu-yet)  doubling  doubles\n" in said.out
        assert f"Waivers in force:\n  no-gpu-yet  until {self.soon()} by kernels team: no machine" in said.out

    def test_not_listed(self, project):
        assert self.ask(project, WAIVER.replace("2099-01-31", self.soon()), BOTH).code == 4

    @pytest.mark.parametrize("day", ["2099-01-31", "2020-01-01"])
    def test_expired_or_endless(self, project, day):
        said = self.ask(project, WAIVER.replace("2099-01-31", day))
        assert said.code == 4
        assert "it does not count" in said.out

    def test_with_an_error(self, project):
        said = self.ask(project, WAIVER.replace("owner: kernels team\n", ""))
        assert (said.code, said.out) == (1, "")
        assert said.err == "pv: contracts/waivers/no-gpu-yet.yaml:1:1: key 'owner' is missing\n"

    def test_words_that_act_on_a_terminal_are_shown_as_escapes(self, project):
        waiver = WAIVER.replace("2099-01-31", self.soon()).replace("kernels team", '"\\e[2Jteam \\u202E"')
        said = self.ask(project, waiver.replace("no machine", '"\\x07no machine').replace("December", 'December"'))
        assert said.code == 0, said
        assert all(char.isprintable() for char in said.out.replace("\n", ""))
        assert "by \\x1b[2Jteam \\u202e (no-gpu-yet)" in said.out
        github = project("gate", "ship", "--output-format", "github").out
        assert all(char.isprintable() for char in github.replace("\n", ""))

    def test_of_two_things_at_once(self, project):
        said = self.ask(project, WAIVER + "obligation: doubles\nfalsifier: FALSIFY-DOUBLE-001\n")
        assert said.code == 1
        assert "a waiver names an obligation or a falsifier, not both" in said.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["shp"], 2, "no gate is called 'shp'; did you mean 'ship'?"),
        (["nothing-like-it"], 2, "no gate is called 'nothing-like-it'; there are ship"),
        (["../gates/ship"], 2, "no gate is called '../gates/ship'; there are ship"),
        (
            ["ship", "--target", "tpu"],
            2,
            "--target 'tpu' is not a target; expected one of cpu, cpu-oracle, cuda, cuda:sm_NN, cuda-interpreted, "
            "cuda-compiled",
        ),
        (
            ["ship", "--target", "cuda-compiled"],
            2,
            "gate 'ship' does not ask about 'cuda-compiled'; it asks about cpu, cuda",
        ),
    ],
)
def test_usage(project, arguments, code, message):
    said = project("gate", *arguments)
    assert (said.code, said.out) == (code, "")
    assert said.err == f"pv: {message}\n"


@pytest.mark.parametrize("requires", ["requires: []", "requires: [tripling]"])
def test_a_gate_that_asks_for_nothing_that_is_there_has_nothing_to_check(project, requires):
    project.write("contracts/gates/ship.yaml", GATE.replace("requires: [doubling]", requires))
    said = project("gate", "ship")
    assert said.code == 3
    assert said.out.startswith("CANNOT DECIDE - cpu: CANNOT DECIDE, cuda: CANNOT DECIDE\n")
    assert said.err == "pv: gate 'ship' requires nothing that is there; nothing was decided\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GATE.replace("requires", "require"), "unknown key 'require'; did you mean 'requires'?"),
        (GATE.replace("id: ship", "id: other"), "its id is 'other'; the file of that id is other.yaml"),
        (GATE.replace("targets: [cpu, cuda]", "targets: []"), "expected at least 1 entry, got none"),
        (GATE + "answer: YES\n", "unknown key 'answer'"),
        ("", "file is empty"),
    ],
)
def test_a_gate_with_an_error_gives_no_answer(project, text, message):
    project.write("contracts/gates/ship.yaml", text)
    said = project("gate", "ship")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("pv: contracts/gates/ship.yaml")
    assert message in said.err


def test_a_broken_contract_gives_no_answer(project):
    project.write("contracts/broken-v1.yaml", CONTRACT.replace("title:", "titel:"))
    said = project("gate", "ship")
    assert (said.code, said.out) == (1, "")


class TestRegistration:
    """Commit times are given by hand: a year before, and a year after, the run."""

    def commit(self, root: Path, when: str) -> None:
        env = {**os.environ, "GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when, "GIT_CONFIG_GLOBAL": "/dev/null"}
        for arguments in (
            ["init", "-q"],
            ["add", "contracts"],
            ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "--allow-empty", "-m", "contract"],
        ):
            subprocess.run(["git", *arguments], cwd=root, env=env, check=True)

    def test_an_older_commit_registers_it(self, project):
        self.commit(project.folder, "2020-01-01T00:00:00Z")
        said = project("gate", "ship", "--target", "cpu")
        assert said.code == 0
        assert "note:" not in said.out

    def test_a_younger_commit_is_flagged(self, project):
        self.commit(project.folder, "2099-01-01T00:00:00Z")
        said = project("gate", "ship", "--target", "cpu")
        assert said.code == 0
        flag = "not registered: its claim was committed at 2099-01-01T00:00:00Z, after the run began"
        assert f"note: {flag} (FALSIFY-DOUBLE-001)\n" in said.out
        project.write("contracts/gates/ship.yaml", GATE + "registered: true\n")
        said = project("gate", "ship", "--target", "cpu")
        assert said.code == 4
        assert flag in said.out
        assert "first  commit contracts/doubling-v1.yaml\n" in said.out

    def test_a_claim_that_was_committed_otherwise_is_flagged(self, project):
        contract = project.folder / "contracts/doubling-v1.yaml"
        written = contract.read_text()
        contract.write_text(written.replace("limit: 1.0e-6", "limit: 1.0e-7"))
        self.commit(project.folder, "2020-01-01T00:00:00Z")
        contract.write_text(written)
        assert "note: not registered: its claim is in no commit (FALSIFY-DOUBLE-001)\n" in project(
            "gate", "ship", "--target", "cpu"
        ).out  # fmt: skip

    def test_an_older_revision_counts_and_a_rename_too(self, project):
        self.commit(project.folder, "2020-01-01T00:00:00Z")
        contract = project.folder / "contracts/doubling-v1.yaml"
        contract.rename(project.folder / "contracts/moved-v1.yaml")
        self.commit(project.folder, "2099-01-01T00:00:00Z")
        assert "note:" not in project("gate", "ship", "--target", "cpu").out

    def test_a_shallow_clone_says_that_it_cannot_tell(self, project):
        self.commit(project.folder, "2020-01-01T00:00:00Z")
        self.commit(project.folder, "2020-01-02T00:00:00Z")
        (project.folder / ".git/shallow").write_text(
            subprocess.run(
                ["git", "rev-parse", "HEAD"], cwd=project.folder, capture_output=True, text=True, check=True
            ).stdout
        )
        said = project("gate", "ship", "--target", "cpu")
        assert "git history: the clone is shallow; run git fetch --unshallow (FALSIFY-DOUBLE-001)\n" in said.out


def test_a_store_that_somebody_changed_opens_no_gate(project):
    """The ledger is replaced by one that never saw the first run, whose record stays."""
    root = project.folder
    (root / "contracts/gates/ship.yaml").write_text(GATE.replace(", cuda", ""))
    assert project("gate", "ship").code == 0
    [ledger] = (root / "evidence/ledger").iterdir()
    ledger.unlink()
    assert process("discharge", cwd=root).code == 0
    said = project("gate", "ship")
    assert said.code == 4
    assert "1 evidence records do not count: no ledger line names this record; it was not written by a run" in said.out
    assert "pv evidence verify" in said.out
