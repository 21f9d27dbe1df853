"""What a falsifier's evidence depends on, as digests: contract, test, code, model, schema.

- contract: the falsifier, the obligations it refutes and their equations, as data: reformatting, comments and
  key order never change it. Titles, waivers and the discharge block are not part of the claim.
- test: the test's module and the `conftest.py` files above it, as bytes.
- code: every project file that those import, the pytest plugins of the settings and the declared `subjects`, both
  with their imports, and the files that hold the declared faults, as bytes: of a package all that importing it runs.
- model: the model's file, or all files of a split one, and the parts of a GGUF file, if the test asked for it.
- schema: the version of evidence that this pv writes and understands.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pv.errors import EvidenceError
from pv.evidence.digests import Digests
from pv.evidence.imports import ImportClosure
from pv.evidence.model_parts import model_parts
from pv.evidence.strict import canonical
from pv.schema.contract import Contract, Falsifier
from pv.schema.evidence import PREDICATE_TYPE

_SPLIT = re.compile(r"(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.\w+)")

COMPONENTS = ("contract", "test", "code", "model", "schema")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    files: Mapping[str, Mapping[str, str]]
    """Component -> name of a part -> sha256."""

    def digest(self, component: str) -> str:
        """sha256 over the component's parts and their digests."""
        return hashlib.sha256(canonical(dict(self.files[component]))).hexdigest()

    def changes(self, before: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
        """The components that differ from `before`, each with the parts that changed, were added or are gone.

        A model that was not recorded was not asked for; everything else that was not recorded differs.
        """
        found = []
        for component in COMPONENTS:
            if component not in before:
                if component != "model":
                    found.append(f"{component} (not recorded)")
                continue
            old, new = before[component], self.files.get(component, {})
            parts = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
            if parts:
                shown = ", ".join(parts[:3]) + (f" and {len(parts) - 3} more" if len(parts) > 3 else "")
                found.append(f"{component} ({shown})")
        return tuple(found)


class Fingerprints:
    """Fingerprints of one state of the project; every file is read once."""

    def __init__(
        self, root: Path, *, model: Path | None, search: tuple[str, ...] = (".",), plugins: tuple[str, ...] = (),
        strict: bool = False,
    ) -> None:  # fmt: skip
        """
        Args:
            search: folders that pytest puts on the import path, besides those of the tests.
            plugins: modules that are loaded into every test process.
            strict: hash large files again instead of believing their size, times and inode.
        """
        self._root = root.resolve()
        self._digests_of = Digests(self._root, strict=strict)
        self._model = model
        self._closure = ImportClosure(self._root, search)
        self._plugins = tuple(file for name in plugins for file in self._closure.module(name))
        self._sha256: dict[Path, str] = {}
        self._names: dict[Path, str] = {}
        self._model_files: dict[str, str] | None = None

    def of(self, contract: Contract, falsifier: Falsifier) -> Fingerprint:
        """Today's fingerprint; the model component is always given, and compared only if evidence has it.

        Raises:
            EvidenceError: a file that the falsifier depends on cannot be read.
        """
        module = self._root / falsifier.test.split("::", 1)[0]
        test_files = [module, *self._conftests(module)]
        subjects = [file for name in falsifier.subjects for file in self._subject(falsifier, name)]
        faults = [file for item in falsifier.challenges for file in self._faults(item.fault.split(":")[0])]
        imported = self._closure.of(
            [*test_files, *self._plugins, *subjects], beside=[_import_folder(file) for file in test_files]
        )
        code = (imported | frozenset(faults)) - frozenset(test_files)
        files = {
            "contract": claim_digests(contract, falsifier),
            "test": self._digests(test_files),
            "code": self._digests(code),
            "schema": {"evidence": hashlib.sha256(PREDICATE_TYPE.encode()).hexdigest()},
        }
        if self._model is not None:
            files["model"] = self._model_digests(self._model)
        return Fingerprint(files)

    def _model_digests(self, model: Path) -> dict[str, str]:
        if self._model_files is None:
            files = {name: self._digest(path) for name, path in _model_files(model).items()}
            self._model_files = {**files, **model_parts(model)}
        return self._model_files

    def _subject(self, falsifier: Falsifier, name: str) -> tuple[Path, ...]:
        found = self._closure.module(name)
        last = found[-1] if found else None
        own_name = last and (last.parent.name if last.name == "__init__.py" else last.stem)
        if own_name != name.rpartition(".")[2]:
            raise EvidenceError(f"{falsifier.id}: subject '{name}' is not a module of this project")
        return found

    def _faults(self, module: str) -> tuple[Path, ...]:
        files = self._closure.module(module)
        if not files or files[-1].name != "__init__.py":
            return files
        package = files[-1].parent
        return *files, *(file for file in self._closure.of([files[-1]]) if file.is_relative_to(package))

    def _conftests(self, module: Path) -> list[Path]:
        folders = [self._root]
        for part in module.relative_to(self._root).parent.parts:
            folders.append(folders[-1] / part)
        return [path for folder in folders if (path := folder / "conftest.py").is_file()]

    def _digests(self, files: list[Path] | frozenset[Path]) -> dict[str, str]:
        return {self._name(path): self._digest(path) for path in sorted(files)}

    def _name(self, path: Path) -> str:
        if path not in self._names:
            is_ours = path.is_relative_to(self._root)
            self._names[path] = path.relative_to(self._root).as_posix() if is_ours else path.name
        return self._names[path]

    def _digest(self, path: Path) -> str:
        if path not in self._sha256:
            try:
                self._sha256[path] = self._digests_of.sha256(path)
            except OSError as err:
                raise EvidenceError(f"{path.name}: cannot be fingerprinted: {err.strerror or err}") from err
        return self._sha256[path]


def _model_files(model: Path) -> dict[str, Path]:
    """The parts of a model by name; of a split one by the names that llama.cpp's gguf-split gives its files."""
    split = _SPLIT.fullmatch(model.name)
    if split is None:
        return {"file": model}
    stem, own, count, suffix = split["stem"], int(split["number"]), int(split["count"]), split["suffix"]
    others = (number for number in range(1, count + 1) if number != own)
    return {
        "file": model,
        **{f"file {n} of {count}": model.with_name(f"{stem}-{n:05}-of-{count:05}{suffix}") for n in others},
    }


def _import_folder(file: Path) -> Path:
    """The folder that pytest puts on the import path for a test or a conftest: above its packages."""
    folder = file.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder


def claim_digests(contract: Contract, falsifier: Falsifier) -> dict[str, str]:
    """Digests of the semantic parts of one claim, by name."""
    refuted = [item for item in contract.obligations if item.id in falsifier.refutes]
    parts: dict[str, object] = {f"falsifier {falsifier.id}": falsifier.model_dump(mode="json")}
    for obligation in refuted:
        parts[f"obligation {obligation.id}"] = obligation.model_dump(mode="json")
        if obligation.equation is not None and obligation.equation in contract.equations:
            equation = contract.equations[obligation.equation]
            parts[f"equation {obligation.equation}"] = equation.model_dump(mode="json")
    parts["contract id"] = contract.id
    return {name: hashlib.sha256(canonical(value)).hexdigest() for name, value in sorted(parts.items())}
