"""Which files are contracts, and how they are found by id."""

from __future__ import annotations

from pathlib import Path

import pytest

from pv.catalog import Catalog, discover, load_catalog
from pv.errors import NothingToCheck, UsageError
from pv.schema.settings import Settings
from support.contract_text import VALID

SETTINGS = Settings()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("b-v1.yaml", "deep/er/a-v1.yml", "gates/ship.yaml", ".hidden/c.yaml", "deep/.d.yaml", "notes.md"):
        path = tmp_path / "contracts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(VALID.replace("rms-norm", path.name[0]))
    return tmp_path


def names(root: Path, found: list[Path]) -> list[str]:
    return [path.relative_to(root).as_posix() for path in found]


def test_contract_folders_are_searched_without_gates_and_hidden_files(root: Path) -> None:
    assert names(root, discover(root, [], SETTINGS)) == ["contracts/b-v1.yaml", "contracts/deep/er/a-v1.yml"]


def test_each_file_is_taken_once(root: Path) -> None:
    paths = [Path("contracts"), Path("contracts/b-v1.yaml"), Path("./contracts/../contracts/deep"), root / "contracts"]
    assert names(root, discover(root, paths, SETTINGS)) == ["contracts/b-v1.yaml", "contracts/deep/er/a-v1.yml"]


def test_paths_are_relative_to_the_working_directory(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root / "contracts" / "deep")
    assert names(root, discover(root, [Path("er")], SETTINGS)) == ["contracts/deep/er/a-v1.yml"]


def test_named_file_is_taken_whatever_its_suffix(root: Path) -> None:
    assert names(root, discover(root, [Path("contracts/notes.md")], SETTINGS)) == ["contracts/notes.md"]


def test_named_gate_is_no_contract(root: Path) -> None:
    with pytest.raises(NothingToCheck, match=r"^no contract files .* in contracts/gates/ship\.yaml$"):
        discover(root, [Path("contracts/gates/ship.yaml")], SETTINGS)
    with pytest.raises(NothingToCheck):
        discover(root, [Path("contracts/gates")], SETTINGS)


def test_missing_path(root: Path) -> None:
    with pytest.raises(UsageError, match=r"^contrcats: no such file or folder$"):
        discover(root, [Path("contrcats")], SETTINGS)


def test_empty_selection_is_never_green(root: Path) -> None:
    (root / "empty").mkdir()
    with pytest.raises(NothingToCheck, match=r"in empty$"):
        discover(root, [Path("empty")], SETTINGS)
    with pytest.raises(NothingToCheck, match=r"in claims/, more/$"):
        discover(root, [], Settings(contracts=("claims", "more")))


def test_one_missing_folder_of_the_settings_is_an_error(root: Path) -> None:
    """A misspelt folder would hide its contracts."""
    with pytest.raises(UsageError, match=r"^contarcts: no such folder; 'contracts' in \[tool\.pv\] names it$"):
        discover(root, [], Settings(contracts=("contracts", "contarcts")))


def test_folder_links_are_not_followed(root: Path) -> None:
    (root / "contracts" / "loop").symlink_to(root / "contracts", target_is_directory=True)
    assert len(discover(root, [], SETTINGS)) == 2


def test_catalog_by_id(root: Path) -> None:
    catalog = load_catalog(root, SETTINGS)
    assert [item.path for item in catalog.loaded] == ["contracts/b-v1.yaml", "contracts/deep/er/a-v1.yml"]
    assert {id_: item.path for id_, item in catalog.by_id.items()} == {
        "b": "contracts/b-v1.yaml",
        "a": "contracts/deep/er/a-v1.yml",
    }
    assert [(loaded.id, falsifier.id) for loaded, falsifier in catalog.falsifiers()] == [
        ("b", "FALSIFY-RMS-001"),
        ("a", "FALSIFY-RMS-001"),
    ]
    assert catalog.duplicates == {}


def test_duplicate_ids_are_kept_apart(root: Path) -> None:
    (root / "contracts" / "copy.yaml").write_text((root / "contracts" / "b-v1.yaml").read_text())
    catalog = load_catalog(root, SETTINGS)
    assert catalog.by_id["b"].path == "contracts/b-v1.yaml"
    assert [item.path for item in catalog.duplicates["b"]] == ["contracts/b-v1.yaml", "contracts/copy.yaml"]


def test_unreadable_contract_is_loaded_but_has_no_contract(root: Path) -> None:
    (root / "contracts" / "b-v1.yaml").write_text("title: only\n")
    catalog = load_catalog(root, SETTINGS)
    assert len(catalog.loaded) == 2
    assert [contract.id for contract in catalog.contracts] == ["a"]


def test_dependencies_are_by_id_and_without_repeats(root: Path) -> None:
    path = root / "contracts" / "b-v1.yaml"
    path.write_text(path.read_text() + "depends_on: [a, unknown, a]\n")
    assert load_catalog(root, SETTINGS).dependencies == {"b": ("a", "unknown"), "a": ()}


def test_catalog_cannot_be_changed(root: Path) -> None:
    catalog: Catalog = load_catalog(root, SETTINGS)
    with pytest.raises(TypeError):
        catalog.by_id["x"] = catalog.loaded[0]  # type: ignore[index]
