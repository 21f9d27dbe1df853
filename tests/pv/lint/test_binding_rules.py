"""Binding rules on collections made by hand: what the message says, and where a rule must be silent."""

from __future__ import annotations

import pytest

from pv.lint.bound import Binding, binding_of
from pv.lint.engine import run_rules
from pv.lint.rule import Stage
from pv.schema.binding import Collection, CollectionProblem
from pv.schema.finding import Finding
from support.catalogs import GOOD, TEST, collected, context

ID = "FALSIFY-ROPE-001"
SECOND = """\
  - id: FALSIFY-ROPE-002
    refutes: [keeps-norm]
    prediction: rotation keeps the norm of pairs at position 100000
    test: TEST
    targets: [cpu]
    challenges: [mypackage.faults:rope_in_half_precision]
    if_fails: look at the precision of the angle first
"""


def lint(*texts: str, tests=(), problems=(), shadowed=(), root=None) -> list[Finding]:
    collection = Collection(tuple(tests), tuple(problems), tuple(shadowed))
    more = {"root": root} if root else {}
    return run_rules(context(*texts, collection=collection, **more), {Stage.BINDING})


def messages(found: list[Finding]) -> list[tuple[str, str]]:
    return [(item.rule, item.message) for item in found]


def named(test: str) -> str:
    return GOOD.replace(TEST, test)


def test_bound_and_marked_is_clean():
    assert lint(tests=[collected(TEST, ID)]) == []


