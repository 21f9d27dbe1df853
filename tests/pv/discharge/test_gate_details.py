"""What a gate asks for, entry by entry, and what it says about each problem, word for word."""

from __future__ import annotations

import pytest

from pv.discharge.gate import NOTHING, Row
from pv.discharge.requirement import Ask, Problem, asks
from pv.schema.gate import Gate
from pv.schema.run import Measured
from pv.schema.verdict import Standing
from support.gates import contract, gate, seen, verdict, waiver

ROPE = contract("rope", ("F-1", ["angles"], ["cpu"]), ("F-2", ["norm"], ["cuda"]), obligations=["angles", "norm"])
NORM = contract("norm", ("G-1", ["length"], ["cpu", "cuda:sm_90"]), obligations=["length"])
ALONE = contract("alone", obligations=["claimed"])
PATHS = {"rope": "contracts/rope-v1.yaml", "norm": "contracts/norm-v1.yaml"}
F1 = Ask("rope", "cpu", "F-1", ("angles",), PATHS["rope"], "x")
F2_GAP = Ask(
    "rope", "cpu", "", ("norm",), PATHS["rope"], gap="nothing claims it on cpu; F-2 names other targets"
)  # fmt: skip
G1 = Ask("norm", "cpu", "G-1", ("length",), PATHS["norm"], "x")


def asked(given: Gate, target: str = "cpu") -> list[Ask]:
    return asks(given, target, [ROPE, NORM, ALONE], PATHS)


def test_contract_asks_for_its_falsifiers_and_for_what_nothing_refutes_there() -> None:
    assert asked(gate("rope")) == [F1, F2_GAP]
    assert asked(gate("rope", "F-1", "rope")) == [F1, F2_GAP]


def test_falsifier_is_asked_alone_also_where_it_claims_nothing() -> None:
    assert asked(gate("F-1")) == [F1]
    assert asked(gate("F-2")) == [F2_GAP]


def test_obligation_that_nothing_refutes_anywhere() -> None:
    assert asked(gate("alone")) == [
        Ask("alone", "cpu", "", ("claimed",), "", gap="no falsifier refutes it, on cpu or elsewhere")
    ]
    assert asks(gate("G-1"), "cpu", [NORM], {}) == [Ask("norm", "cpu", "G-1", ("length",), "", "x")]
    assert asks(gate("G-1"), "cuda-interpreted", [NORM], {})[0].path == ""


def test_contract_without_a_known_file_has_no_path() -> None:
    assert asks(gate("path:*"), "cpu", [NORM], {}) == [Ask("norm", "cpu", "G-1", ("length",), "", "x")]
    assert all(item.problem is not None for item in asks(gate("path:?*"), "cpu", [NORM], {}))


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (1, "nothing claims it on cpu; H-0 names other targets"),
        (3, "nothing claims it on cpu; H-0, H-1, H-2 name other targets"),
        (4, "nothing claims it on cpu; H-0, H-1, H-2 and 1 more name other targets"),
        (6, "nothing claims it on cpu; H-0, H-1, H-2 and 3 more name other targets"),
    ],
)
def test_gap_names_three_falsifiers_that_claim_it_elsewhere(count: int, said: str) -> None:
    many = contract("many", *((f"H-{n}", ["o"], ["cuda"]) for n in range(count)), obligations=["o"])
    assert [item.gap for item in asks(gate("many"), "cpu", [many], {})] == [said]


def test_requirement_that_names_nothing_is_a_problem() -> None:
    assert asked(gate("roper", "norm")) == [
        Ask("", "cpu", "roper", problem=Problem("ship", "requires 'roper', which names no contract")),
        G1,
    ]


def test_requirement_that_names_too_little_is_a_problem() -> None:
    what = "requires at least 3 contracts by norm, nor*, G-1"
    short = {"select": ["norm", "nor*", "G-1"], "at_least": 3}
    assert asked(gate(short)) == [G1, Ask("", "cpu", what, problem=Problem("ship", f"{what}, 1 are there"))]
    assert asked(gate({"select": ["norm", "F-1"], "at_least": 2})) == [G1, F1]
    whole = asked(gate({"select": ["norm", "alone"], "at_least": 2}))
    assert [item.problem for item in whole] == [None, None]


def test_requirement_for_another_target_is_passed_over() -> None:
    given = gate({"select": ["rope"], "targets": ["cuda"]}, {"select": ["norm"], "targets": ["cpu"]}, "F-1")
    assert asked(given) == [G1, F1]
    assert [item.falsifier for item in asked(given, "cuda:sm_90")] == ["F-2", ""]


