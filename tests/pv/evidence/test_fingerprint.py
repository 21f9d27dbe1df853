"""One changed byte makes its component, and no other, differ."""

import pytest

from pv.errors import EvidenceError
from pv.evidence.fingerprint import Fingerprints
from pv.load import load_text
from support.project import CONTRACT, SUBJECT, write_project


@pytest.fixture
def project(tmp_path):
    root = write_project(tmp_path)
    (root / "conftest.py").write_text("# top\n")
    (root / "checks/conftest.py").write_text("import lib.helper\n")
    (root / "lib/helper.py").write_text("def f():\n    from lib import lazy\n")
    (root / "lib/lazy.py").write_text("x = 1\n")
    (root / "lib/unrelated.py").write_text("y = 1\n")
    (root / "model.bin").write_bytes(b"weights")
    return root


def contract_of(text):
    loaded = load_text(text.encode(), "contracts/doubling-v1.yaml")
    assert loaded.contract is not None, loaded.findings
    return loaded.contract


def fingerprint(root, text=CONTRACT):
    contract = contract_of(text)
    return Fingerprints(root, model=root / "model.bin").of(contract, contract.falsifiers[0])


def test_the_parts_are_the_ones_a_reader_would_name(project):
    files = fingerprint(project).files
    assert set(files["test"]) == {"checks/test_double.py", "conftest.py", "checks/conftest.py"}
    assert set(files["code"]) == {"lib/__init__.py", "lib/double.py", "lib/faults.py", "lib/helper.py", "lib/lazy.py"}
    assert set(files["model"]) == {"file"}


@pytest.mark.parametrize(
    ("path", "component"),
    [
        ("checks/test_double.py", "test (checks/test_double.py)"),
        ("conftest.py", "test (conftest.py)"),
        ("lib/double.py", "code (lib/double.py)"),
        ("lib/lazy.py", "code (lib/lazy.py)"),
        ("lib/faults.py", "code (lib/faults.py)"),
        ("model.bin", "model (file)"),
    ],
)
def test_one_more_byte_names_exactly_its_component(project, path, component):
    before = fingerprint(project)
    with (project / path).open("a") as file:
        file.write("\n")
    assert fingerprint(project).changes(before.files) == (component,)


@pytest.mark.parametrize(("is_package", "path"), [(False, "checks/helper.py"), (True, "helper.py")])
def test_a_module_beside_the_test_counts_where_pytest_lets_it_be_imported(project, is_package, path):
    """pytest puts the folder above the test's packages on the import path, whatever `pythonpath` says."""
    deeper = project / "deeper"
    deeper.mkdir()
    (project / "checks").rename(deeper / "checks")
    if is_package:
        (deeper / "checks/__init__.py").write_text("")
    (deeper / path).write_text("wanted = 6\n")
    with (deeper / "checks/test_double.py").open("a") as file:
        file.write("import helper\n")
    text = CONTRACT.replace("test: checks/", "test: deeper/checks/")
    before = fingerprint(project, text)
    (deeper / path).write_text("wanted = 7\n")
    assert fingerprint(project, text).changes(before.files) == (f"code (deeper/{path})",)


def test_a_plugin_of_the_settings_and_its_imports_count(project):
    (project / "lib/plugin.py").write_text("import lib.unrelated\n")
    contract = contract_of(CONTRACT)

    def now():
        return Fingerprints(project, model=None, plugins=("lib.plugin",)).of(contract, contract.falsifiers[0])

    before = now()
    for path in ("lib/plugin.py", "lib/unrelated.py"):
        with (project / path).open("a") as file:
            file.write("z = 1\n")
    assert now().changes(before.files) == ("code (lib/plugin.py, lib/unrelated.py)",)


@pytest.mark.parametrize("path", ["lib/unrelated.py", "contracts/doubling-v1.yaml", "README.md"])
def test_an_unrelated_change_makes_nothing_differ(project, path):
    before = fingerprint(project)
    with (project / path).open("a") as file:
        file.write("\n# more\n")
    assert fingerprint(project).changes(before.files) == ()


SEMANTIC = {
    "tolerance": ("limit: 1.0e-6", "limit: 1.0e-5"),
    "unit": ('unit: "1"', 'unit: "ulp"'),
    "formula": ("double(x) = 2 x", "double(x) = 3 x"),
    "property": ("differs from 2 x", "differs from 3 x"),
    "prediction": ("double(3) is 6", "double(3) is 7"),
    "test": ("::test_double", "::test_other"),
    "target": ("[cpu]", "[cpu, cuda]"),
    "challenge": ("lib.faults:off_by_one", "lib.faults:harmless"),
    "type": ("type: bound", "type: equivalence"),
}


@pytest.mark.parametrize(("old", "new"), SEMANTIC.values(), ids=SEMANTIC)
def test_a_change_of_meaning_changes_the_contract(project, old, new):
    assert old in CONTRACT
    before = fingerprint(project)
    changed = fingerprint(project, CONTRACT.replace(old, new)).changes(before.files)
    assert changed
    assert changed[0].startswith("contract (")


EDITORIAL = {
    "comment": ("# a comment that must survive", "# another comment"),
    "quoting": ("kind: kernel", 'kind: "kernel"'),
    "number": ("1.0e-6", "0.000001"),
    "flow": ("refutes: [doubles]", "refutes:\n      - doubles"),
    "title": ("Doubling doubles", "Twice is double"),
    "order": ("version: 1.0.0\nkind: kernel", "kind: kernel\nversion: 1.0.0"),
}


@pytest.mark.parametrize(("old", "new"), EDITORIAL.values(), ids=EDITORIAL)
def test_an_editorial_change_keeps_the_contract(project, old, new):
    assert old in CONTRACT
    before = fingerprint(project)
    assert fingerprint(project, CONTRACT.replace(old, new)).changes(before.files) == ()


def test_a_declared_subject_and_its_imports_count(project):
    text = CONTRACT.replace("    if_fails:", "    subjects: [lib.unrelated]\n    if_fails:")
    assert "lib/unrelated.py" in fingerprint(project, text).files["code"]


def test_an_unknown_subject_is_an_error(project):
    text = CONTRACT.replace("    if_fails:", "    subjects: [lib.nothing.here]\n    if_fails:")
    with pytest.raises(EvidenceError, match=r"subject 'lib\.nothing\.here' is not a module of this project"):
        fingerprint(project, text)


def test_a_subject_that_does_not_parse_is_an_error(project):
    (project / "lib/double.py").write_text(SUBJECT + "def (")
    with pytest.raises(EvidenceError, match=r"lib/double\.py: cannot be fingerprinted"):
        fingerprint(project)


def test_every_file_of_a_split_model_counts(project):
    """The first file stands for all; the weights may be in any of them."""
    for number in (1, 2, 3):
        (project / f"big-0000{number}-of-00003.gguf").write_bytes(b"GGUF")
    contract = contract_of(CONTRACT)

    def now():
        prints = Fingerprints(project, model=project / "big-00001-of-00003.gguf")
        return prints.of(contract, contract.falsifiers[0])

    before = now()
    assert set(before.files["model"]) == {"file", "file 2 of 3", "file 3 of 3"}
    (project / "big-00003-of-00003.gguf").write_bytes(b"GGUX")
    assert now().changes(before.files) == ("model (file 3 of 3)",)
    (project / "big-00002-of-00003.gguf").unlink()
    with pytest.raises(EvidenceError, match=r"big-00002-of-00003\.gguf: cannot be fingerprinted: No such file"):
        now()
