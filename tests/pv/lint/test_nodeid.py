"""Names that must never reach pytest's command line, and names that are fine."""

from __future__ import annotations

import pytest

from pv.lint.nodeid import is_node_id, unsafe_path


@pytest.mark.parametrize(
    "text",
    [
        "tests/test_a.py::test_b",
        "test_a.py::TestC::test_b",
        "a/b/test_a.py::test_b[1-x::y]",
        "a/b-c/test_a.py::test_b[../../etc]",
    ],
)
def test_ordinary_node_ids_are_taken(text):
    assert unsafe_path(text) is None
    assert is_node_id(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("-pevilplug", "starts with '-', which pytest reads as an option"),
        ("--junitxml=x.py::test_b", "starts with '-', which pytest reads as an option"),
        ("@arguments.txt", "starts with '@', which pytest reads as an option"),
        ("/etc/test_a.py::test_b", "is not relative to the project"),
        ("~/test_a.py::test_b", "is not relative to the project"),
        ("C:\\tests\\test_a.py::test_b", "is not relative to the project"),
        ("c:/tests/test_a.py::test_b", "is not relative to the project"),
        ("tests\\test_a.py::test_b", "has a backslash"),
        ("../test_a.py::test_b", "leaves its folder by '..'"),
        ("a/../../test_a.py::test_b", "leaves its folder by '..'"),
        ("$HOME/test_a.py::test_b", "has a '$'"),
        ("tests/test_a.py::test_b\n--co", "has a control character"),
        ("tests/test_a.py::test_b[\x1b[2J]", "has a control character"),
        ("tests/\u202etest_a.py::test_b", "has a control character"),
    ],
)
def test_unsafe_paths_are_named(text, reason):
    assert unsafe_path(text) == reason


@pytest.mark.parametrize(
    "text",
    [
        "run the tests on the GPU box",
        "tests/test_a.py",
        "tests/test_a.py::",
        "tests/test_a.py::test b",
        "pytest tests/test_a.py::test_b",
        "tests/test_a.py::test_b; rm -rf .",
        "tests/test_a.py::test_b (4/4 PASS)",
        "tests//test_a.py::test_b",
        "tests/test_a.txt::test_b",
        "$(touch here).py::test_b or so",
        "cargo test rope",
    ],
)
def test_prose_and_commands_are_no_node_ids(text):
    assert not is_node_id(text)
