"""The import closure, with grimp as its judge: on this repository both find the same.

grimp reads whole packages, as Python's own finder finds them, and that answers for less than evidence needs. The second
half of this file keeps what it cannot do and the closure can; therefore fingerprints do not rest on it.
"""

from __future__ import annotations

from pathlib import Path

import grimp
import pytest

from pv.errors import EvidenceError
from pv.evidence.imports import ImportClosure
from support.import_graph import PACKAGES, ROOT, bundled_graph, files_of, on_path


@pytest.fixture(scope="module")
def judge(tmp_path_factory) -> grimp.ImportGraph:
    return bundled_graph(tmp_path_factory.mktemp("graph"))


@pytest.fixture(scope="module")
def bundled() -> ImportClosure:
    return ImportClosure(ROOT)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_closure_of_every_bundled_module_is_what_grimp_finds(judge, bundled, package):
    modules = sorted(module for module in judge.find_descendants(package) if files_of([module]))
    assert len(modules) > 40
    different = {}
    for module in modules:
        expected = files_of([module, *judge.find_upstream_modules(module)])
        odd = expected ^ bundled.of(files_of([module]))
        if odd:
            different[module] = {path.relative_to(ROOT).as_posix() for path in odd}
    assert different == {}


def write(root: Path, **files: str) -> Path:
    """Files by name, `__` for `/`."""
    for name, text in files.items():
        path = root / f"{name.replace('__', '/').replace('INIT', '__init__')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def closure(root: Path, start: str) -> set[str]:
    return {path.relative_to(root).as_posix() for path in ImportClosure(root).of([root / start])}


def grimp_graph(root: Path, *packages: str) -> grimp.ImportGraph:
    with on_path(root):
        return grimp.build_graph(*packages, cache_dir=None)


def test_imports_in_functions_under_conditions_and_for_type_checkers_count(tmp_path):
    text = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from . import typed\n"
        "try:\n    import shelf.tried\nexcept ImportError:\n    from .deep import caught as c\n"
        "def f():\n    from shelf.lazy import g\n    return g\n"
    )
    write(tmp_path, shelf__INIT="", shelf__a=text, shelf__typed="", shelf__tried="", shelf__lazy="def g(): ...",
          shelf__deep__INIT="", shelf__deep__caught="", shelf__other="")  # fmt: skip
    found = closure(tmp_path, "shelf/a.py")
    expected = {"shelf.typed", "shelf.tried", "shelf.lazy", "shelf.deep.caught"}
    assert grimp_graph(tmp_path, "shelf").find_upstream_modules("shelf.a") == expected
    inits = {"shelf/__init__.py", "shelf/deep/__init__.py"}
    assert found == {"shelf/a.py", *inits, *(f"{name.replace('.', '/')}.py" for name in expected)}


def test_importing_a_module_runs_the_packages_above_it(tmp_path):
    write(tmp_path, crate__INIT="import crate.hook", crate__hook="", crate__sub__INIT="", crate__sub__leaf="",
          crate__user="import crate.sub.leaf")  # fmt: skip
    assert closure(tmp_path, "crate/user.py") == {
        "crate/user.py", "crate/sub/leaf.py", "crate/sub/__init__.py", "crate/__init__.py", "crate/hook.py"
    }  # fmt: skip
    assert closure(tmp_path, "crate/sub/leaf.py") >= {"crate/__init__.py", "crate/hook.py"}
    assert grimp_graph(tmp_path, "crate").find_upstream_modules("crate.sub.leaf") == set()


@pytest.mark.parametrize(
    "text",
    [
        "from importlib import import_module\nimport_module('bag.b')",
        "import importlib\nimportlib.import_module('bag.b')",
        "__import__('bag.b')",
        "import pytest\nb = pytest.importorskip('bag.b')",
        "pytest_plugins = 'bag.b'",
        "pytest_plugins = ['bag.b']",
        "pytest_plugins = ('pytester', 'bag.b')",
    ],
)
def test_a_literal_import_counts(tmp_path, text):
    write(tmp_path, bag__INIT="", bag__a=text, bag__b="")
    assert closure(tmp_path, "bag/a.py") == {"bag/a.py", "bag/b.py", "bag/__init__.py"}
    assert grimp_graph(tmp_path, "bag").find_upstream_modules("bag.a") == set()


