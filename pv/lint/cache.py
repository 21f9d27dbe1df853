"""What earlier runs found out, in `.pv-cache/` below the project's root; it saves time and decides nothing.

    <hmac-sha256, 64 hexadecimal digits> LF <body>

The seal is made with a key that lies outside the project, readable by its user alone, and covers the name of the file
and pv's own code. So a file that is cut, changed, made by another pv, on another machine, or that came with
somebody's patch is no file of ours, and is ignored like a missing one. The folder can be deleted at any time.
A cache that cannot be read or written costs time, nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import os
import secrets
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

from pv.atomic import write_atomically
from pv.errors import EvidenceError

FOLDER: Final = ".pv-cache"
_KEY_BYTES: Final = 32
_SHA256_BYTES: Final = 32
_SEAL_BYTES: Final = 64
_LENGTH_BYTES: Final = 4
_FASTEST: Final = 1
"""zlib's level."""


def recall(root: Path, name: str) -> Iterator[Any] | None:
    """The values that `remember` was given under this name, one after another; None where none can be believed."""
    body = _recall(root, name)
    return None if body is None else _values(body)


def remember(root: Path, name: str, values: Iterable[Any]) -> None:
    """Keep values, which JSON can hold, for later runs."""
    body = bytearray()
    for value in values:
        body += json.dumps(value, separators=(",", ":")).encode() + b"\n"
    _remember(root, name, body)


class ContractMemory:
    """Contract files without any finding of the loader, as data, by the sha256 of their bytes.

    The body of the file, over and over:
        32 bytes  sha256 of the contract's bytes
         4 bytes  length of what follows, little-endian
            ...   the data as JSON, deflated
    Ten thousand contracts of 4 KB take 12 MB.
    """

    _NAME = "contracts"

    def __init__(self, root: Path) -> None:
        self._root = root
        self._body = _recall(root, self._NAME) or memoryview(b"")
        self._known = _index(self._body)
        self._asked: set[bytes] = set()
        self._new = bytearray()

    def get(self, sha256: bytes) -> Any:
        place = self._known.get(sha256)
        if place is None:
            return None
        self._asked.add(sha256)
        return json.loads(zlib.decompress(self._body[place]))

    def put(self, sha256: bytes, data: Any) -> None:
        self._asked.discard(sha256)  # one whose data were no contract after all
        self._append(sha256, zlib.compress(json.dumps(data, separators=(",", ":")).encode(), _FASTEST))

    def save(self) -> None:
        """Keep what was used since it was made, and nothing else."""
        if self._new or len(self._asked) < len(self._known):
            for sha256 in self._asked:
                self._append(sha256, self._body[self._known[sha256]])
            _remember(self._root, self._NAME, self._new)

    def _append(self, sha256: bytes, packed: bytes | memoryview) -> None:
        self._new += sha256 + len(packed).to_bytes(_LENGTH_BYTES, "little")
        self._new += packed


def _index(body: memoryview) -> dict[bytes, slice]:
    found: dict[bytes, slice] = {}
    place = 0
    while place < len(body):
        start = place + _SHA256_BYTES + _LENGTH_BYTES
        end = start + int.from_bytes(body[place + _SHA256_BYTES : start], "little")
        found[bytes(body[place : place + _SHA256_BYTES])] = slice(start, end)
        place = end
    return found


def _values(body: memoryview) -> Iterator[Any]:
    for line in io.BytesIO(body):
        yield json.loads(line)


def _recall(root: Path, name: str) -> memoryview | None:
    """The body of a file whose seal is ours."""
    with suppress(OSError):
        whole = memoryview((root / FOLDER / name).read_bytes())
        seal, body = bytes(whole[: _SEAL_BYTES + 1]), whole[_SEAL_BYTES + 1 :]
        key = _key()
        if key is not None and hmac.compare_digest(seal, _seal(key, name, body)):
            return body
    return None


def _remember(root: Path, name: str, body: bytearray) -> None:
    with suppress(OSError, EvidenceError):
        key = _key()
        if key is None:
            return
        write_atomically(root / FOLDER / name, _seal(key, name, body) + body)
        ignore = root / FOLDER / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")


def _seal(key: bytes, name: str, body: bytearray | memoryview) -> bytes:
    seal = hmac.new(key, f"{name}\n{code_digest()}\n".encode(), hashlib.sha256)
    seal.update(body)
    return seal.hexdigest().encode() + b"\n"


@cache
def code_digest() -> str:
    """sha256 over pv's own sources and the Python that runs them."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(package.rglob("*.py")):
        digest.update(f"\0{path.relative_to(package)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _key() -> bytes | None:
    """This user's key, made when first needed; None if it cannot be kept to this user."""
    path = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "pv" / "cache-key"
    with suppress(FileExistsError):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        key = file.read(_KEY_BYTES + 1)
    is_ours = status.st_uid == os.getuid() and not status.st_mode & 0o077
    return key if is_ours and len(key) == _KEY_BYTES else None
