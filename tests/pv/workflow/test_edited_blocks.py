"""More than a hundred hands on a discharge block: each is an error of `pv lint`, and none moves a gate.

Every block starts as `pv discharge` wrote it, in five states of one project with two falsifiers. Edits raise a
standing, lower it or change something beside it; they go further and bring along hashes of evidence that is really
there, targets, and lists of what is missing. What says the same in another layout or order is no edit.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pv.config import load_settings
from pv.discharge.block import with_block
from pv.evidence.blocks import block_digest
from pv.lint.rule import Stage
from pv.load import load_text
from pv.schema.contract import Contract, Discharge, FalsifierDischarge
from pv.schema.finding import Severity
from pv.schema.verdict import Standing
from pv.workflow.check import check
from pv.workflow.gate import answer, view
from support.command import pv
from support.lint_examples import TODAY
from support.project import CONTRACT, SUBJECT, TEST, write_project

FILE = "contracts/doubling-v1.yaml"
FIRST, SECOND = "FALSIFY-DOUBLE-001", "FALSIFY-DOUBLE-002"
GATE = "id: ship\nquestion: May it ship?\ntargets: [cpu, cuda]\nrequires: [doubling]\n"

ONE = CONTRACT.partition("falsifiers:\n")[2]
OBLIGATION = CONTRACT.partition("obligations:\n")[2].partition("\nfalsifiers:")[0]
TWO = CONTRACT.replace(OBLIGATION, OBLIGATION + OBLIGATION.replace("id: doubles", "id: keeps-zero")) + ONE.replace(
    FIRST, SECOND
).replace("[doubles]", "[keeps-zero]").replace("test_double\n", "test_zero\n")
TESTS = TEST + (
    f'\n\n@pytest.mark.falsifies("{SECOND}")\n'
    'def test_zero(pv):\n    pv.record("max_abs_error", abs(subject.double(0)), limit=1e-6)\n'
)
WRONG = "def double(x):\n    return 2 * x + (x == 3)\n"
BROKEN = "def double(x):\n    if x:\n        raise ValueError\n    return 0\n"


@dataclass(frozen=True)
class State:
    root: Path
    standings: tuple[str, str, str]
    """Of the contract and its two falsifiers, as `pv discharge` wrote them."""
    answer: str
    """Of the gate on the CPU."""


STATES = {
    # name: (changes of the project, what is done after the run, standings written, answer of the gate)
    "proven": ({}, "", ("DISCHARGED", "DISCHARGED", "DISCHARGED"), "YES"),
    "refuted": ({"subject": WRONG}, "", ("FALSIFIED", "FALSIFIED", "DISCHARGED"), "NO"),
    "partial": (
        {"contract": TWO.replace("off_by_one", "harmless", 1)},
        "",
        ("PARTIAL", "PARTIAL", "DISCHARGED"),
        "CANNOT DECIDE",
    ),
    "open": ({"subject": BROKEN}, "", ("OPEN", "OPEN", "DISCHARGED"), "CANNOT DECIDE"),
    "stale": ({}, SUBJECT + "\n# touched\n", ("DISCHARGED", "DISCHARGED", "DISCHARGED"), "CANNOT DECIDE"),
}


@pytest.fixture(scope="module", params=STATES)
def state(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> State:
    changes, touched, standings, said = STATES[request.param]
    root = tmp_path_factory.mktemp(request.param)
    write_project(root, **{"contract": TWO, "test": TESTS, **changes})
    (root / "contracts/gates").mkdir()
    (root / "contracts/gates/ship.yaml").write_text(GATE)
    pv("discharge", cwd=root)
    if touched:
        (root / "lib/double.py").write_text(touched)
    return State(root, standings, said)


def contract(root: Path) -> Contract:
    found = load_text((root / FILE).read_bytes(), FILE).contract
    assert found is not None
    return found


def block(root: Path) -> Discharge:
    written = contract(root).discharge
    assert written is not None
    return written


def replaced(old: Discharge, name: str, **changes: object) -> Discharge:
    entry = FalsifierDischarge.model_validate({**old.falsifiers[name].model_dump(), **changes})
    return Discharge(standing=old.standing, falsifiers={**old.falsifiers, name: entry})


def edits(old: Discharge, hashes: list[str]) -> Iterator[tuple[str, Discharge]]:
    unknown = "sha256:" + "ab" * 32
    for standing in Standing:
        yield f"contract {standing}", Discharge(standing=standing, falsifiers=old.falsifiers)
        for name in (FIRST, SECOND):
            yield f"{name} {standing}", replaced(old, name, standing=standing)
    for name, other in ((FIRST, SECOND), (SECOND, FIRST)):
        own, foreign = old.falsifiers[name].evidence, old.falsifiers[other].evidence
        green = {"standing": Standing.DISCHARGED, "missing": ()}
        for have in ((), ("cpu",), ("cuda",), ("cpu", "cuda"), ("cuda-interpreted",)):
            for what, evidence in (
                ("its own hashes", own),
                ("the other's hashes", foreign),
                ("all hashes", tuple(hashes)),
                ("an unknown hash", (unknown,)),
                ("no hash", ()),
            ):
                changed = replaced(old, name, have=have, evidence=evidence, **green)
                yield f"{name} green, {have}, {what}", changed
                yield (
                    f"all green, {name} {have}, {what}",
                    Discharge(standing=Standing.DISCHARGED, falsifiers=changed.falsifiers),
                )
        for standing in Standing:
            # Something that pv might say of this falsifier some day, with the hashes of true records.
            for missing in ((), ("cuda: no evidence",), old.falsifiers[other].missing):
                for evidence in ((), own[:1], tuple(hashes)):
                    have = ("cpu",) if evidence and standing in (Standing.PARTIAL, Standing.DISCHARGED) else ()
                    changed = replaced(old, name, standing=standing, have=have, missing=missing, evidence=evidence)
                    yield f"{name} {standing}, {have}, {missing}, {len(evidence)} hashes", changed
        yield f"{name} told otherwise", replaced(old, name, missing=("cpu: see the wiki",))
        yield f"{name} like {other}", replaced(old, name, **old.falsifiers[other].model_dump())
        rest = {key: entry for key, entry in old.falsifiers.items() if key != name}
        yield f"without {name}", Discharge(standing=old.standing, falsifiers=rest)
        yield (
            f"{name} renamed",
            Discharge(standing=old.standing, falsifiers={**rest, f"{name}-B": old.falsifiers[name]}),
        )
    both = {name: entry.model_copy(update={"standing": Standing.DISCHARGED}) for name, entry in old.falsifiers.items()}
    yield "everything green", Discharge(standing=Standing.DISCHARGED, falsifiers=both)
    yield "nothing but green", Discharge(standing=Standing.DISCHARGED, falsifiers={})


def lint(root: Path) -> list[tuple[str, Severity]]:
    _, settings = load_settings(root)
    stages = {Stage.FILE, Stage.EVIDENCE}
    found = check(root, settings, stages=stages, ignore=["threshold-after-evidence"], today=TODAY).findings
    return sorted((item.rule, item.severity) for item in found)


def gate(root: Path) -> object:
    _, settings = load_settings(root)
    return view(answer(root, settings, "ship", ["cpu"], today=TODAY))


def test_what_pv_wrote_is_no_error_and_the_gate_says_what_the_evidence_says(state: State):
    written = block(state.root)
    stood = (written.standing, written.falsifiers[FIRST].standing, written.falsifiers[SECOND].standing)
    assert tuple(item.value for item in stood) == state.standings
    assert ("edited-discharge", Severity.ERROR) not in lint(state.root)
    assert gate(state.root).answer == state.answer  # type: ignore[attr-defined]


def same_said_otherwise(text: str) -> Iterator[tuple[str, str]]:
    """The file with the same block in other words, by hand."""
    head, found, written = text.partition("discharge:\n")
    assert found
    first, second = (f"    {name}:\n" for name in (FIRST, SECOND))
    top, _, entries = written.partition("  falsifiers:\n")
    one, two = entries.split(second)
    one, two = one.removeprefix(first).rstrip("\n") + "\n", two.rstrip("\n") + "\n"
    yield "the second first", f"{head}{found}{top}  falsifiers:\n{second}{two}{first}{one}"
    yield "the standing last", f"{head}{found}  falsifiers:\n{first}{one}{second}{two}{top}"
    lines = one.splitlines(keepends=True)
    yield (
        "the standing of one last",
        f"{head}{found}{top}  falsifiers:\n{first}{''.join(lines[1:])}{lines[0]}{second}{two}",
    )
    yield "a comment", text.replace("discharge:\n", "discharge:  # ours\n")
    yield "quotes", text.replace("standing: DISCHARGED", 'standing: "DISCHARGED"')
    yield "blank lines", text.replace("  falsifiers:\n", "\n  falsifiers:\n\n")
    yield "the block in the midst", head.replace("equations:\n", f"{found}{written}\nequations:\n")


def test_every_edit_is_an_error_and_moves_no_gate(state: State, tmp_path: Path):
    shutil.copytree(state.root, tmp_path, dirs_exist_ok=True)
    hashes = [f"sha256:{path.stem}" for path in sorted((tmp_path / "evidence/records").glob("*.json"))]
    assert len(hashes) == 2
    original, text, before = block(tmp_path), (tmp_path / FILE).read_bytes(), gate(tmp_path)
    missed: list[str] = []
    tried: set[str] = set()
    for name, edit in edits(original, hashes):
        if edit == original:
            continue
        tried.add(block_digest(edit))
        (tmp_path / FILE).write_bytes(with_block(text, edit))
        assert block(tmp_path) == edit
        if ("edited-discharge", Severity.ERROR) not in lint(tmp_path):
            missed.append(name)
        if len(tried) % 20 == 0:
            assert gate(tmp_path) == before, name
    assert missed == []
    assert len(tried) >= 100


def test_another_layout_or_order_is_no_edit(state: State, tmp_path: Path):
    shutil.copytree(state.root, tmp_path, dirs_exist_ok=True)
    original, text, before = block(tmp_path), (tmp_path / FILE).read_text(), lint(tmp_path)
    for name, same in same_said_otherwise(text):
        assert same != text, name
        (tmp_path / FILE).write_text(same)
        assert block(tmp_path) == original, name
        assert lint(tmp_path) == before, name


def test_without_the_model_an_edit_is_an_error_all_the_same(state: State, tmp_path: Path):
    shutil.copytree(state.root, tmp_path, dirs_exist_ok=True)
    settings = tmp_path / "pyproject.toml"
    settings.write_text(settings.read_text().replace("[tool.pv]\n", '[tool.pv]\nmodel = "not-here.gguf"\n'))
    assert lint(tmp_path) == [("unchecked-discharge", Severity.WARNING)]
    edit = replaced(block(tmp_path), SECOND, missing=("cuda: no evidence",))
    (tmp_path / FILE).write_bytes(with_block((tmp_path / FILE).read_bytes(), edit))
    assert ("edited-discharge", Severity.ERROR) in lint(tmp_path)