def test_a_folder_without_init_below_a_package_counts(tmp_path):
    write(tmp_path, tray__INIT="", tray__plain__leaf="", tray__a="import tray.plain.leaf")
    assert closure(tmp_path, "tray/a.py") == {"tray/a.py", "tray/__init__.py", "tray/plain/leaf.py"}
    assert "tray.plain.leaf" not in grimp_graph(tmp_path, "tray").modules


def test_a_module_in_no_package_counts(tmp_path):
    write(tmp_path, checks__test_a="import lone_module", lone_module="")
    assert closure(tmp_path, "checks/test_a.py") == {"checks/test_a.py", "lone_module.py"}
    with pytest.raises(grimp.exceptions.NotATopLevelModule):
        grimp_graph(tmp_path, "lone_module")


def test_a_package_of_the_project_that_has_the_name_of_a_loaded_one_counts(tmp_path):
    """A checkout of pv that an installed pv judges is the case at hand."""
    write(tmp_path, pv__INIT="", pv__only_here="", check="import pv.only_here")
    assert closure(tmp_path, "check.py") == {"check.py", "pv/__init__.py", "pv/only_here.py"}
    assert "pv.only_here" not in grimp_graph(tmp_path, "pv").modules


@pytest.mark.parametrize("broken", [b"def f(:\n", b"\xff\xfe"], ids=["syntax", "encoding"])
def test_a_file_that_cannot_be_parsed_is_an_error_where_it_is_reached_and_nowhere_else(tmp_path, broken):
    write(tmp_path, jar__INIT="", jar__good="", jar__user="import jar.broken")
    (tmp_path / "jar/broken.py").write_bytes(broken)
    assert closure(tmp_path, "jar/good.py") == {"jar/good.py", "jar/__init__.py"}
    with pytest.raises(EvidenceError, match=r"jar/broken\.py: cannot be fingerprinted: "):
        closure(tmp_path, "jar/user.py")
    with pytest.raises((grimp.exceptions.SourceSyntaxError, UnicodeError)):
        grimp_graph(tmp_path, "jar")


def test_nothing_is_run_and_nothing_is_written(tmp_path):
    write(tmp_path, box__INIT="raise SystemExit('run')", box__a="import box.b", box__b="open('written', 'w')")
    before = sorted(tmp_path.rglob("*"))
    assert closure(tmp_path, "box/a.py") == {"box/a.py", "box/b.py", "box/__init__.py"}
    assert sorted(tmp_path.rglob("*")) == before


def test_packages_are_found_through_the_folders_that_pytest_puts_on_the_path(tmp_path):
    write(
        tmp_path, src__case__INIT="", src__case__a="from case import b", src__case__b="", checks__test_a="import case.a"
    )
    found = ImportClosure(tmp_path, ["src"]).of([tmp_path / "checks/test_a.py"])
    names = {path.relative_to(tmp_path).as_posix() for path in found}
    assert names == {"checks/test_a.py", "src/case/__init__.py", "src/case/a.py", "src/case/b.py"}


def test_a_module_that_two_folders_of_the_path_have_counts_in_both(tmp_path):
    """pytest puts a folder with a conftest before those of its setting `pythonpath`, or after them: who comes first."""
    write(tmp_path, case="", src__case="", checks__test_a="import case")
    found = ImportClosure(tmp_path, ["src"]).of([tmp_path / "checks/test_a.py"])
    names = {path.relative_to(tmp_path).as_posix() for path in found}
    assert names == {"checks/test_a.py", "case.py", "src/case.py"}
