"""One changed byte, over every bundled falsifier: exactly those that depend on it become stale, and say what changed.

Who depends on a file is said by grimp's graph, not by our closure.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import grimp
import pytest

from pv.catalog import load_catalog
from pv.config import load_settings
from pv.evidence.fingerprint import Fingerprint, Fingerprints
from pv.process.pytest_options import project_ini
from pv.schema.contract import Contract, Falsifier
from support.import_graph import ROOT, bundled_graph, module_of

COPIED = ("contracts", "engine", "falsifiers", "pv", "tests/support")
CODE = (
    "engine/errors.py",
    "engine/faults/rope.py",
    "engine/ops/reference.py",
    "engine/quant/q4_k.py",
    "engine/tokenizer/__init__.py",
    "falsifiers/support/faults.py",
    "pv/errors.py",
)
TESTS = ("falsifiers/engine/quant/test_q4k_dequant.py", "falsifiers/engine/gguf/test_gguf_reader.py")
UNRELATED = ("README.md", "engine/teacher/train.py", "pv/report/sarif.py", "tests/support/q4k.py")


@dataclass(frozen=True)
class Bundled:
    root: Path
    falsifiers: tuple[tuple[Contract, Falsifier], ...]
    before: Mapping[str, Fingerprint]
    graph: grimp.ImportGraph

    def now(self) -> dict[str, Fingerprint]:
        search = project_ini(self.root).get("pythonpath", [])
        prints = Fingerprints(self.root, model=None, search=tuple(search))
        return {falsifier.id: prints.of(contract, falsifier) for contract, falsifier in self.falsifiers}

    def changes(self) -> dict[str, tuple[str, ...]]:
        found = {name: fingerprint.changes(self.before[name].files) for name, fingerprint in self.now().items()}
        return {name: changed for name, changed in found.items() if changed}

    def dependents(self, path: str) -> dict[str, str]:
        """Falsifiers that depend on a file, each with the component that it is for them."""
        module = module_of(path)
        if module not in self.graph.modules:
            return {}
        importers = {module, *self.graph.find_downstream_modules(module)}
        found = {}
        for _, falsifier in self.falsifiers:
            test = falsifier.test.partition("::")[0]
            starts = {module_of(test), *falsifier.subjects}
            faults = {challenge.fault.partition(":")[0] for challenge in falsifier.challenges}
            # A fault stands for its packages, and a package for what it runs when it is imported.
            of_fault = any(f"{fault}.".startswith(f"{module}.") or _runs(fault, importers, module) for fault in faults)
            if starts & importers or of_fault:
                found[falsifier.id] = "test" if path == test else "code"
        return found


def _runs(fault: str, importers: set[str], module: str) -> bool:
    return fault in importers and module.startswith(f"{fault}.")


@pytest.fixture(scope="module")
def bundled(tmp_path_factory) -> Bundled:
    root = tmp_path_factory.mktemp("copy")
    skipped = shutil.ignore_patterns("__pycache__", "*.gguf", ".pv-cache")
    for folder in COPIED:
        shutil.copytree(ROOT / folder, root / folder, ignore=skipped)
    for file in ("pyproject.toml", "README.md"):
        shutil.copyfile(ROOT / file, root / file)
    _, settings = load_settings(root)
    catalog = load_catalog(root, settings)
    falsifiers = tuple((contract, item) for contract in catalog.contracts for item in contract.falsifiers)
    made = Bundled(root, falsifiers, {}, bundled_graph(tmp_path_factory.mktemp("graph")))
    return Bundled(root, falsifiers, made.now(), made.graph)


@pytest.fixture
def changed(bundled: Bundled, request: pytest.FixtureRequest) -> Iterator[str]:
    """One byte more at the end of a file."""
    path = bundled.root / request.param
    good = path.read_bytes()
    path.write_bytes(good + b"\n")
    yield request.param
    path.write_bytes(good)


@pytest.mark.parametrize("changed", [*CODE, *TESTS], indirect=True)
def test_one_byte_makes_exactly_its_dependents_stale_and_is_named(bundled, changed):
    expected = bundled.dependents(changed)
    assert 0 < len(expected) < len(bundled.falsifiers) or changed == "engine/errors.py"
    assert bundled.changes() == {name: (f"{component} ({changed})",) for name, component in expected.items()}


@pytest.mark.parametrize("changed", UNRELATED, indirect=True)
def test_an_unrelated_byte_makes_none_stale(bundled, changed):
    assert bundled.dependents(changed) == {}
    assert bundled.changes() == {}


@pytest.mark.parametrize("changed", ["contracts/engine/quant/q4k-dequant-v1.yaml"], indirect=True)
def test_a_byte_of_layout_in_a_contract_makes_none_stale(bundled, changed):
    assert bundled.changes() == {}


def test_every_claim_has_a_fingerprint(bundled):
    assert len(bundled.before) == len(bundled.falsifiers) > 75
