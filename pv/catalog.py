"""All contracts of a project by id, and the files they come from; read-only."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from pydantic import BaseModel

from pv.errors import NothingToCheck, UsageError
from pv.load import Loaded, Parsed, load_file, load_model, read_bytes
from pv.schema.contract import Contract, Falsifier
from pv.schema.gate import Gate
from pv.schema.settings import Settings
from pv.schema.waiver import GateWaiver

ModelT = TypeVar("ModelT", bound=BaseModel)

SUFFIXES = (".yaml", ".yml")
GATES = "gates"
"""Folder below a contract folder that holds release questions, which are no contracts."""
WAIVERS = "waivers"
"""Folder below a contract folder that holds waivers for gates."""
NO_CONTRACTS = (GATES, WAIVERS)


@dataclass(frozen=True)
class Catalog:
    root: Path
    loaded: tuple[Loaded, ...]
    """Every file, readable or not, by path."""

    @cached_property
    def contracts(self) -> tuple[Contract, ...]:
        """Every contract that could be read, by path of its file."""
        return tuple(item.contract for item in self.loaded if item.contract is not None)

    @cached_property
    def by_id(self) -> Mapping[str, Loaded]:
        """Readable files; of several with one id, the first by path."""
        found: dict[str, Loaded] = {}
        for item in self.loaded:
            if item.contract is not None:
                found.setdefault(item.contract.id, item)
        return MappingProxyType(found)

    @cached_property
    def duplicates(self) -> Mapping[str, tuple[Loaded, ...]]:
        """Ids that several readable files claim."""
        found: dict[str, list[Loaded]] = {}
        for item in self.loaded:
            if item.contract is not None:
                found.setdefault(item.contract.id, []).append(item)
        return MappingProxyType({id_: tuple(items) for id_, items in found.items() if len(items) > 1})

    @cached_property
    def dependencies(self) -> Mapping[str, tuple[str, ...]]:
        """Contract id -> ids it depends on, known or not, each once."""
        return MappingProxyType(
            {
                id_: tuple(dict.fromkeys(item.contract.depends_on))
                for id_, item in self.by_id.items()
                if item.contract is not None
            }
        )

    def falsifiers(self) -> Iterator[tuple[Loaded, Falsifier]]:
        """Every falsifier of every readable contract, in the order of files and of each file."""
        for item in self.loaded:
            if item.contract is not None:
                for falsifier in item.contract.falsifiers:
                    yield item, falsifier


@dataclass(frozen=True)
class Questions:
    """What is asked of contracts, and what is waived for it; by path."""

    gates: tuple[Parsed[Gate], ...] = ()
    waivers: tuple[Parsed[GateWaiver], ...] = ()


def load_questions(root: Path, settings: Settings) -> Questions:
    """Every file below gates/ and waivers/ of the contract folders, readable or not.

    Raises:
        UsageError: a file cannot be read.
    """
    return Questions(
        tuple(_parsed(root, path, Gate) for path in _others(root, settings, GATES)),
        tuple(_parsed(root, path, GateWaiver) for path in _others(root, settings, WAIVERS)),
    )


def selects(selector: str, contract: Contract, path: str) -> bool:
    """Whether a gate's selector names the whole contract, whose file is `path`."""
    prefix, colon, rest = selector.partition(":")
    if colon and prefix == "kind":
        return contract.kind.value == rest
    if colon and prefix == "path":
        return fnmatchcase(path, rest)
    return fnmatchcase(contract.id, selector)


def load_catalog(root: Path, settings: Settings, paths: Sequence[Path] = ()) -> Catalog:
    """Discover and read.

    Raises:
        UsageError: a path does not exist or cannot be read.
        NothingToCheck: there is no contract file.
    """
    return Catalog(root, tuple(load_file(root, path) for path in discover(root, paths, settings)))


def discover(root: Path, paths: Sequence[Path], settings: Settings) -> list[Path]:
    """Contract files, absolute, each once, sorted.

    Args:
        paths: files, or folders to search, relative to the working directory; none means the folders of the settings.
            A file that is named is taken whatever its suffix; gates and waivers are left out in any case.
    Raises:
        UsageError: a path does not exist, or a folder cannot be read.
        NothingToCheck: there is no contract file; an empty selection is never green.
    """
    others = tuple(f"{root / folder / name}{os.sep}" for folder in settings.contracts for name in NO_CONTRACTS)
    found: set[Path] = set()
    for path in paths or _existing(root, settings.contracts):
        absolute = Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps `..`, resolve follows links
        if not absolute.exists():
            raise UsageError(f"{path}: no such file or folder")
        candidates = _search(absolute, path) if absolute.is_dir() else [absolute]
        found.update(item for item in candidates if not str(item).startswith(others))
    if not found:
        places = [str(path) for path in paths] or [f"{folder}/" for folder in settings.contracts]
        raise NothingToCheck(f"no contract files (*.yaml, *.yml) in {', '.join(places)}")
    return sorted(found)


def _existing(root: Path, folders: Iterable[str]) -> list[Path]:
    """Of several folders in the settings, a missing one is an error; a missing only one is nothing to check."""
    missing = [folder for folder in folders if not (root / folder).exists()]
    found = [root / folder for folder in folders if folder not in missing]
    if missing and found:
        raise UsageError(f"{missing[0]}: no such folder; 'contracts' in [tool.pv] names it")
    return found


def _search(folder: Path, shown: Path) -> Iterator[Path]:
    """Files below `folder`; hidden folders, linked folders, gates and waivers are left out."""

    def fail(err: OSError) -> None:
        raise UsageError(f"{shown}: cannot read the folder: {(err.strerror or str(err)).lower()}") from err

    for parent, folders, files in os.walk(folder, onerror=fail):
        here = Path(parent)
        folders[:] = [name for name in folders if not name.startswith(".")]
        if here == folder:
            folders[:] = [name for name in folders if name not in NO_CONTRACTS]
        yield from (here / name for name in files if name.endswith(SUFFIXES) and not name.startswith("."))


def _others(root: Path, settings: Settings, name: str) -> list[Path]:
    folders = [root / contracts / name for contracts in settings.contracts]
    return sorted(path for folder in folders if folder.is_dir() for path in folder.iterdir() if path.suffix in SUFFIXES)


def _parsed(root: Path, path: Path, model: type[ModelT]) -> Parsed[ModelT]:
    shown = path.relative_to(root).as_posix()
    return load_model(read_bytes(path, shown), shown, model)
