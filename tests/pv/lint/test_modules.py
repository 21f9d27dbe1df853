"""Which names a project's modules have, read from source alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from pv.lint.modules import Modules, is_dotted


@pytest.fixture
def modules(tmp_path: Path) -> Modules:
    files = {
        "own/__init__.py": "",
        "own/faults.py": (
            "import os.path\nfrom a import b as c\nif os:\n    def one(): pass\nelse:\n    two = list\n"
            "try:\n    three: int = 3\nexcept OSError:\n    def four():\n        hidden = 1\n"
        ),
        "own/star.py": "from elsewhere import *\n",
        "own/lazy.py": "def __getattr__(name): ...\n",
        "own/broken.py": "def (:\n",
        "own/deep/inner.py": "raise SystemExit('imported')\n",
        "tests/support/helper.py": "",
        "single.py": "x = 1\n",
        "data/readme.txt": "no Python here",
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    return Modules(tmp_path, ["tests"])


@pytest.mark.parametrize("name", ["own", "own.faults", "own.missing", "single", "support.helper"])
def test_own(modules, name):
    assert modules.is_own(name)


@pytest.mark.parametrize("name", ["numpy", "data", "helper", "elsewhere.faults"])
def test_not_own(modules, name):
    assert not modules.is_own(name)


def test_found_modules(modules):
    names = ("own", "own.faults", "own.deep", "own.deep.inner", "own.missing", "own.faults.one")
    assert [name for name in names if modules.find(name)] == ["own", "own.faults", "own.deep", "own.deep.inner"]


def test_names_are_those_bound_at_import(modules):
    assert modules.find("own.faults").names == {"os", "c", "one", "two", "three", "four"}


@pytest.mark.parametrize("name", ["own.star", "own.lazy", "own.broken"])
def test_names_are_unknown_where_the_source_does_not_show_them(modules, name):
    """Unknown is not no: nothing is reported about them."""
    assert modules.find(name).names is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a", True), ("a.b_c", True), ("a/b", False), ("a.b.py", False), (".a", False), ("a..b", False), ("a.1", False)],
)
def test_dotted_names(name, expected):
    assert is_dotted(name) is expected


def test_src_is_looked_into_without_a_setting(tmp_path: Path) -> None:
    """As in fingerprints: an editable installation puts it on the import path."""
    (tmp_path / "src/own").mkdir(parents=True)
    (tmp_path / "src/own/faults.py").write_text("def one(): ...\n", encoding="utf-8")
    found = Modules(tmp_path, ()).find("own.faults")
    assert found is not None
    assert found.names == {"one"}
