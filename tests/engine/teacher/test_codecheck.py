from __future__ import annotations

import pytest

from engine.teacher import codecheck
from engine.teacher.functions import FUNCTIONS


def test_all_corpus_answers_have_one_block_that_parses():
    for function in FUNCTIONS:
        blocks = codecheck.python_blocks(function.answer())
        assert len(blocks) == 1, function.name
        assert codecheck.parses(blocks[0])
        assert codecheck.defined_function(blocks[0]) == function.name


def test_a_block_that_is_never_closed_is_no_block():
    assert codecheck.python_blocks("```python\ndef f():\n    return 1\n") == []


def test_two_blocks_are_found_in_order():
    assert codecheck.python_blocks("a\n```python\nx = 1\n```\nb\n```python\ny = 2\n```\n") == ["x = 1\n", "y = 2\n"]


def test_right_function_is_right():
    source = "def double(x):\n    return x + x\n"
    assert codecheck.check_function(source, [((2,), 4), (("ab",), "abab")]).outcome == "right"


def test_wrong_function_is_named_with_its_values():
    verdict = codecheck.check_function("def double(x):\n    return x * 3\n", [((2,), 4)])
    assert verdict == codecheck.Verdict("wrong", "double(2) gives 6, expected 4")


def test_one_is_not_true():
    assert codecheck.check_function("def f():\n    return 1\n", [((), True)]).outcome == "wrong"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import os\ndef f():\n    return os.getcwd()\n", "imports 'os'"),
        ("from subprocess import run\ndef f():\n    return 1\n", "imports from 'subprocess'"),
        ("def f():\n    return open('x').read()\n", "uses 'open'"),
        ("def f():\n    return eval('1')\n", "uses 'eval'"),
        ("def f():\n    return __import__('os')\n", "uses '__import__'"),
        ("def f():\n    return ().__class__.__bases__\n", "attribute '__"),
        ("def f():\n    return '{0.__class__}'.format(1)\n", "attribute 'format'"),
        ("def f(:\n", "does not parse"),
    ],
    ids=["import", "from import", "open", "eval", "dunder import", "dunder attribute", "format", "no python"],
)
def test_hostile_source_is_refused_before_it_runs(source: str, reason: str):
    verdict = codecheck.check_function(source, [((), 1)])
    assert verdict.outcome == "refused"
    assert reason in verdict.detail


def test_endless_loop_ends_at_a_limit():
    verdict = codecheck.check_function("def f():\n    while True:\n        pass\n", [((), 1)], timeout_s=0.5)
    assert verdict.outcome == "timeout"


def test_memory_is_limited():
    verdict = codecheck.check_function("def f():\n    return len([0] * 10**9)\n", [((), 10**9)])
    assert verdict.outcome == "error"
    assert "MemoryError" in verdict.detail


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("return open('x').read()", "NameError"),
        ("import os; return 1", "ImportError"),
        ("return eval('1')", "NameError"),
    ],
    ids=["open", "import", "eval"],
)
def test_the_child_alone_stops_what_the_tree_would_refuse(monkeypatch: pytest.MonkeyPatch, body: str, error: str):
    """The second fence, with the first one taken away."""
    monkeypatch.setattr(codecheck, "objection", lambda _source: None)
    verdict = codecheck.check_function(f"def f():\n    {body}\n", [((), 1)])
    assert verdict.outcome == "error"
    assert error in verdict.detail


def test_the_child_cannot_write_files(monkeypatch: pytest.MonkeyPatch):
    """Even through a module that kept a way to files; the limit is zero bytes and no new descriptor."""
    monkeypatch.setattr(codecheck, "objection", lambda _source: None)
    source = "import re\ndef f():\n    re.enum.sys.modules['io'].open('x', 'w').write('y')\n    return 1\n"
    verdict = codecheck.check_function(source, [((), 1)])
    assert verdict.outcome == "error"
    assert "OSError" in verdict.detail


def test_exit_of_the_judged_code_is_an_error():
    assert codecheck.check_function("def f():\n    raise SystemExit(0)\n", [((), 1)]).outcome == "error"


def test_printing_does_not_reach_the_answer():
    source = "def f():\n    print('[1]')\n    return 2\n"
    assert codecheck.check_function(source, [((), 1)]).outcome == "wrong"


def test_source_without_a_function_is_an_error():
    verdict = codecheck.check_function("x = 1\n", [((), 1)])
    assert verdict == codecheck.Verdict("error", "no function at the top level")
