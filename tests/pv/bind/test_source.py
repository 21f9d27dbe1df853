"""What `ast` sees in a test: checks, constants, and tests that read nothing but their contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from pv.bind.source import Sources
from pv.schema.binding import CollectedTest
from pv.schema.settings import Settings


def describe(root: Path, text: str, name: str = "test_x", path: str = "test_a.py") -> CollectedTest:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)
    return Sources(root, Settings()).describe(CollectedTest(f"{path}::{name}", path, 1))


CHECKED = {
    "assert": "def test_x():\n    assert f()",
    "raises": "import pytest\ndef test_x():\n    with pytest.raises(ValueError):\n        f()",
    "raises by name": "from pytest import raises\ndef test_x():\n    with raises(ValueError):\n        f()",
    "fail": "import pytest\ndef test_x():\n    if f(): pytest.fail('no')",
    "numpy": "import numpy as np\ndef test_x():\n    np.testing.assert_allclose(f(), 1)",
    "record with a limit": "def test_x(pv):\n    pv.record('e', f(), limit=1.0)",
    "record with a limit by place": "def test_x(pv):\n    pv.record('e', f(), 1.0)",
    "raise AssertionError": "def test_x():\n    if f(): raise AssertionError('no')",
    "helper": "def helper(x):\n    assert x\ndef test_x():\n    helper(f())",
    "helper of a helper": "def a(x):\n    assert x\ndef b(x): a(x)\ndef test_x():\n    b(f())",
    "method of the class": "class TestA:\n    def a(self, x):\n        assert x\n    def test_x(self): self.a(f())",
    "unittest": "class TestA(unittest.TestCase):\n    def test_x(self):\n        self.assertEqual(f(), 1)",
    "fixture of the module": "import pytest\n@pytest.fixture\ndef same():\n    assert g()\ndef test_x(same): f()",
    "called fixture": "def test_x(compare):\n    compare(f(), 1)",
    "nested function": "def test_x():\n    def inner():\n        assert f()\n    inner()",
    "async": "async def test_x():\n    assert await f()",
}


@pytest.mark.parametrize("text", CHECKED.values(), ids=CHECKED)
def test_check_is_seen(text: str, tmp_path: Path) -> None:
    got = describe(tmp_path, text, "TestA::test_x" if "class TestA" in text else "test_x")
    assert got.checks == 1
    assert not got.constant_assertions_only


UNCHECKED = {
    "call": "def test_x():\n    f()",
    "print": "def test_x():\n    print(f() == 1)",
    "comparison": "def test_x():\n    f() == 1",
    "record without a limit": "def test_x(pv):\n    pv.record('e', f())",
    "file that is closed": "def test_x():\n    handle = f()\n    handle.close()",
    "helper without checks": "def helper(x): return x\ndef test_x():\n    helper(f())",
    "assertion in another test": "def test_y():\n    assert g()\ndef test_x():\n    f()",
    "assertion in the code under test": "from subject import guarded\ndef test_x():\n    guarded(1)",
}


@pytest.mark.parametrize("text", UNCHECKED.values(), ids=UNCHECKED)
def test_missing_check_is_seen(text: str, tmp_path: Path) -> None:
    (tmp_path / "subject.py").write_text("def guarded(x):\n    assert x\n    return x\n")
    assert describe(tmp_path, text).checks == 0


@pytest.mark.parametrize(
    ("imports", "call"),
    [
        ("from support.compare import same", "same(f())"),
        ("import support.compare", "support.compare.same(f())"),
        ("import support.compare as c", "c.same(f())"),
        ("from support import compare", "compare.same(f())"),
    ],
)
def test_check_in_an_imported_helper_is_seen(imports: str, call: str, tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = tests\n")
    (tmp_path / "tests" / "support").mkdir(parents=True)
    (tmp_path / "tests" / "support" / "compare.py").write_text("def same(x):\n    assert x\n")
    assert describe(tmp_path, f"{imports}\ndef test_x():\n    {call}\n").checks == 1


@pytest.mark.parametrize(
    "assertion",
    [
        "True",
        "1 == 1",
        "'a'",
        "(x, 'message')",
        "x == x",
        "x or True",
        "not False",
        "not 0",
        "1 < 2",
        "(x, 1) and 1",
    ],
)
def test_assertion_that_cannot_fail_is_seen(assertion: str, tmp_path: Path) -> None:
    assert describe(tmp_path, f"def test_x():\n    x = f()\n    assert {assertion}\n").constant_assertions_only


@pytest.mark.parametrize(
    "assertion",
    [
        "x",
        "x == 1",
        "f() == f()",
        "x != x",
        "not x",
        "x and True",
        "x < x",
        "()",
        "1 == 2",
        "not True",
        "len([]) == 0",
        "False",
    ],
)
def test_assertion_that_can_fail_is_left_alone(assertion: str, tmp_path: Path) -> None:
    assert not describe(tmp_path, f"def test_x():\n    x = f()\n    assert {assertion}\n").constant_assertions_only


SELF_REFERENTIAL = {
    "read_text": "from pathlib import Path\ndef test_x():\n    assert 'x' in Path('contracts/a.yaml').read_text()",
    "yaml": "import yaml\ndef test_x():\n    assert yaml.safe_load(open('contracts/a.yaml'))['id'] == 'a'",
    "constant": "import yaml\nFILE = 'contracts/a.yaml'\ndef test_x():\n    assert yaml.safe_load(open(FILE))",
    "helper": "import yaml\ndef load(): return yaml.load(open('contracts/a.yaml'))\ndef test_x(): assert load()",
    "pv.load": "from pv.load import load_file\ndef test_x():\n    assert load_file('.', 'contracts/a.yaml').contract",
}


@pytest.mark.parametrize("text", SELF_REFERENTIAL.values(), ids=SELF_REFERENTIAL)
def test_test_of_its_own_contract_is_seen(text: str, tmp_path: Path) -> None:
    assert describe(tmp_path, text).reads_own_contract


@pytest.mark.parametrize(
    "text",
    [
        "import engine\ndef test_x():\n    limit = open('contracts/a.yaml').read()\n    assert engine.f() < len(limit)",
        "def test_x():\n    assert open('data/a.yaml').read()",
        "def test_x(llm):\n    assert llm.contract == 'contracts/a.yaml'",
        "import engine\ndef test_x():\n    '''contracts/a.yaml says so.'''\n    assert engine.f()",
    ],
    ids=["uses the code too", "another file", "fixture from elsewhere", "docstring"],
)
def test_other_tests_are_not_called_self_referential(text: str, tmp_path: Path) -> None:
    assert not describe(tmp_path, text).reads_own_contract


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import pytest\n@pytest.mark.skipif(True, reason='r')\ndef test_x(): assert f()", "always true"),
        ("import pytest\ndef test_x():\n    '''Doc.'''\n    pytest.skip('later')\n    assert f()", "first statement"),
        ("import pytest\n@pytest.mark.skipif(f(), reason='r')\ndef test_x(): assert f()", None),
        ("import pytest\ndef test_x():\n    if f(): pytest.skip('no gpu')\n    assert f()", None),
    ],
)
def test_skip_that_always_applies_is_seen(text: str, reason: str | None, tmp_path: Path) -> None:
    got = describe(tmp_path, text).unconditional_skip
    assert (got is None) if reason is None else (got is not None and reason in got)


def test_last_definition_is_described(tmp_path: Path) -> None:
    got = describe(tmp_path, "def test_x(): assert f()\n\ndef test_x(): f()\n")
    assert (got.line, got.checks) == (3, 0)


def test_definition_in_a_branch_is_found(tmp_path: Path) -> None:
    got = describe(tmp_path, "if f():\n    def test_x(): assert g()\nelse:\n    def test_x(): g()\n")
    assert got.line == 4


@pytest.mark.parametrize("text", ["def test_x(:", "\x00", "x = 1"])
def test_source_that_says_nothing_is_no_accusation(text: str, tmp_path: Path) -> None:
    got = describe(tmp_path, text)
    assert (got.checks, got.constant_assertions_only, got.reads_own_contract) == (1, False, False)


def test_file_that_is_gone_is_no_accusation(tmp_path: Path) -> None:
    assert Sources(tmp_path, Settings()).describe(CollectedTest("gone.py::test_x", "gone.py", 1)).checks == 1
    assert Sources(tmp_path, Settings()).shadowed("gone.py") == ()
