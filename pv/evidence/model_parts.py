"""What a GGUF model consists of, as digests: so that evidence says what changed, and not only that a file did.

    tensor table    the bytes of all tensor infos: name, shape, type and offset of each
    tokenizer       the bytes of every `tokenizer.*` entry but the chat templates
    template        the bytes of every `tokenizer.chat_template*` entry

A file of another format, or one that is damaged, has no parts; its own digest stands for everything.
Source: the GGUF specification in ggml's docs/gguf.md, versions 2 and 3.
"""

from __future__ import annotations

import hashlib
import mmap
import struct
from collections.abc import Mapping
from pathlib import Path

_WIDTHS: Mapping[int, int] = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY = 8, 9
_TEMPLATE = b"tokenizer.chat_template"


def model_parts(path: Path) -> dict[str, str]:
    """sha256 by part; empty where the file is not GGUF.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            return {}
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
            try:
                return _Walk(raw).parts()
            except (struct.error, ValueError):
                return {}


class _Walk:
    """A position in the header, which only ever moves on; the file's end ends it."""

    def __init__(self, raw: mmap.mmap) -> None:
        self._raw = raw
        self._at = 4

    def parts(self) -> dict[str, str]:
        (version,) = self._take("<I")
        if version not in (2, 3):
            return {}
        n_tensors, n_kv = self._take("<QQ")
        tokenizer, template = hashlib.sha256(), hashlib.sha256()
        has_template = False
        for _ in range(n_kv):
            start = self._at
            key = self._string()
            self._value(*self._take("<I"))
            if key.startswith(_TEMPLATE):
                has_template = True
                template.update(self._raw[start : self._at])
            elif key.startswith(b"tokenizer."):
                tokenizer.update(self._raw[start : self._at])
        start = self._at
        for _ in range(n_tensors):
            self._string()
            (n_dims,) = self._take("<I")
            self._skip(8 * n_dims + 12)
        tensors = hashlib.sha256(self._raw[start : self._at])
        parts = {"tensor table": tensors.hexdigest(), "tokenizer": tokenizer.hexdigest()}
        return {**parts, "template": template.hexdigest()} if has_template else parts

    def _take(self, layout: str) -> tuple[int, ...]:
        values = struct.unpack_from(layout, self._raw, self._at)
        self._at += struct.calcsize(layout)
        return values

    def _skip(self, count: int) -> None:
        if count > len(self._raw) - self._at:
            raise ValueError("the file ends inside its header")
        self._at += count

    def _string(self) -> bytes:
        (length,) = self._take("<Q")
        start = self._at
        self._skip(length)
        return self._raw[start : self._at] if length < 1024 else b""

    def _value(self, kind: int) -> None:
        if kind == _STRING:
            self._skip(*self._take("<Q"))
        elif kind == _ARRAY:
            element, count = self._take("<IQ")
            if element == _STRING:
                for _ in range(count):
                    self._skip(*self._take("<Q"))
            elif element in _WIDTHS:
                self._skip(count * _WIDTHS[element])
            else:
                raise ValueError(f"unknown type {element}")
        elif kind in _WIDTHS:
            self._skip(_WIDTHS[kind])
        else:
            raise ValueError(f"unknown type {kind}")