@pytest.mark.parametrize(
    ("target", "falsifier"), [("cuda:sm_90", "G-1"), ("cuda", "G-1"), ("cuda:sm_80", ""), ("cuda-interpreted", "")]
)
def test_kind_of_a_device_and_the_device_stand_for_each_other(target: str, falsifier: str) -> None:
    assert [item.falsifier for item in asked(gate("norm"), target)] == [falsifier]


def test_problems_say_where() -> None:
    found = verdict(gate(targets=["cpu"], waivers=["gone"]), [ROPE], {})
    assert found.targets[0].problems == (
        Problem("ship", "lists waiver 'gone', which has no file"),
        Problem("ship", "requires nothing, so there is nothing to decide"),
    )
    found = verdict(gate({"select": ["rope"], "targets": ["cuda"]}), [ROPE], {})
    assert found.targets[0].problems == (Problem("cpu", "nothing that the gate requires concerns this target"),)
    all_waived = waiver("w", "rope")
    found = verdict(gate("rope", waivers=["w"]), [ROPE], {}, [all_waived])
    assert found.targets[0].problems == (Problem("cpu", "every row is waived; nothing at all was shown"),)
    assert found.gate.id == "ship"
    assert found.waivers == (all_waived,)


def test_rows_as_they_are() -> None:
    found = verdict(gate("rope"), [ROPE], {("F-1", "cpu"): seen("DISCHARGED")})
    gap = Ask("rope", "cpu", "", ("norm",), "contracts/rope-v1.yaml", gap=F2_GAP.gap)
    assert found.targets[0].rows == (
        Row(F1, Standing.DISCHARGED, (), seen("DISCHARGED")),
        Row(gap, Standing.OPEN, (gap.gap,), NOTHING),
    )


def test_rows_that_only_look_discharged() -> None:
    beyond = seen("DISCHARGED", values=(Measured("kept", 1, "1", 2), Measured("error", 0.25, "1", 0.1)))
    row = verdict(gate("F-1"), [ROPE], {("F-1", "cpu"): beyond}).targets[0].rows[0]
    assert (row.standing, row.reasons) == (
        Standing.OPEN,
        ("says PASS beside error 0.25, which is beyond its limit",),
    )
    late = seen("DISCHARGED", unregistered="not committed before the run")
    row = verdict(gate("F-1", registered=True), [ROPE], {("F-1", "cpu"): late}).targets[0].rows[0]
    assert (row.standing, row.reasons) == (Standing.PARTIAL, ("not committed before the run",))
    silent = seen("OPEN", missing=())
    row = verdict(gate("F-1"), [ROPE], {("F-1", "cpu"): silent}).targets[0].rows[0]
    assert (row.standing, row.reasons) == (Standing.OPEN, ("no reason is known",))
    talkative = seen("DISCHARGED", missing=("cuda: no evidence",))
    row = verdict(gate("F-1"), [ROPE], {("F-1", "cpu"): talkative}).targets[0].rows[0]
    assert (row.standing, row.reasons) == (Standing.DISCHARGED, ())


def test_idle_waiver_is_noted_only_where_it_could_have_been_used() -> None:
    given = gate("F-1", waivers=["here", "there"])
    found = verdict(
        given, [ROPE], {("F-1", "cpu"): seen("DISCHARGED")},
        [waiver("here", "rope"), waiver("there", "rope", target="cuda")],
    )  # fmt: skip
    assert found.notes == ("waiver 'here' covers nothing that is open; remove it from the gate",)
    used = verdict(gate("F-1", "norm", waivers=["here"]), [ROPE, NORM], {}, [waiver("here", "rope")])
    assert used.notes == ()


@pytest.mark.parametrize(
    ("count", "names"),
    [(1, "K-0"), (3, "K-0, K-1, K-2"), (4, "K-0, K-1, K-2 and 1 more"), (6, "K-0, K-1, K-2 and 3 more")],
)
def test_unregistered_evidence_is_noted_with_three_names(count: int, names: str) -> None:
    many = contract("many", *((f"K-{n}", ["o"], ["cpu"]) for n in range(count)), obligations=["o"])
    late = {(f"K-{n}", "cpu"): seen("DISCHARGED", unregistered="not in git") for n in range(count)}
    assert verdict(gate("many"), [many], late).notes == (f"not in git ({names})",)
