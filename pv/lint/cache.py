"""What earlier runs found out, in `.pv-cache/` below the project's root; it saves time and decides nothing.

    <hmac-sha256, 64 hexadecimal digits> LF <JSON>

The seal is made with a key that lies outside the project, readable by its user alone, and covers the name of the file
and pv's own code. So a file that is cut, changed, made by another pv, on another machine, or that came with
somebody's patch is no file of ours, and is ignored like a missing one. The folder can be deleted at any time.
A cache that cannot be read or written costs time, nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import sys
import zlib
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

from pv.atomic import write_atomically
from pv.errors import EvidenceError

FOLDER: Final = ".pv-cache"
_KEY_BYTES: Final = 32
_FASTEST: Final = 1
"""zlib's level."""


def recall(root: Path, name: str) -> Any:
    """What `remember` was given under this name; None if there is nothing that can be believed."""
    with suppress(OSError, ValueError, RecursionError):
        seal, _, body = (root / FOLDER / name).read_bytes().partition(b"\n")
        key = _key()
        if key is not None and hmac.compare_digest(seal, _seal(key, name, body)):
            return json.loads(body)
    return None


def remember(root: Path, name: str, value: Any) -> None:
    """Keep `value`, which JSON can hold, for later runs."""
    with suppress(OSError, EvidenceError):
        key = _key()
        if key is None:
            return
        body = json.dumps(value, separators=(",", ":")).encode()
        write_atomically(root / FOLDER / name, _seal(key, name, body) + b"\n" + body)
        ignore = root / FOLDER / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")


class ContractMemory:
    """Contract files without any finding of the loader, as data, by the sha256 of their bytes."""

    _NAME = "contracts.json"

    def __init__(self, root: Path) -> None:
        self._root = root
        found = recall(root, self._NAME)
        self._known: dict[str, str] = found if isinstance(found, dict) else {}
        self._used: dict[str, str] = {}

    def get(self, sha256: str) -> Any:
        packed = self._known.get(sha256)
        if packed is None:
            return None
        self._used[sha256] = packed
        return json.loads(zlib.decompress(base64.b64decode(packed)))

    def put(self, sha256: str, data: Any) -> None:
        # Ten thousand contracts of 4 KB: 19 MB instead of 43.
        self._used[sha256] = base64.b64encode(zlib.compress(json.dumps(data).encode(), _FASTEST)).decode()

    def save(self) -> None:
        """Keep what was used since it was made, and nothing else."""
        if self._used.keys() != self._known.keys():
            remember(self._root, self._NAME, self._used)


def _seal(key: bytes, name: str, body: bytes) -> bytes:
    seal = hmac.new(key, f"{name}\n{code_digest()}\n".encode(), hashlib.sha256)
    seal.update(body)
    return seal.hexdigest().encode()


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
