"""One edit of a contract, one class; the table is written from what each key means, not from the code."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pv.diff import Class, Part, compare, demand
from pv.schema.contract import Contract

BASE: dict[str, Any] = {
    "id": "rope",
    "version": "1.2.3",
    "kind": "kernel",
    "title": "Rotary positions",
    "description": "Turns pairs.",
    "references": ["https://example.org/a"],
    "depends_on": ["matmul"],
    "equations": {
        "rotation": {"formula": "y = R x", "domain": "x", "codomain": "y", "invariants": ["norm"], "source": "paper"}
    },
    "obligations": [
        {
            "id": "angles",
            "type": "equivalence",
            "equation": "rotation",
            "property": "is the product",
            "tolerance": {"metric": "max_abs", "limit": 1e-3, "unit": "1", "reason": "derived"},
        },
        {
            "id": "cosine",
            "type": "bound",
            "property": "is near",
            "tolerance": {"metric": "cosine", "limit": 0.9, "bound": "at_least", "unit": "1", "reason": "derived"},
        },
        {"id": "identity", "type": "invariant", "property": "at 0", "exact": True},
        {"id": "ends", "type": "termination", "property": "it ends"},
    ],
    "falsifiers": [
        {
            "id": "F-1",
            "refutes": ["angles", "cosine"],
            "prediction": "within limits",
            "test": "t.py::test_angles",
            "targets": ["cpu", "cuda"],
            "challenges": [{"fault": "f:a", "grade": "relative"}, {"fault": "f:b"}],
            "subjects": ["lib.rope"],
            "if_fails": "look",
            "timeout_s": 60,
        },
        {
            "id": "F-2",
            "refutes": ["identity", "ends"],
            "prediction": "nothing moves",
            "test": "t.py::test_zero[a]",
            "targets": ["cpu"],
            "challenges": ["f:c"],
            "if_fails": "look",
            "timeout_s": 60,
        },
    ],
    "waivers": [{"obligation": "cosine", "owner": "me", "reason": "later", "expires": "2027-01-31"}],
}


def edited(edit) -> Contract:
    data = copy.deepcopy(BASE)
    edit(data)
    return Contract.model_validate(data)


OLD = Contract.model_validate(BASE)


def put(*path, value):
    def edit(data):
        for part in path[:-1]:
            data = data[part]
        data[path[-1]] = copy.deepcopy(value)

    return edit


def drop(*path):
    def edit(data):
        for part in path[:-1]:
            data = data[part]
        del data[path[-1]]

    return edit


def grow(*path, value):
    def edit(data):
        for part in path:
            data = data[part]
        data.append(copy.deepcopy(value))

    return edit


TOLERANCE = {"metric": "max_abs", "limit": 1e-6, "unit": "1", "reason": "r"}
NEW_OBLIGATION = {"id": "more", "type": "safety", "property": "p"}
NEW_FALSIFIER = {**BASE["falsifiers"][1], "id": "F-3"}


def exact_to_tolerance(data):
    data["obligations"][2] |= {"exact": False, "tolerance": dict(TOLERANCE)}


def tolerance_to_exact(data):
    del data["obligations"][0]["tolerance"]
    data["obligations"][0]["exact"] = True


def turned(data):
    data["obligations"][1]["tolerance"] |= {"bound": "at_most"}


TABLE = {
    # claims less, or is harder to refute
    "an error may be larger": ("loosened", put("obligations", 0, "tolerance", "limit", value=1e-2)),
    "a score may be lower": ("loosened", put("obligations", 1, "tolerance", "limit", value=0.8)),
    "a tolerance is gone": ("loosened", drop("obligations", 0, "tolerance")),
    "equality became a tolerance": ("loosened", exact_to_tolerance),
    "equality is no longer claimed": ("loosened", put("obligations", 2, "exact", value=False)),
    "an obligation is gone": ("loosened", drop("obligations", 3)),
    "a falsifier is gone": ("loosened", drop("falsifiers", 1)),
    "a falsifier refutes less": ("loosened", put("falsifiers", 0, "refutes", value=["angles"])),
    "a challenge is gone": ("loosened", drop("falsifiers", 0, "challenges", 1)),
    "a challenge is no longer graded": ("loosened", put("falsifiers", 0, "challenges", 0, value="f:a")),
    "a target is gone": ("loosened", put("falsifiers", 0, "targets", value=["cpu"])),
    "a subject is gone": ("loosened", put("falsifiers", 0, "subjects", value=[])),
    "an invariant is gone": ("loosened", put("equations", "rotation", "invariants", value=[])),
    "a dependency is gone": ("loosened", put("depends_on", value=[])),
    "a waiver more": (
        "loosened",
        grow("waivers", value={"obligation": "angles", "owner": "me", "reason": "r", "expires": "2027-01-31"}),
    ),
    "a waiver lasts longer": ("loosened", put("waivers", 0, "expires", value="2027-06-30")),
    "more time, where ending is the claim": ("loosened", put("falsifiers", 1, "timeout_s", value=600)),
    "one parameter set instead of all": ("loosened", put("falsifiers", 0, "test", value="t.py::test_angles[x]")),
    # claims more, or is easier to refute
    "an error must be smaller": ("tightened", put("obligations", 0, "tolerance", "limit", value=1e-4)),
    "a score must be higher": ("tightened", put("obligations", 1, "tolerance", "limit", value=0.95)),
    "a tolerance became equality": ("tightened", tolerance_to_exact),
    "a tolerance where nothing was": ("tightened", put("obligations", 3, "tolerance", value=TOLERANCE)),
    "equality is claimed": ("tightened", put("obligations", 3, "exact", value=True)),
    "an obligation more": ("tightened", grow("obligations", value=NEW_OBLIGATION)),
    "a falsifier more": ("tightened", grow("falsifiers", value=NEW_FALSIFIER)),
    "a falsifier refutes more": ("tightened", grow("falsifiers", 0, "refutes", value="identity")),
    "a challenge more": ("tightened", grow("falsifiers", 1, "challenges", value="f:d")),
    "a challenge is graded": (
        "tightened",
        put("falsifiers", 0, "challenges", 1, value={"fault": "f:b", "grade": "relative"}),
    ),
    "a target more": ("tightened", grow("falsifiers", 1, "targets", value="cuda")),
    "any target became one kind": ("tightened", put("falsifiers", 0, "targets", value=["cpu", "cuda:sm_90"])),
    "a subject more": ("tightened", grow("falsifiers", 0, "subjects", value="lib.other")),
    "an invariant more": ("tightened", grow("equations", "rotation", "invariants", value="length")),
    "a dependency more": ("tightened", grow("depends_on", value="softmax")),
    "a waiver is gone": ("tightened", put("waivers", value=[])),
    "a waiver ends sooner": ("tightened", put("waivers", 0, "expires", value="2026-12-31")),
    "less time, where ending is the claim": ("tightened", put("falsifiers", 1, "timeout_s", value=6)),
    "all parameter sets instead of one": ("tightened", put("falsifiers", 1, "test", value="t.py::test_zero")),
    # claims something else
    "another id": ("breaking", put("id", value="rope-2")),
    "another kind": ("breaking", put("kind", value="model")),
    "another formula": ("breaking", put("equations", "rotation", "formula", value="y = x")),
    "another domain": ("breaking", put("equations", "rotation", "domain", value="x > 0")),
    "another codomain": ("breaking", put("equations", "rotation", "codomain", value="z")),
    "an equation is gone": ("breaking", put("equations", value={})),
    "another property": ("breaking", put("obligations", 0, "property", value="is nearly the product")),
    "another type": ("breaking", put("obligations", 0, "type", value="bound")),
    "about another equation": ("breaking", drop("obligations", 0, "equation")),
    "another metric": ("breaking", put("obligations", 0, "tolerance", "metric", value="mean_abs")),
    "another unit": ("breaking", put("obligations", 0, "tolerance", "unit", value="logit")),
    "a limit that turned round": ("breaking", turned),
    "another prediction": ("breaking", put("falsifiers", 0, "prediction", value="most are within limits")),
    "another test": ("breaking", put("falsifiers", 0, "test", value="t.py::test_other")),
    "another parameter set": ("breaking", put("falsifiers", 1, "test", value="t.py::test_zero[b]")),
    # the same in other words
    "title": ("editorial", put("title", value="Rotary position embedding")),
    "description": ("editorial", put("description", value="Turns pairs of elements.")),
    "references": ("editorial", put("references", value=["https://example.org/b"])),
    "source": ("editorial", put("equations", "rotation", "source", value="paper, page 3")),
    "an equation more": (
        "editorial",
        put("equations", value={**BASE["equations"], "x": {"formula": "f", "domain": "d", "codomain": "c"}}),
    ),
    "reason of a tolerance": ("editorial", put("obligations", 0, "tolerance", "reason", value="derived better")),
    "what a failure means": ("editorial", put("falsifiers", 0, "if_fails", value="look again")),
    "more time": ("editorial", put("falsifiers", 0, "timeout_s", value=600)),
    "less time": ("editorial", put("falsifiers", 0, "timeout_s", value=6)),
    "owner of a waiver": ("editorial", put("waivers", 0, "owner", value="you")),
    "a finding is suppressed": (
        "editorial",
        put("suppress", value=[{"rule": "r", "id": "rope", "reason": "x", "owner": "me", "until": "2027-01-31"}]),
    ),
    "order": ("editorial", put("falsifiers", value=list(reversed(BASE["falsifiers"])))),
}  # fmt: skip


@pytest.mark.parametrize("name", list(TABLE))
def test_class_of_one_edit(name):
    kind, edit = TABLE[name]
    changes = compare(OLD, edited(edit))
    assert {item.kind.value for item in changes} == {kind}, changes


@pytest.mark.parametrize(
    ("name", "old", "new", "why"),
    [
        ("equality became a tolerance", "exact", "max_abs <= 1e-06 1", "equality became a tolerance"),
        ("a tolerance became equality", "max_abs <= 0.001 1", "exact", ""),
        ("a tolerance is gone", "max_abs <= 0.001 1", "", "nothing limits it any more"),
        ("a tolerance where nothing was", "", "max_abs <= 1e-06 1", ""),
        ("an error may be larger", "0.001", "0.01", "raised, and the measured value is at most it"),
        ("a score may be lower", "0.9", "0.8", "lowered, and the measured value is at least it"),
        ("more time", "60", "600", ""),
        ("more time, where ending is the claim", "60", "600", "it refutes an obligation of type termination"),
        ("a challenge is gone", "f:b", "", "dropped"),
        ("title", "Rotary positions", "Rotary position embedding", ""),
    ],
)
def test_words_of_a_change(name, old, new, why):
    (change,) = compare(OLD, edited(TABLE[name][1]))
    assert (change.old, change.new, change.why) == (old, new, why)


def test_a_score_is_shown_with_its_direction():
    (change,) = compare(OLD, edited(drop("obligations", 1, "tolerance")))
    assert change.old == "cosine >= 0.9 1"


@pytest.mark.parametrize(("length", "shown"), [(80, "x" * 80), (81, "x" * 77 + "...")])
def test_long_text_is_cut_at_80_characters(length, shown):
    (change,) = compare(OLD, edited(put("title", value="x" * length)))
    assert change.new == shown


def test_requiring_any_gpu_where_one_kind_was_required_is_loosened():
    one_kind = edited(put("falsifiers", 0, "targets", value=["cpu", "cuda:sm_90"]))
    assert {item.kind for item in compare(one_kind, OLD)} == {Class.LOOSENED}


def test_a_weaker_target_in_place_of_the_real_one_is_loosened():
    changes = compare(OLD, edited(put("falsifiers", 0, "targets", value=["cpu", "cuda-interpreted"])))
    assert [(item.kind.value, item.old, item.new) for item in changes] == [
        ("loosened", "cuda", ""),
        ("tightened", "", "cuda-interpreted"),
    ]


@pytest.mark.parametrize(
    "edit",
    [
        put("version", value="9.9.9"),
        put("discharge", value={"standing": "DISCHARGED", "falsifiers": {}}),
        put("title", value="  Rotary \n positions "),
    ],
    ids=["version", "discharge block", "blanks"],
)
def test_what_is_no_change(edit):
    assert [item for item in compare(OLD, edited(edit)) if item.key != "order"] == []


MIRROR = {"loosened": "tightened", "tightened": "loosened", "breaking": "breaking", "editorial": "editorial"}
ONE_WAY = {"an equation is gone", "an equation more"}
EDITS = {name: edit for name, (_, edit) in TABLE.items() if name not in ONE_WAY}


@pytest.mark.parametrize("name", EDITS)
def test_the_way_back_has_the_mirrored_class(name):
    new = edited(EDITS[name])
    there = {item.kind.value for item in compare(OLD, new)}
    assert {MIRROR[item.kind.value] for item in compare(new, OLD)} == there


@settings(max_examples=150, deadline=None)
@given(names=st.lists(st.sampled_from(sorted(EDITS)), min_size=1, max_size=4, unique=True))
def test_an_edit_among_others_is_never_lost(names):
    """Edits of one list by index may collide; the strongest class of those that apply still shows."""

    def all_of_them(data):
        for name in names:
            try:
                EDITS[name](data)
            except (IndexError, KeyError, TypeError):
                continue

    new = edited(all_of_them)
    changes = compare(OLD, new)
    assert bool(changes) == (new != OLD)


@pytest.mark.parametrize(
    ("edit", "version", "part", "met", "lowest"),
    [
        (TABLE["an error may be larger"][1], "1.2.4", "major", False, "2.0.0"),
        (TABLE["an error may be larger"][1], "1.9.0", "major", False, "2.0.0"),
        (TABLE["an error may be larger"][1], "2.0.0", "major", True, "2.0.0"),
        (TABLE["an error may be larger"][1], "0.9.0", "major", False, "2.0.0"),
        (TABLE["another property"][1], "3.1.4", "major", True, "2.0.0"),
        (TABLE["a target more"][1], "1.2.4", "minor", False, "1.3.0"),
        (TABLE["a target more"][1], "1.3.0", "minor", True, "1.3.0"),
        (TABLE["a target more"][1], "2.0.0", "minor", True, "1.3.0"),
        (TABLE["title"][1], "1.2.3", "patch", False, "1.2.4"),
        (TABLE["title"][1], "1.2.4", "patch", True, "1.2.4"),
        (TABLE["title"][1], "1.2.10", "patch", True, "1.2.4"),
    ],
)
def test_version(edit, version, part, met, lowest):
    def both(data):
        edit(data)
        data["version"] = version

    asked = demand(OLD, edited(both))
    assert (asked.needs, asked.is_met, asked.example) == (Part(part), met, lowest)


@pytest.mark.parametrize(("version", "met"), [("1.2.3", True), ("1.3.0", True), ("1.2.2", False), ("0.9.9", False)])
def test_a_version_alone_may_rise_and_not_fall(version, met):
    asked = demand(OLD, edited(put("version", value=version)))
    assert (asked.needs, asked.is_met, asked.example) == (None, met, "1.2.3")
