"""A few layers of a model as a file of its own, for where a whole one takes minutes: weights, vocabulary and template
are the model's, layers and context are fewer.

Of the metadata everything is kept as it lies in the file but two u32 values, `<architecture>.block_count` and
`<architecture>.context_length`, and the keys that describe a set of split files.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from engine.gguf import header
from engine.gguf.cursor import Cursor
from engine.gguf.metadata import Entry
from engine.gguf.reader import GgufFile, open_gguf

_LAYER = re.compile(r"blk\.(\d+)\.(.*)")


def layers(file: GgufFile) -> tuple[int, ...]:
    """The first layer, and the first one whose types are others, if there is one: both kinds of a mix."""
    kinds: dict[int, dict[str, str]] = {}
    for name, info in file.tensors.items():
        if found := _LAYER.fullmatch(name):
            kinds.setdefault(int(found[1]), {})[found[2]] = info.type.name
    others = (number for number, types in sorted(kinds.items()) if types != kinds[0])
    return tuple(sorted({0, next(others, 0)}))


@contextmanager
def few_layers(path: Path, context: int) -> Iterator[Path]:
    """A file with `layers` of the model at `path`, for at most `context` positions; gone afterwards."""
    with TemporaryDirectory() as folder, open_gguf(path) as file:
        yield _write(file, Path(folder) / f"few-layers-of-{path.name}", context)


def _write(file: GgufFile, out: Path, context: int) -> Path:
    chosen = layers(file)
    tensors = {}
    for name, info in file.tensors.items():
        found = _LAYER.fullmatch(name)
        if found is None:
            tensors[name] = info
        elif int(found[1]) in chosen:
            tensors[f"blk.{chosen.index(int(found[1]))}.{found[2]}"] = info
    entries = list(_entries(file, len(chosen), context))
    infos, data = [], b""
    for name, info in tensors.items():
        raw_name, dims = name.encode(), reversed(info.shape)
        infos.append(struct.pack("<Q", len(raw_name)) + raw_name)
        infos.append(struct.pack(f"<I{len(info.shape)}QIQ", len(info.shape), *dims, info.type, len(data)))
        data += file.data(info.name).tobytes()
        data += bytes(-len(data) % file.alignment)
    head = b"GGUF" + struct.pack("<IQQ", file.version, len(tensors), len(entries)) + b"".join(entries + infos)
    out.write_bytes(head + bytes(-len(head) % file.alignment) + data)
    return out


def _entries(file: GgufFile, block_count: int, context: int) -> Iterator[bytes]:
    changed = {".block_count": block_count, ".context_length": context}
    with file.path.open("rb") as opened:
        cursor = Cursor(opened.fileno(), file.path.name, file.path.stat().st_size)
        _, _, count = header.read_counts(cursor)
        entries = list(header.read_metadata(cursor, count).values())
        ends = [*(entry.offset for entry in entries[1:]), cursor.position]
        for entry, end in zip(entries, ends, strict=True):
            value = next((number for key, number in changed.items() if entry.key.endswith(key)), None)
            if not entry.key.startswith("split."):
                yield _patched(cursor.buffer, entry, end, value)


def _patched(buffer: bytes, entry: Entry, end: int, value: int | None) -> bytes:
    if value is None:
        return buffer[entry.offset : end]
    return buffer[entry.offset : entry.value_offset] + struct.pack("<I", value)
