"""Contract files: bounded YAML in, typed contracts and findings out.

    bytes --text--> str --compose--> nodes with places --validate--> Contract
            |                |                            |
            +----------------+------ findings ------------+

A file that is wrong gives findings, never an exception; all findings of one stage come in one pass.
Only this package imports yaml.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from pv.errors import UsageError
from pv.load.composer import compose
from pv.load.nodes import KeyPath, Mapping, Node, SourceMap, dotted, to_data
from pv.load.rules import LOADER_RULES
from pv.load.sink import Sink
from pv.load.source import Source
from pv.load.text import MAX_BYTES, decode
from pv.load.validate import validate
from pv.schema.contract import Contract
from pv.schema.finding import Finding

__all__ = [
    "LOADER_RULES",
    "KeyPath",
    "Loaded",
    "Memory",
    "Parsed",
    "SourceMap",
    "dotted",
    "load_file",
    "load_mapping",
    "load_model",
    "load_text",
    "read_bytes",
]

ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Parsed(Generic[ModelT]):
    """A YAML file read as one model."""

    path: str
    model: ModelT | None
    findings: tuple[Finding, ...]
    locations: SourceMap
    source: Source
    data: dict[str, Any] | None
    """The file as dict, list, str and None; None if it could not be composed. Set even where the model is None."""

    @property
    def text(self) -> str:
        """Without a byte order mark; undecodable bytes are replaced."""
        return self.source.text


@dataclass(frozen=True, slots=True)
class Loaded:
    """A contract file."""

    path: str
    """Relative to the project's root, POSIX separators."""
    contract: Contract | None
    """None if the file has an error."""
    findings: tuple[Finding, ...]
    locations: SourceMap
    source: Source
    data: dict[str, Any] | None = None
    """A file whose contract is None, as dict, list, str and None; None if it could not be composed."""

    @property
    def text(self) -> str:
        """Without a byte order mark; undecodable bytes are replaced."""
        return self.source.text

    @property
    def id(self) -> str | None:
        """As written, even if another part of the file is wrong."""
        if self.contract is not None:
            return self.contract.id
        value = self.data.get("id") if self.data else None
        return value if isinstance(value, str) else None


class Memory(Protocol):
    """Data of contract files about which the loader had nothing to say, by the sha256 of their bytes."""

    def get(self, sha256: bytes) -> Any:
        """The data, or None."""

    def put(self, sha256: bytes, data: Any) -> None: ...


def load_text(text: bytes, path: str, memory: Memory | None = None) -> Loaded:
    """Read a contract; `path` is only named in findings.

    Args:
        memory: saves parsing a file that was parsed before; its types are checked again.
    """
    sha256 = hashlib.sha256(text).digest() if memory is not None else b""
    known = memory.get(sha256) if memory is not None else None
    if known is not None:
        with suppress(ValidationError):
            source = Source(text.decode("utf-8"))
            return Loaded(path, Contract.model_validate(known), (), SourceMap(path, source.nodes), source)
    parsed = load_model(text, path, Contract)
    if memory is not None and parsed.model is not None and not parsed.findings:
        memory.put(sha256, parsed.data)
    # Ten thousand files as data take more memory than as contracts, and nobody asks for both.
    data = parsed.data if parsed.model is None else None
    return Loaded(path, parsed.model, parsed.findings, parsed.locations, parsed.source, data)


def load_file(root: Path, path: Path, memory: Memory | None = None) -> Loaded:
    """Read a contract file.

    Args:
        path: absolute, or relative to `root`.
    Raises:
        UsageError: the file cannot be read.
    """
    absolute = root / path
    shown = _relative(root, absolute)
    return load_text(read_bytes(absolute, shown), shown, memory)


def load_model(text: bytes, path: str, model: type[ModelT]) -> Parsed[ModelT]:
    """Read any other YAML file of pv by the same rules."""
    sink, source, root = _compose(text, path)
    typed = None
    data = to_data(root) if isinstance(root, Mapping) else None
    if root is not None:
        typed = validate(model, root, data, sink)
    places = SourceMap(path, source.nodes)
    return Parsed(path, None if sink.has_errors else typed, sink.findings(), places, source, data)


def load_mapping(raw: bytes, path: str) -> tuple[dict[str, Any] | None, tuple[Finding, ...], SourceMap]:
    """The file as dict, list, str and None, not typed; None if it is not a mapping that can be read."""
    sink, source, root = _compose(raw, path)
    data = to_data(root) if isinstance(root, Mapping) else None
    return data, sink.findings(), SourceMap(path, source.nodes)


def read_bytes(path: Path, shown: str, *, limit: int = MAX_BYTES) -> bytes:
    """At most one byte more than `limit`, which is what the loader takes; never waits for a pipe or a device."""
    try:
        # O_NONBLOCK: opening a named pipe without a writer would wait for one.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as err:
        hint = "; check its permissions" if err.errno == errno.EACCES else ""
        raise UsageError(f"{shown}: cannot read the file: {_reason(err)}{hint}") from err
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UsageError(f"{shown}: is not a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(limit + 1)
    except OSError as err:
        raise UsageError(f"{shown}: cannot read the file: {_reason(err)}") from err
    finally:
        os.close(descriptor)


def _compose(raw: bytes, path: str) -> tuple[Sink, Source, Node | None]:
    sink = Sink(path)
    text = decode(raw, sink)
    if text is None:
        seen = raw[:MAX_BYTES].decode("utf-8", "replace").removeprefix("\ufeff")
        return sink, Source(seen, can_be_composed=False), None
    root = compose(text, sink)
    if not isinstance(root, Mapping) and not sink.has_errors:
        _report_root(root, sink)
        root = None
    return sink, Source(text, can_be_composed=root is not None), root


def _report_root(root: Node | None, sink: Sink) -> None:
    if root is None or getattr(root, "text", "") is None:
        sink.add("empty-file", "file is empty, expected a mapping of keys", (1, 1, 1, 1))
        return
    kind = "a list" if hasattr(root, "items") else "a single value"
    sink.add("not-a-mapping", f"file holds {kind}, expected a mapping of keys", root.span)


def _reason(err: OSError) -> str:
    return (err.strerror or str(err)).lower()


def _relative(root: Path, path: Path) -> str:
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return path.as_posix()
