"""Every single bit of an evidence store, and every line of its ledgers, changed one at a time.

Both verifiers read the whole store after each change; `EscapedError` tells what one of them did not find.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from pv.evidence.export import test_result
from pv.evidence.read import read_evidence
from pv.evidence.sign import SignatureError, as_text, opened, sign
from pv.evidence.strict import canonical
from pv.evidence.verify import verify
from support.project import write_project
from support.quick_discharge import discharge
from support.stores import SECOND, add_run

_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[-+.\w]+|[\[\]{},:\n]')
_EVENT: Final = re.compile(rb'"event":"([a-z]+)"')


class EscapedError(AssertionError):
    """A change that a verifier did not find, or that the two do not agree on."""


def write_store(folder: Path) -> Path:
    """The store of a small project after one real run, with a second host's interrupted one beside it."""
    root = write_project(folder)
    ended = discharge(root)
    assert ended.code == 0, ended.err
    add_run(root / "evidence", "r1", [{"result": "FAIL", "tests_passed": 0}], end=False)
    return root / "evidence"


class Envelope:
    """What the store exports, signed; a bit of it changed at a time."""

    def __init__(self, folder: Path, store: Path) -> None:
        key = Ed25519PrivateKey.generate()
        self._path, self._public, private = folder / "signed.json", folder / "key.pub", folder / "key"
        private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self._public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        payload = canonical(test_result(read_evidence(store).records))
        self.data = as_text(sign(payload, private)).encode() + b"\n"
        self._path.write_bytes(self.data)
        opened(self._path, self._public)

    def flip(self, bit: int) -> None:
        changed = bytearray(self.data)
        changed[bit // 8] ^= 1 << bit % 8
        self._path.write_bytes(changed)
        try:
            opened(self._path, self._public)
        except SignatureError:
            return
        raise EscapedError(f"bit {bit} of a signed export: it is opened all the same")


def found_by_both(folder: Path, what: object, anchors: dict[str, str] | None = None) -> None:
    mine, theirs = not verify(folder, anchors=anchors).is_clean, bool(SECOND(folder, anchors or {}).run())
    if not (mine and theirs):
        raise EscapedError(
            f"{what}: pv {'found' if mine else 'missed'} it, the second {'found' if theirs else 'missed'} it"
        )


def flip(folder: Path, name: str, bit: int) -> None:
    """Change one bit of one file, see that both find it, and change it back."""
    with _changed(folder / name, bit // 8, 1 << bit % 8):
        found_by_both(folder, f"bit {bit} of {name}")


def flip_name(folder: Path, name: str, bit: int) -> bool:
    """The same with one bit of a path in the store; whether there can be such a file."""
    old = os.fsencode(name)
    new = bytearray(old)
    new[bit // 8] ^= 1 << bit % 8
    if {old[bit // 8], new[bit // 8]} & {0, ord("/")}:
        return False
    source, target = folder / name, folder / os.fsdecode(bytes(new))
    target.parent.mkdir(exist_ok=True)
    source.rename(target)
    try:
        found_by_both(folder, f"bit {bit} of the name {name}")
    finally:
        target.rename(source)
        if target.parent != source.parent:
            target.parent.rmdir()
    return True


def one_of_each_field(name: str, data: bytes) -> Iterator[tuple[str, int]]:
    """Of the keys, values and signs of each kind of record and line, the first: what it is, and a bit in its midst."""
    offset = 0
    for line in data.splitlines(keepends=True):
        event = _EVENT.search(line)
        kind = f"{Path(name).parent} {event[1].decode() if event else ''}"
        key = ""
        for match in _TOKEN.finditer(line):
            token = match[0].decode("utf-8", "replace")
            if line[match.end() : match.end() + 1] == b":":
                key, what = token, f"{token} as a key"
            else:
                what = f"{token} after {key}" if len(token) == 1 else f"the value of {key}"
            middle = offset + (match.start() + match.end()) // 2
            yield f"{kind}: {what}", 8 * middle + middle % 8
        offset += len(line)


def edit(folder: Path, name: str, said: str, lines: Sequence[bytes]) -> bool:
    """Write other lines into a ledger, see that both find it; whether anything but the tail is changed."""
    path = folder / name
    whole = path.read_bytes()
    if whole.startswith(b"".join(lines)):
        return False
    path.write_bytes(b"".join(lines))
    try:
        found_by_both(folder, f"{name}: {said}")
    finally:
        path.write_bytes(whole)
    return True


def edits(lines: Sequence[bytes], others: Sequence[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """Lines removed, repeated, moved, swapped, and spliced in from another ledger; some are only tails cut off."""
    count, kept = len(lines), list(lines)
    for start in range(count):
        for end in range(start + 1, count):
            yield f"lines {start + 1} to {end} removed", kept[:start] + kept[end:]
    for source in range(count):
        for place in range(count + 1):
            yield f"line {source + 1} again before {place + 1}", [*kept[:place], kept[source], *kept[place:]]
        for place in range(source + 1, count):
            moved = kept[:source] + kept[source + 1 :]
            yield f"line {source + 1} after {place + 1}", [*moved[:place], kept[source], *moved[place:]]
            swapped = kept.copy()
            swapped[source], swapped[place] = kept[place], kept[source]
            yield f"lines {source + 1} and {place + 1} swapped", swapped
    for source, other in enumerate(others):
        for place in range(count + 1):
            yield f"line {source + 1} of another host before {place + 1}", [*kept[:place], other, *kept[place:]]
            yield f"line {source + 1} of another host and on from {place + 1}", [*kept[:place], *others[source:]]
        for place in range(count):
            yield f"line {source + 1} of another host for {place + 1}", [*kept[:place], other, *kept[place + 1 :]]


def cut(folder: Path, name: str, size_bytes: int, head: str) -> str:
    """Cut a ledger's tail off; what is said about it: damaged, torn or unanchored.

    Args:
        head: sha256 of the last line; with it as an anchor both must find the cut.
    """
    path, host = folder / name, Path(name).stem
    whole = path.read_bytes()
    path.write_bytes(whole[:size_bytes])
    try:
        what = f"{name} cut after {size_bytes} bytes"
        found_by_both(folder, what, {host: head})
        found = verify(folder)
        if found.is_clean != (not SECOND(folder, {}).run()):
            raise EscapedError(f"{what}: pv and the second do not agree")
        if host not in found.unanchored:
            raise EscapedError(f"{what}: is not said to be unanchored")
        if not found.is_clean:
            return "damaged"
        ends_in_half_a_line = not whole[:size_bytes].endswith(b"\n") and size_bytes > 0
        if ends_in_half_a_line != bool(found.torn):
            raise EscapedError(f"{what}: torn is {found.torn}")
        return "torn" if found.torn else "unanchored"
    finally:
        path.write_bytes(whole)


@contextmanager
def _changed(path: Path, offset: int, bits: int) -> Iterator[None]:
    with path.open("r+b", buffering=0) as file:
        old = os.pread(file.fileno(), 1, offset)
        os.pwrite(file.fileno(), bytes([old[0] ^ bits]), offset)
        try:
            yield
        finally:
            os.pwrite(file.fileno(), old, offset)
