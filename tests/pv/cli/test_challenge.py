"""`pv challenge` as a user runs it."""

from __future__ import annotations

import json
import os
import py_compile
import re
from pathlib import Path
from textwrap import dedent

import pytest

from pv.report.topics import TOPICS
from support.command import pv
from support.project import CONTRACT, FAULTS, PYPROJECT, TEST, write_project

SCALED = """

@contextmanager
def scaled(relative=0.1):
    kept = subject.double

    def wrong(x):
        return kept(x) * (1 + relative)

    subject.double = wrong
    try:
        yield
    finally:
        subject.double = kept
"""
GRADED = CONTRACT.replace("[lib.faults:off_by_one]", "[{fault: lib.faults:scaled, grade: relative}]")
WITH_CATALOGUE = PYPROJECT.replace("[tool.pv]", '[tool.pv]\nfaults = ["lib.faults"]')


def test_declared_faults_are_seeded_and_nothing_is_written(tmp_path: Path) -> None:
    root = write_project(tmp_path)
    said = pv("challenge", cwd=root)
    assert said.code == 0, said
    assert re.sub(r"\d+\.\d s", "TIME", said.out) == (
        "C caught, S survived, B broken, N not applied, . not run\n"
        "\n"
        "                         1\n"
        "FALSIFY-DOUBLE-001  cpu  C\n"
        "\n"
        "  1  lib.faults:off_by_one  caught by 1 of 1\n"
        "\n"
        "1 faults, 0 of them caught by nobody here.\n"
        "1 falsifiers on cpu, 1 pairs run: 1 CAUGHT; 1 of 1 declared caught.\n"
        "0 further runs for sensitivity. TIME.\n"
    )
    assert not (root / "evidence").exists()
    assert (root / "contracts/doubling-v1.yaml").read_text() == CONTRACT


@pytest.mark.parametrize(
    ("fault", "outcome", "code"),
    [("harmless", "SURVIVED", 1), ("never_reached", "NOT_APPLIED", 4), ("no_such_fault", "BROKEN", 4)],
)
def test_fault_that_is_not_caught_is_named(fault: str, outcome: str, code: int, tmp_path: Path) -> None:
    said = pv("challenge", cwd=write_project(tmp_path, contract=CONTRACT.replace("off_by_one", fault)))
    assert said.code == code, said
    assert f"{outcome:<13}FALSIFY-DOUBLE-001  cpu\n             lib.faults:{fault}: " in said.out
    assert f"Caught by nobody:\n  lib.faults:{fault}\n" in said.out


def test_falsifier_without_challenge_is_undecided(tmp_path: Path) -> None:
    root = write_project(tmp_path, contract=CONTRACT.replace("    challenges: [lib.faults:off_by_one]\n", ""))
    said = pv("challenge", cwd=root)
    assert said.code == 4
    assert "UNCHALLENGED FALSIFY-DOUBLE-001  cpu\n" in said.out


def test_falsifier_that_fails_anyway_catches_nothing(tmp_path: Path) -> None:
    """Its failure under a fault would prove nothing: it fails without one."""
    root = write_project(tmp_path, subject="def double(x):\n    return 2 * x + 1\n")
    said = pv("challenge", cwd=root)
    assert said.code == 4
    assert "FAIL         FALSIFY-DOUBLE-001  cpu\n             without any fault: AssertionError: max_abs" in said.out
    assert "FALSIFY-DOUBLE-001  cpu  B\n" in said.out
    assert "0 of 1 declared caught" in said.out


def test_test_that_does_not_exist_is_named(tmp_path: Path) -> None:
    said = pv("challenge", cwd=write_project(tmp_path, contract=CONTRACT.replace("::test_double", "::test_gone")))
    assert said.code == 4
    assert "without any fault: checks/test_double.py::test_gone is not collected by pytest" in said.out


def test_all_tries_the_catalogue_and_says_what_nobody_catches(tmp_path: Path) -> None:
    root = write_project(tmp_path, pyproject=WITH_CATALOGUE)
    said = pv("challenge", "--all", cwd=root)
    assert said.code == 0, said
    assert said.out.startswith(
        "lib.faults  1 of 3\n"
        "  C   lib.faults:off_by_one\n"
        "      FALSIFY-DOUBLE-001 cpu\n"
        "  -   lib.faults:harmless\n"
        "      NOBODY: 1 falsifiers passed with it\n"
        "  -   lib.faults:never_reached\n"
        "      NOBODY: 1 falsifiers never ran its code\n"
    )
    assert "3 pairs run: 1 CAUGHT, 1 NOT_APPLIED, 1 SURVIVED; 1 of 1 declared caught." in said.out
    said = pv("challenge", "--all", "--matrix", cwd=root)
    assert "FALSIFY-DOUBLE-001  cpu  C  S  N\n" in said.out
    assert pv("challenge", "--all", "--at-least", "30", cwd=root).code == 1


def test_undeclared_fault_is_caught_by_a_run_of_its_own(tmp_path: Path) -> None:
    """The harmless one is declared, so that the falsifier is no longer known to catch the other."""
    contract = CONTRACT.replace("off_by_one", "harmless")
    root = write_project(tmp_path, contract=contract, pyproject=WITH_CATALOGUE)
    found = json.loads(pv("challenge", "--all", "--output-format", "json", cwd=root).out)
    by_fault = {fault["fault"]: fault["caught_by"] for fault in found["faults"]}
    assert by_fault == {
        "lib.faults:off_by_one": ["FALSIFY-DOUBLE-001  cpu"],
        "lib.faults:harmless": [],
        "lib.faults:never_reached": [],
    }
    said = pv("challenge", "--all", "--output-format", "markdown", cwd=root)
    assert "| `lib.faults:off_by_one` |  | FALSIFY-DOUBLE-001 cpu |" in said.out


