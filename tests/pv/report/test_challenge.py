"""The matrix at 80 columns, the exit code, and what nobody catches."""

from __future__ import annotations

import json

import pytest

from pv.report.challenge import Row, Summary, as_json, exit_code, markdown, text
from pv.schema.fault import Fault
from pv.schema.run import ChallengeRun, Sensitivity
from pv.schema.verdict import ChallengeOutcome, Result

CAUGHT, SURVIVED = ChallengeOutcome.CAUGHT, ChallengeOutcome.SURVIVED
BROKEN, NOT_APPLIED = ChallengeOutcome.BROKEN, ChallengeOutcome.NOT_APPLIED


def run(fault: str, outcome: ChallengeOutcome, sensitivity: Sensitivity | None = None) -> ChallengeRun:
    return ChallengeRun(fault, outcome, "reason", 0.5, sensitivity)


def row(name: str, *runs: ChallengeRun, declared: tuple[str, ...] | None = None, target: str = "cpu") -> Row:
    faults = tuple(item.fault for item in runs) if declared is None else declared
    return Row(name, "c", target, Result.PASS, "1 test passed", faults, runs)


def summary(*catalogue: str | Fault, elsewhere: tuple[str, ...] = (), by_class: bool = False) -> Summary:
    faults = tuple(Fault(item) if isinstance(item, str) else item for item in catalogue)
    return Summary(("cpu",), faults, elsewhere, 1.25, by_class)


def test_matrix_is_numbered_and_explained() -> None:
    rows = [
        row("F-1", run("lib.faults:b", CAUGHT), run("lib.faults:a", SURVIVED), declared=("lib.faults:b",)),
        row("F-22", run("lib.faults:a", SURVIVED)),
        row("F-3"),
    ]
    said = text(rows, summary("lib.faults:a", "lib.faults:c", elsewhere=("F-4",)))
    assert said == (
        "C caught, S survived, B broken, N not applied, . not run\n"
        "\n"
        "           1  2\n"
        "F-1  cpu   S  C\n"
        "F-22  cpu  S  .\n"
        "F-3  cpu   .  .\n"
        "\n"
        "  1  lib.faults:a  caught by 0 of 2\n"
        "  2  lib.faults:b  caught by 1 of 1\n"
        "\n"
        "SURVIVED     F-1  cpu\n"
        "             lib.faults:a: reason\n"
        "SURVIVED     F-22  cpu\n"
        "             lib.faults:a: reason\n"
        "UNCHALLENGED F-3  cpu\n"
        "             declares no challenge, so nothing shows that it can fail\n"
        "\n"
        "Caught by nobody:\n"
        "  lib.faults:a\n"
        "  lib.faults:c  (not run)\n"
        "3 faults, 2 of them caught by nobody here.\n"
        "3 falsifiers on cpu, 3 pairs run: 1 CAUGHT, 2 SURVIVED; 1 of 2 declared caught.\n"
        "1 falsifiers need other targets: F-4.\n"
        "0 further runs for sensitivity. 1.2 s."
    )


@pytest.mark.parametrize("length", [10, 40, 70, 120])
@pytest.mark.parametrize("faults", [1, 9, 60])
def test_matrix_fits_80_columns_and_cuts_no_id(length: int, faults: int) -> None:
    """An id longer than a line has a line of its own; nothing else is wider than 80."""
    name = "F" * length
    rows = [row(name, *(run(f"lib.faults:f{number}", CAUGHT) for number in range(faults)))]
    lines = text(rows, summary()).splitlines()
    assert sum(line.startswith(name) for line in lines) >= 1
    assert [line for line in lines if len(line) > 80 and line != f"{name}  cpu"] == []
    matrix = lines[: lines.index("  1  lib.faults:f0  caught by 1 of 1")]
    assert sum(line.removeprefix(name).split().count("C") for line in matrix[1:]) == faults
    assert all(f"lib.faults:f{number}" in "\n".join(lines) for number in range(faults))


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ((CAUGHT,), 0),
        ((CAUGHT, CAUGHT), 0),
        ((CAUGHT, SURVIVED), 1),
        ((SURVIVED, BROKEN), 1),
        ((CAUGHT, BROKEN), 4),
        ((CAUGHT, NOT_APPLIED), 4),
        ((), 4),
    ],
)
def test_exit_code_is_about_declared_faults(outcomes: tuple[ChallengeOutcome, ...], code: int) -> None:
    runs = [run(f"m:f{number}", outcome) for number, outcome in enumerate(outcomes)]
    assert exit_code([row("F", *runs)], summary()) == code
    undeclared = run("m:other", SURVIVED)
    declared = tuple(item.fault for item in runs)
    assert exit_code([row("F", *runs, undeclared, declared=declared)], summary()) == code
    assert exit_code([row("F", run("m:g", CAUGHT)), row("G", *runs)], summary()) == code


def test_nothing_is_never_green() -> None:
    assert exit_code([], summary()) == 4
    assert exit_code([row("F", run("m:f", CAUGHT))], summary(), at_least=0) == 1
    assert text([], summary()).startswith("0 faults, 0 of them")


