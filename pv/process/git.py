"""Reading from git: refs, trees, old versions of files. Nothing is written, fetched or run.

argv lists only, no shell; no hook, monitor, pager, signature check or lazy fetch; replaced objects are not followed.
Every answer is bounded in time and size.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pv.errors import UsageError

_TIMEOUT_S: Final = 60.0
_MAX_OUTPUT_BYTES: Final = 256 << 20
_MAX_FILE_BYTES: Final = 4 << 20
_FIXED: Final = (
    "--no-pager",
    "--literal-pathspecs",
    "-c", "core.fsmonitor=false",
    "-c", "core.quotePath=false",
    "-c", "log.showSignature=false",
)  # fmt: skip
_ENVIRONMENT: Final = {
    "LC_ALL": "C",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
}
_INHERITED: Final = ("PATH", "HOME", "XDG_CONFIG_HOME")


@dataclass(frozen=True, slots=True)
class Revision:
    """One version of one file, as a commit brought it in."""

    time: int
    """Of the commit, seconds since 1970 UTC."""
    commit: str
    path: str
    """Relative to the project's root."""
    blob: str
    """Empty: the commit removed the file."""


class Git:
    """The repository that holds a folder; paths are relative to the folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def why_absent(self) -> str:
        """Why there is no history to read; empty if there is."""
        try:
            inside = self._run("rev-parse", "--is-inside-work-tree").strip()
        except UsageError as err:
            return str(err)
        return "" if inside == b"true" else "this is not a git work tree"

    def is_shallow(self) -> bool:
        return self._run("rev-parse", "--is-shallow-repository").strip() == b"true"

    def commit(self, ref: str) -> str:
        """
        Raises:
            UsageError: no such commit, no repository, or no git.
        """
        if not is_ref(ref):
            raise UsageError(f"{ref!r} is not a git ref")
        try:
            return (
                self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}").decode().strip()
            )
        except _GitError as err:
            raise UsageError(f"git knows no commit {ref!r}{_because(err.said)}") from err

    def files(self, commit: str, folder: str) -> dict[str, str]:
        """Path -> blob of every file below `folder`, or of the file itself."""
        listed = self._run("ls-tree", "-r", "-z", commit, "--", folder)
        found: dict[str, str] = {}
        for entry in listed.split(b"\0"):
            meta, _, path = entry.partition(b"\t")
            fields = meta.split()
            if len(fields) == 3 and fields[1] == b"blob":
                found[path.decode("utf-8", "surrogateescape")] = fields[2].decode()
        return found

    def revisions(self, folders: Sequence[str]) -> list[Revision]:
        """Every change of a file below `folders` that leads to the current commit, newest first."""
        raw = self._run(
            "log", "--raw", "--relative", "--no-abbrev", "--no-renames", "--diff-merges=first-parent", "-z",
            "--format=%x01%H %ct", "HEAD", "--", *folders,
        )  # fmt: skip
        return list(_revisions(raw))

    def read(self, blobs: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        """Contents in the order asked for; None for one that is missing or larger than any contract."""
        wanted = list(dict.fromkeys(blobs))
        data = self._run("cat-file", "--batch", given="".join(f"{blob}\n" for blob in wanted).encode())
        at = 0
        for blob in wanted:
            head, _, _ = data[at : at + 256].partition(b"\n")
            at += len(head) + 1
            fields = head.split()
            if len(fields) != 3:
                yield blob, None
                continue
            size = int(fields[2])
            yield blob, data[at : at + size] if size <= _MAX_FILE_BYTES and fields[1] == b"blob" else None
            at += size + 1

    def _run(self, *arguments: str, given: bytes = b"") -> bytes:
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ} | _ENVIRONMENT
        with tempfile.TemporaryFile() as requests, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            requests.write(given)
            requests.seek(0)
            try:
                done = subprocess.run(
                    ["git", *_FIXED, *arguments],
                    cwd=self._root, env=environment, stdin=requests, stdout=out, stderr=err,
                    timeout=_TIMEOUT_S, check=False,
                )  # fmt: skip
            except FileNotFoundError as missing:
                raise UsageError("git is not installed, and old versions are read from it") from missing
            except (OSError, subprocess.TimeoutExpired) as trouble:
                raise UsageError(f"git {arguments[0]} could not be run: {trouble}") from trouble
            err.seek(0)
            said = err.read(4096).decode("utf-8", "replace").strip()
            if done.returncode != 0:
                raise _GitError(arguments[0], said)
            if out.tell() > _MAX_OUTPUT_BYTES or os.fstat(out.fileno()).st_size > _MAX_OUTPUT_BYTES:
                raise UsageError(f"git {arguments[0]} answered with more than {_MAX_OUTPUT_BYTES} bytes")
            out.seek(0)
            return out.read()


class _GitError(UsageError):
    def __init__(self, command: str, said: str) -> None:
        super().__init__(f"git {command} failed{_because(said)}")
        self.said = said


def is_ref(text: str) -> bool:
    """Whether git may be asked about it; `-x` would be an option."""
    return bool(text) and not text.startswith("-") and text.isprintable() and not any(char.isspace() for char in text)


def _because(said: str) -> str:
    line = said.splitlines()[0].removeprefix("fatal: ") if said else ""
    return f": {line}" if line else ""


def _revisions(raw: bytes) -> Iterator[Revision]:
    # "\x01<commit> <time>\0" then "\0:<modes> <old blob> <new blob> <status>\0<path>\0" for each file.
    commit, time = "", 0
    fields = iter(raw.split(b"\0"))
    for field in fields:
        entry = field.lstrip(b"\n")
        if entry.startswith(b"\x01"):
            head, _, seconds = entry[1:].decode().partition(" ")
            commit, time = head, int(seconds)
        elif entry.startswith(b":"):
            path = next(fields, b"").decode("utf-8", "surrogateescape")
            blob = entry.split()[3].decode()
            yield Revision(time, commit, path, "" if set(blob) == {"0"} else blob)
