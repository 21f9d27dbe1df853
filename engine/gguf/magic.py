"""What a file is that is not a GGUF file: the mistakes people make with model files."""

from __future__ import annotations

GGUF = b"GGUF"

_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs", "a git-lfs pointer", "run `git lfs pull` to fetch the model itself"),
    (b"lmgg", "an unversioned ggml file (before GGUF)", "convert the original model to GGUF"),
    (b"ggml", "an unversioned ggml file (before GGUF)", "convert the original model to GGUF"),
    (b"fmgg", "a ggmf file (before GGUF)", "convert the original model to GGUF"),
    (b"ggmf", "a ggmf file (before GGUF)", "convert the original model to GGUF"),
    (b"tjgg", "a ggjt file (before GGUF)", "convert the original model to GGUF"),
    (b"ggjt", "a ggjt file (before GGUF)", "convert the original model to GGUF"),
    (b"algg", "a ggla adapter (before GGUF)", "convert the adapter to GGUF"),
    (b"FUGG", "a GGUF file with its magic bytes reversed", "write the magic as the bytes 47 47 55 46"),
    (b"PK\x03\x04", "a zip archive, such as a PyTorch checkpoint", "convert the model to GGUF"),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", "unpack it first"),
    (b"\x80\x02", "a Python pickle, such as a PyTorch checkpoint", "convert the model to GGUF"),
    (b"\x89HDF", "an HDF5 file", "convert the model to GGUF"),
)


def describe(head: bytes, size_bytes: int) -> tuple[str, str]:
    """What the file seems to be, and what to do about it.

    Args:
        head: the first bytes of the file, at least 16 where it has them.
    """
    for signature, what, advice in _SIGNATURES:
        if head.startswith(signature):
            return f"{what}, {size_bytes} bytes", advice
    if len(head) >= 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size_bytes:
        return f"a safetensors file, {size_bytes} bytes", "convert the model to GGUF"
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return f"an HTML page, {size_bytes} bytes", "the download returned a web page; use the link of the raw file"
    if text.startswith((b"{", b"[")):
        return f"a JSON text, {size_bytes} bytes", "give the path of the .gguf file"
    return f"an unknown format, first bytes {head[:8].hex(' ')}", "give the path of a .gguf file"