def test_falsifier_that_fails_without_a_fault_says_so() -> None:
    broken = Row("F", "c", "cpu", Result.FAIL, "error = 2", ("m:f",), (run("m:f", BROKEN),))
    assert "FAIL         F  cpu\n             without any fault: error = 2\n" in text([broken], summary())


def test_json_has_every_pair_and_its_sensitivity() -> None:
    measured = Sensitivity(1e-5, ((1.0, CAUGHT), (1e-5, CAUGHT)))
    rows = [row("F", run("m:noise", CAUGHT, measured), run("m:f", NOT_APPLIED))]
    found = json.loads(as_json(rows, summary("m:f", "m:g")))
    assert found["schema"] == "pv.challenge/1"
    assert found["falsifiers"][0]["challenges"] == [
        {
            "fault": "m:noise", "outcome": "CAUGHT", "reason": "reason", "declared": True, "smallest_caught": 1e-5,
            "sizes_tried": [[1.0, "CAUGHT"], [1e-5, "CAUGHT"]],
        },
        {"fault": "m:f", "outcome": "NOT_APPLIED", "reason": "reason", "declared": True},
    ]  # fmt: skip
    assert found["caught_by_nobody"] == ["m:f", "m:g"]
    assert found["faults"][1:] == [
        {
            "fault": "m:g", "in_catalogue": True, "class": "", "why_not_caught": "no falsifier that ran could meet it",
            "tried": 0, "caught_by": [],
        },
        {
            "fault": "m:noise", "in_catalogue": False, "class": "", "why_not_caught": "", "tried": 1,
            "caught_by": ["F  cpu"],
        },
    ]  # fmt: skip
    totals = {"pairs": 2, "declared": 2, "declared_caught": 1, "undeclared": 0, "sensitivity_runs": 2}
    assert {key: found["totals"][key] for key in totals} == totals


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Sensitivity(3.21e-5, ((1.0, CAUGHT),) * 10), "m:noise: smallest relative size caught 3.2e-05 (10 runs)"),
        (Sensitivity(None, ((1.0, SURVIVED),)), "m:noise: no relative size up to 1 was caught (1 run)"),
    ],
)
def test_sensitivity_is_said(found: Sensitivity, said: str) -> None:
    assert said in text([row("F", run("m:noise", CAUGHT, found))], summary())


CATALOGUE = (
    Fault("m:a", kind="rope", title="Turns | the other way."),
    Fault("m:b", kind="rope", excuse="no model here has 300 tokens"),
    Fault("m:c", kind="masking"),
)
TRIED = [
    row("F-1", run("m:a", CAUGHT), run("m:c", SURVIVED), declared=("m:a",)),
    row("F-2", run("m:a", CAUGHT), run("m:c", NOT_APPLIED), declared=("m:a",)),
]


def test_catalogue_is_listed_by_class_with_whom_and_why() -> None:
    assert text(TRIED, summary(*CATALOGUE, by_class=True)) == (
        "m / rope  1 of 2\n"
        "  C   m:a\n"
        "      F-1 cpu, F-2 cpu\n"
        "  -   m:b\n"
        "      NOBODY: no model here has 300 tokens\n"
        "\n"
        "m / masking  0 of 1\n"
        "  -   m:c\n"
        "      NOBODY: 1 falsifiers passed with it, 1 falsifiers never ran its code\n"
        "\n"
        "1 of 3 in the catalogue are caught.\n"
        "3 faults, 2 of them caught by nobody here.\n"
        "2 falsifiers on cpu, 4 pairs run: 2 CAUGHT, 1 NOT_APPLIED, 1 SURVIVED; 2 of 2 declared caught.\n"
        "0 further runs for sensitivity. 1.2 s."
    )


def test_catalogue_is_a_page() -> None:
    said = markdown(TRIED, summary(*CATALOGUE)).splitlines()
    assert "1 of 3 are caught on cpu." in said
    assert "| m / rope | 1 of 2 |" in said
    assert "- `m:b`: no model here has 300 tokens" in said
    assert "| `m:a` | Turns \\| the other way. | F-1 cpu, F-2 cpu |" in said
    assert "| `m:b` |  | nobody |" in said
    assert "- none" in markdown(TRIED, summary(CATALOGUE[0])).splitlines()


@pytest.mark.parametrize(
    ("catalogue", "at_least", "code"),
    [
        (CATALOGUE[:1], 100, 0),
        (CATALOGUE[:2], 50, 0),
        (CATALOGUE[:2], 50.1, 1),
        (CATALOGUE, 0, 1),
        (CATALOGUE[1:2], 0, 0),
    ],
    ids=["all caught", "just enough", "too few", "one without a reason", "none, and why"],
)
def test_share_of_the_catalogue_is_asked_for(catalogue: tuple[Fault, ...], at_least: float, code: int) -> None:
    assert exit_code(TRIED, summary(*catalogue), at_least=at_least) == code