def test_compiled_copies_are_removed_before_anything_runs(tmp_path: Path) -> None:
    """A copy that says something else than its source would decide."""
    root = write_project(tmp_path)
    source = root / "lib" / "double.py"
    good = source.read_text()
    when = (1_700_000_000, 1_700_000_000)
    source.write_text(good.replace("2 * x", "3 * x"))
    os.utime(source, when)
    py_compile.compile(str(source), doraise=True)
    source.write_text(good)
    os.utime(source, when)
    said = pv("challenge", cwd=root)
    assert said.code == 0, said


def test_fault_that_cannot_reach_a_falsifier_is_not_tried(tmp_path: Path) -> None:
    """One that names nothing could reach everything, and is tried."""
    root = write_project(tmp_path)
    (root / "lib" / "other.py").write_text("x = 1\n")
    (root / "lib" / "more.py").write_text(
        FAULTS.replace("from lib import double as subject", "from lib import other as subject")
    )
    said = pv("challenge", "--all", "--catalogue", "lib.more", cwd=root)
    assert said.code == 0, said
    assert "2 pairs run" in said.out
    assert "  lib.more:off_by_one\n      NOBODY: no falsifier that ran could meet it\n" in said.out
    assert "  lib.more:never_reached\n      NOBODY: 1 falsifiers never ran its code\n" in said.out
    assert "4 faults, 3 of them caught by nobody here." in said.out


def test_sensitivity_is_found_and_can_be_left_out(tmp_path: Path) -> None:
    """|6 (1 + r) - 6| > 1e-6 from r = 1.67e-7 on."""
    root = write_project(tmp_path, contract=GRADED, faults=FAULTS + SCALED)
    said = pv("challenge", "--output-format", "json", "-n", "2", cwd=root)
    assert said.code == 0, said
    [challenge] = json.loads(said.out)["falsifiers"][0]["challenges"]
    assert 1e-6 / 6 <= challenge["smallest_caught"] <= 1.05 * 1e-6 / 6
    assert len(challenge["sizes_tried"]) == 10
    said = pv("challenge", "--no-sensitivity", cwd=root)
    assert "1 of 1 declared caught.\n0 further runs for sensitivity." in said.out


def test_discharge_keeps_the_sensitivity_only_if_asked(tmp_path: Path) -> None:
    root = write_project(tmp_path, contract=GRADED, faults=FAULTS + SCALED)
    for options in (("--sensitivity", "--workers", "2"), ()):
        said = pv("discharge", *options, cwd=root)
        assert said.code == 0, said
        assert ("lib.faults:scaled: smallest relative size caught 1.7e-07 (10 runs)\n" in said.out) == bool(options)
    records = [json.loads(path.read_text())["predicate"] for path in (root / "evidence/records").glob("*.json")]
    found = sorted(str(record["challenges"][0]["smallest_caught"]) for record in records)
    assert found[1] == "None"
    assert 1e-6 / 6 <= float(found[0]) <= 1.05 * 1e-6 / 6


def test_nothing_on_these_targets_is_exit_3(tmp_path: Path) -> None:
    said = pv("challenge", "--target", "cuda", cwd=write_project(tmp_path))
    assert said.code == 3
    assert said.err.endswith("pv: none of 1 falsifiers runs on cuda; nothing was run\n")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--all",), "--all needs a catalogue of faults; give --catalogue MODULE or set faults in [tool.pv]"),
        (("--matrix",), "--matrix and --at-least are about the whole catalogue; give --all as well"),
        (("--catalogue", "lib.nothing"), "fault catalogue 'lib.nothing' is not a module of this project"),
        (("doublin",), "selector 'doublin' names no contract and no falsifier; did you mean 'doubling'?"),
    ],
)
def test_usage_error_is_one_line(options: tuple[str, ...], why: str, tmp_path: Path) -> None:
    said = pv("challenge", *options, cwd=write_project(tmp_path, test=TEST))
    assert (said.code, said.out) == (2, "")
    assert said.err == f"pv: {why}\n"


EXAMPLES = {
    "README": ((Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8"), "# lib/faults.py", "```"),
    "pv explain challenges": (TOPICS["challenges"], "  from unittest", "It is entered"),
}


@pytest.mark.parametrize(("text", "start", "end"), EXAMPLES.values(), ids=EXAMPLES)
def test_documented_fault_works_as_it_stands(text: str, start: str, end: str, tmp_path: Path) -> None:
    fault = dedent(text[text.index(start) :].partition(end)[0])
    said = pv("challenge", cwd=write_project(tmp_path, faults=fault))
    assert said.code == 0, said


def test_class_is_a_fault_too(tmp_path: Path) -> None:
    fault = """\
        from lib import double as subject

        class off_by_one:
            def __enter__(self):
                self.right, subject.double = subject.double, lambda x: 2 * x + 1

            def __exit__(self, *_):
                subject.double = self.right
        """
    said = pv("challenge", "--all", "--catalogue", "lib.faults", cwd=write_project(tmp_path, faults=fault))
    assert said.code == 0, said
    assert "1 faults, 0 of them caught by nobody here." in said.out
