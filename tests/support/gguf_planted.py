"""Bugs to plant into the reader: one bound or rule less each, so that a campaign can prove that it would see them."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path

GGUF = Path(__file__).parents[2] / "engine" / "gguf"


@dataclass(frozen=True)
class Bug:
    """`old`, which is in engine/gguf/<file> once, becomes `new`."""

    name: str
    file: str
    old: str
    new: str

    def source(self) -> str:
        """The module with the bug."""
        right = (GGUF / self.file).read_text()
        if right.count(self.old) != 1:
            raise ValueError(f"{self.name}: {self.old!r} is {right.count(self.old)} times in {self.file}, must be once")
        return right.replace(self.old, self.new)


BUGS = (
    Bug("reads behind the end", "cursor.py", "if count > self.remaining:", "if False:"),
    Bug("any version", "header.py", "if version not in VERSIONS:", "if version > 2**31:"),
    Bug("any magic", "header.py", "if head[:4] != magic.GGUF[: len(head)]:", "if head[:4] == b'PK':"),
    Bug("duplicate keys", "header.py", "if first is not None:", "if first is not None and first.value is entry:"),
    Bug("odd alignment", "header.py", " or value & (value - 1)", ""),
    Bug("alignment of 0", "header.py", "not _MIN_ALIGNMENT <= value", "not 0 <= value"),
    Bug("alignment of any type", "header.py", "if entry.type is not ValueType.U32 or not isinstance(value, int):",
        "if not isinstance(value, int):"),
    Bug("hyperparameter 0", "header.py", "isfinite(value) and value > 0)", "isfinite(value) and value >= 0)"),
    Bug("hyperparameter infinite", "header.py", "(math.isfinite(value) and value > 0)", "(value > 0)"),
    Bug("empty key", "metadata.py", "if length == 0:", "if length < 0:"),
    Bug("key off by one", "metadata.py", "if length > KEY_CAP_BYTES:", "if length > KEY_CAP_BYTES + 1:"),
    Bug("DEL in a key", "metadata.py", "if byte > 0x7E:", "if byte > 0x7F:"),
    Bug("bool of 2", "metadata.py", "raw[0] > 1", "raw[0] > 2"),
    Bug("bools of 2", "metadata.py", "np.uint8) > 1)", "np.uint8) > 2)"),
    Bug("arrays of arrays", "metadata.py", "if type_ is ValueType.ARRAY:\n        raise", "if False:\n        raise"),
    Bug("raw text everywhere", "metadata.py", "as_text=key != RAW_TEXT_KEY", "as_text=False"),
    Bug("a dimension of 0", "tensors.py", "if dim == 0:", "if dim < 0:"),
    Bug("five dimensions", "tensors.py", "MAX_DIMS = 4", "MAX_DIMS = 5"),
    Bug("half blocks", "tensors.py", "if dims[0] % block_size:", "if dims[0] % block_size == 1:"),
    Bug("sizes that wrap", "tensors.py", "math.prod(dims) // block_size * type_size",
        "math.prod(dims) % 2**64 // block_size * type_size"),
    Bug("unaligned offsets", "tensors.py", "if info.relative % alignment:", "if info.relative % 8:"),
    Bug("overlapping tensors", "tensors.py", "if before is not None and info.relative < end:", "if False:"),
    Bug("data one byte short", "tensors.py", "if end > data_bytes:", "if end > data_bytes + 1:"),
    Bug("'..' in names", "tensors.py", 'if ".." in name:', 'if "../" in name:'),
    Bug("duplicate tensors", "tensors.py", "if info.name in infos:", "if info.name in tuple(infos)[1:]:"),
)  # fmt: skip


class _Finder(importlib.abc.MetaPathFinder):
    """Finds one module, with the bug in it."""

    def __init__(self, bug: Bug) -> None:
        self._name = f"engine.gguf.{bug.file.removesuffix('.py')}"
        self._loader = _Loader(bug.source())

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self._loader) if name == self._name else None


class _Loader(importlib.abc.InspectLoader):
    def __init__(self, source: str) -> None:
        self._source = source

    def get_source(self, fullname: str) -> str:  # noqa: ARG002
        return self._source


def plant(bug: Bug) -> None:
    """Make this process import the reader with the bug; there is no way back."""
    for name in [name for name in sys.modules if name.startswith("engine.gguf")]:
        del sys.modules[name]
    sys.meta_path.insert(0, _Finder(bug))
