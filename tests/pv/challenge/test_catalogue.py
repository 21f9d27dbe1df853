"""Which faults a module offers, read from its source, and which tests could meet them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pv.challenge.catalogue import faults_of
from pv.errors import UsageError
from pv.evidence.imports import ImportClosure
from pv.schema.fault import Fault

FAULTS = '''
import importlib
from contextlib import AbstractContextManager, contextmanager

from lib import alpha, beta
from lib.gamma import value

Seeded = AbstractContextManager[None]


@contextmanager
def decorated():
    """See lib.delta. It is only mentioned."""
    alpha.x = 1
    yield


def through_an_alias() -> Seeded:
    return _helper(beta)


def through_a_helper() -> "AbstractContextManager[None]":
    return _on("delta")


def without_annotation(size=1, *, more=2):
    from lib import epsilon
    return _helper(epsilon)


def knows_nothing() -> Seeded:
    return _helper(globals())


def from_a_module() -> Seeded:
    return _helper(value)


def needs_an_argument(size) -> Seeded: ...


def needs_a_keyword(*, size) -> Seeded: ...


def gives_something_else() -> dict[str, str]: ...


@contextmanager
def _private(): ...


def _helper(place: alpha.Type): ...


def _on(name):
    return _helper(importlib.import_module(f"lib.ops.{name}"))


class WithEnter:
    def __init__(self, size=1): ...

    def __enter__(self):
        beta.x = 1

    def __exit__(self, *_): ...


class NeedsAnArgument:
    def __init__(self, size): ...

    def __enter__(self): ...


class NotAContextManager: ...
'''


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "lib" / "ops").mkdir(parents=True)
    for name in ("__init__", "alpha", "beta", "gamma", "delta", "epsilon", "ops/__init__", "ops/delta"):
        (tmp_path / "lib" / f"{name}.py").write_text("")
    (tmp_path / "lib" / "faults.py").write_text(FAULTS)
    return tmp_path


def test_public_context_managers_are_offered_with_the_files_they_name(root: Path) -> None:
    found = {
        fault.reference: sorted(path.relative_to(root).as_posix() for path in fault.concerns)
        for fault in faults_of(ImportClosure(root), ["lib.faults"])
    }
    assert found == {
        "lib.faults:decorated": ["lib/alpha.py"],
        "lib.faults:through_an_alias": ["lib/beta.py"],
        "lib.faults:through_a_helper": ["lib/ops/__init__.py"],
        "lib.faults:without_annotation": ["lib/epsilon.py"],
        "lib.faults:knows_nothing": [],
        "lib.faults:from_a_module": ["lib/gamma.py"],
        "lib.faults:WithEnter": ["lib/beta.py"],
    }


def test_fault_reaches_a_test_that_runs_one_of_its_files() -> None:
    one, other = Path("/a.py"), Path("/b.py")
    assert Fault("m:f", frozenset({one})).may_reach(frozenset({one, other}))
    assert not Fault("m:f", frozenset({one})).may_reach(frozenset({other}))
    assert Fault("m:f", frozenset()).may_reach(frozenset({other}))


@pytest.mark.parametrize(
    ("module", "why"),
    [
        ("lib.no_such", "is not a module of this project"),
        ("json", "is not a module of this project"),
        ("lib.alpha", "offers no public context manager"),
        ("lib.broken", "cannot be read"),
    ],
)
def test_catalogue_that_offers_nothing_is_an_error(module: str, why: str, root: Path) -> None:
    (root / "lib" / "broken.py").write_text("def (:")
    with pytest.raises(UsageError, match=why):
        faults_of(ImportClosure(root), [module])


def test_module_is_read_once(root: Path) -> None:
    assert len(faults_of(ImportClosure(root), ["lib.faults", "lib.faults"])) == 7


def test_package_offers_what_its_files_define_by_their_class(root: Path) -> None:
    """Helpers of another file are followed, names of types anywhere; what comes from elsewhere is no fault of it."""
    package = root / "lib" / "all_faults"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from contextlib import nullcontext\n"
        "from lib.all_faults.rope import turned, doubled as twice\n"
        "from lib.all_faults.seeding import Seeded\n"
        "def own() -> Seeded: ...\n"
    )
    (root / "lib" / "kinds.py").write_text(
        "from contextlib import AbstractContextManager\nSeeded = AbstractContextManager[None]\n"
    )
    (package / "seeding.py").write_text(
        "from lib import beta\n"
        "from lib.kinds import Seeded\n"
        "def on_beta(wrong) -> Seeded:\n    return beta.replaced(wrong)\n"
    )
    (package / "rope.py").write_text(
        "from lib import alpha\n"
        "from lib.all_faults.seeding import Seeded, on_beta\n"
        "def turned() -> Seeded:\n"
        '    """Turned backwards.\n\n    Not caught: nothing here\n    turns.\n\n    Seen in a.\n    """\n'
        "    return on_beta(alpha.x)\n"
        "def doubled() -> Seeded:\n    return on_beta(2)\n"
        "def not_named() -> Seeded: ...\n"
    )
    alpha, beta = root / "lib" / "alpha.py", root / "lib" / "beta.py"
    assert faults_of(ImportClosure(root), ["lib.all_faults"]) == [
        Fault("lib.all_faults:turned", frozenset({alpha, beta}), "rope", "Turned backwards.", "nothing here turns."),
        Fault("lib.all_faults:twice", frozenset({beta}), "rope"),
        Fault("lib.all_faults:own"),
    ]