@pytest.mark.parametrize(
    ("claimed", "reason"),
    [
        (
            "falsifiers/test_rope.py::test_keep_norm",
            ": falsifiers/test_rope.py has no 'test_keep_norm'; did you mean 'test_keeps_norm'?",
        ),
        ("falsifiers/test_rope.py::zzz", ": falsifiers/test_rope.py has no 'zzz'"),
        ("tests/test_rope.py::test_keeps_norm", f"; did you mean {TEST!r}?"),
        ("tests/test_rope.py::test_other", ": there is no file tests/test_rope.py"),
        ("tests/test_empty.py::test_other", ": it finds no test in tests/test_empty.py"),
        (f"{TEST}[16]", f": {TEST} has no parameter set [16]"),
    ],
    ids=["near name", "far name", "moved", "no file", "no test", "no such parameters"],
)
def test_dangling_says_why(claimed, reason, tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_empty.py").write_text("", encoding="utf-8")
    found = lint(named(claimed), tests=[collected(TEST, ID)], root=tmp_path)
    assert messages(found) == [
        ("dangling-test", f"falsifier 'FALSIFY-ROPE-001' names a test that pytest does not collect{reason}")
    ]


@pytest.mark.parametrize(
    "broken", ["falsifiers/test_rope.py", "falsifiers/conftest.py", "falsifiers", "conftest.py", "."]
)
def test_what_could_not_be_collected_is_not_called_dangling(broken):
    """Unknown is not no: the tests may well be there."""
    found = lint(problems=[CollectionProblem(broken, "ImportError: no module named 'x'\nmore")])
    assert messages(found) == [
        ("collection-error", f"pytest cannot collect {broken}: ImportError: no module named 'x'")
    ]


def test_broken_file_elsewhere_excuses_nothing():
    found = lint(problems=[CollectionProblem("tests/test_other.py", "SyntaxError")])
    assert [item.rule for item in found] == ["dangling-test", "collection-error"]


def test_every_parameter_set_must_name_the_falsifier():
    sets = [collected(f"{TEST}[a]", ID), collected(f"{TEST}[b]"), collected(f"{TEST}[c]", "FALSIFY-ROPE-002")]
    assert messages(lint(GOOD + SECOND.replace("TEST", f"{TEST}[c]"), tests=sets)) == [
        ("foreign-marker", f"test {TEST!r} is bound to falsifier 'FALSIFY-ROPE-001' but names FALSIFY-ROPE-002"),
        ("missing-marker", f"test {TEST!r} does not name falsifier 'FALSIFY-ROPE-001'"),
    ]


def test_one_test_of_two_falsifiers_is_allowed():
    assert lint(GOOD + SECOND.replace("TEST", TEST), tests=[collected(TEST, ID, "FALSIFY-ROPE-002")]) == []


def test_marks_on_some_parameter_sets_are_counted():
    sets = [
        collected(f"{TEST}[a]", ID),
        collected(f"{TEST}[b]", ID, unconditional_skip="slow"),
        collected(f"{TEST}[c]", ID, xfail=True),
    ]
    assert messages(lint(tests=sets)) == [
        ("unconditional-skip", f"test {TEST!r} is always skipped in 1 of 3 parameter sets: slow"),
        ("xfail-test", f"test {TEST!r} is expected to fail in 1 of 3 parameter sets"),
    ]


def test_skip_without_reason_is_still_a_skip():
    assert messages(lint(tests=[collected(TEST, ID, unconditional_skip="")])) == [
        ("unconditional-skip", f"test {TEST!r} is always skipped")
    ]


def test_tests_that_no_falsifier_names_are_nobodys_business():
    other = collected("falsifiers/test_rope.py::test_helper", checks=0, unconditional_skip="slow", xfail=True)
    assert lint(tests=[collected(TEST, ID), other]) == []


def test_orphan_is_reported_once_for_all_parameter_sets():
    sets = [collected(f"falsifiers/test_x.py::test_x[{n}]", "FALSIFY-ROPE-01") for n in range(3)]
    assert messages(lint(tests=[collected(TEST, ID), *sets])) == [
        ("orphan-marker", "no contract has a falsifier 'FALSIFY-ROPE-01'; did you mean 'FALSIFY-ROPE-001'?")
    ]


def test_marker_of_a_falsifier_in_a_contract_with_errors_is_no_orphan():
    broken = GOOD.replace("id: rope", "id: other").replace("ROPE", "OTHER") + "knid: kernel\n"
    tests = [collected(TEST, ID), collected("falsifiers/test_other.py::test_x", "FALSIFY-OTHER-001")]
    assert [item.rule for item in lint(GOOD, broken, tests=tests)] == ["unknown-key"]


def test_no_marker_is_called_an_orphan_while_a_file_cannot_be_parsed():
    tests = [collected(TEST, ID), collected("falsifiers/test_other.py::test_x", "FALSIFY-OTHER-001")]
    assert [item.rule for item in lint(GOOD, "id: [", tests=tests)] == ["yaml-syntax"]


def test_parameter_sets_bound_by_several_falsifiers_are_complete():
    sets = [collected(f"{TEST}[a]", ID), collected(f"{TEST}[b]", "FALSIFY-ROPE-002")]
    assert lint(named(f"{TEST}[a]") + SECOND.replace("TEST", f"{TEST}[b]"), tests=sets) == []


def test_left_out_parameter_sets_are_named():
    sets = [collected(f"{TEST}[{n}]", ID) for n in range(6)]
    assert messages(lint(named(f"{TEST}[0]"), tests=sets)) == [
        (
            "parameter-bound-partially",
            f"5 of 6 parameter sets of {TEST} are bound to nothing: [1], [2], [3], ...",
        )
    ]


def test_shadowed_test_names_the_falsifier_that_means_it():
    found = lint(tests=[collected(TEST, ID)], shadowed=[(TEST, 3)])
    assert messages(found) == [
        ("shadowed-test", f"a later function of the same name hides this test: {TEST!r}, which FALSIFY-ROPE-001 names")
    ]
    assert str(found[0].location) == "falsifiers/test_rope.py:3:1"


@pytest.mark.parametrize(
    ("claimed", "tests", "expected"),
    [
        (TEST, [collected(TEST, ID)], Binding.BOUND),
        (TEST, [collected(f"{TEST}[a]", ID), collected(f"{TEST}[b]", ID)], Binding.BOUND),
        (TEST, [collected(f"{TEST}[a]", ID), collected(f"{TEST}[b]")], Binding.UNBOUND),
        (TEST, [collected(TEST)], Binding.UNBOUND),
        ("the rope tests", [collected(TEST, ID)], Binding.UNBOUND),
        ("../test_rope.py::test_keeps_norm", [collected(TEST, ID)], Binding.UNBOUND),
        (f"{TEST}_2", [collected(TEST, ID)], Binding.DANGLING),
        (TEST, [], Binding.DANGLING),
    ],
    ids=["bound", "all sets", "some sets", "no marker", "prose", "unsafe", "not collected", "nothing collected"],
)
def test_every_falsifier_is_bound_unbound_or_dangling(claimed, tests, expected):
    lint_context = context(named(claimed), collection=Collection(tuple(tests)))
    (falsifier,) = lint_context.catalog.contracts[0].falsifiers
    assert binding_of(lint_context, falsifier) is expected
