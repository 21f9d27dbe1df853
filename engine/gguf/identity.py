"""Which model a file holds: digests that say *what* differs between two files, not only that they differ.

Each digest is SHA-256 over a canonical text, so that it can be recomputed from the file by other means:

    file        the bytes of the file; of all files of a set, one after the other
    tensors     per tensor in file order: name, type, shape, relative offset, size; values separated by a tab, tensors
                by a newline
    tokenizer   every `tokenizer.*` key but the templates, sorted: key, type, value; strings and arrays by their length
    template    the UTF-8 bytes of `tokenizer.chat_template`
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.gguf.metadata import Value
from engine.gguf.strings import Strings

if TYPE_CHECKING:
    from engine.gguf.reader import GgufFile

_TEMPLATE_KEY = "tokenizer.chat_template"


@dataclass(frozen=True)
class Identity:
    """Digests are lower-case hexadecimal SHA-256."""

    file_sha256: str | None
    """None where the bytes were not read."""
    size_bytes: int
    tensors_sha256: str
    tensor_types: Mapping[str, int]
    """Number of tensors by type name, in order of the names."""
    tensor_bytes: Mapping[str, int]
    """Packed size in bytes by type name."""
    tokenizer_sha256: str
    template_sha256: str | None
    """None where the file has no chat template."""


def identify(file: GgufFile, *, contents: bool = True) -> Identity:
    """Digests of an open file.

    Args:
        contents: read every byte for `file_sha256`, at about 1 GB/s; without it only the header counts.

    Raises:
        GgufError: GGUF-M15, the file changed since it was opened.
    """
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for info in file.tensors.values():
        counts[info.type.name] += 1
        sizes[info.type.name] += info.size_bytes
    template = file.metadata.get(_TEMPLATE_KEY)
    digest = sha256_of(*file.paths) if contents else None
    file.check_unchanged()
    return Identity(
        file_sha256=digest,
        size_bytes=file.size_bytes,
        tensors_sha256=tensors_sha256(file),
        tensor_types=dict(sorted(counts.items())),
        tensor_bytes=dict(sorted(sizes.items())),
        tokenizer_sha256=tokenizer_sha256(file),
        template_sha256=hashlib.sha256(template.encode()).hexdigest() if isinstance(template, str) else None,
    )


def sha256_of(*paths: Path) -> str:
    """SHA-256 of the bytes of one file, or of several one after the other."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as stream:
            while part := stream.read(1 << 20):
                digest.update(part)
    return digest.hexdigest()


def tensors_sha256(file: GgufFile) -> str:
    """Digest of the tensor table, without the data."""
    start = min((info.offset for info in file.tensors.values()), default=0)
    lines = (
        f"{info.name}\t{info.type.name}\t{','.join(map(str, info.shape))}\t{info.offset - start}\t{info.size_bytes}\n"
        for info in file.tensors.values()
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def tokenizer_sha256(file: GgufFile) -> str:
    """Digest of the vocabulary, the merges and the special ids."""
    digest = hashlib.sha256()
    for key in sorted(file.metadata):
        if key.startswith("tokenizer.") and not key.startswith(_TEMPLATE_KEY):
            digest.update(f"{key}\t{file.metadata_types[key]}\t".encode())
            digest.update(_canonical(file.metadata[key]))
            digest.update(b"\n")
    return digest.hexdigest()


def _canonical(value: Value) -> bytes:
    """Bytes that differ for different values of one type: every length stands before what it measures."""
    if isinstance(value, str):
        raw = value.encode()
        return b"%d:%b" % (len(raw), raw)
    if isinstance(value, Strings):
        return b"%d:%b" % (len(value), b"".join(b"%d:%b" % (len(raw), raw) for raw in value.each()))
    if isinstance(value, np.ndarray):
        return b"%d:%b" % (value.size, value.tobytes())
    return repr(value).encode()
