"""What is wrong with the `test:` of a falsifier, told apart by what its author has to do about it."""

from __future__ import annotations

import re
from contextlib import suppress

from pv.errors import UsageError
from pv.process.nodeid import split

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_PROSE = re.compile(r"\s")


def file_of(nodeid: str) -> str:
    """The part before the first `::`."""
    return nodeid.partition("::")[0]


def is_node_id(text: str) -> bool:
    """Whether the runner would take it."""
    with suppress(UsageError):
        split(text)
        return True
    return False


def unsafe_path(text: str) -> str | None:
    """Why the path of a node id must not be given to pytest; None if it may be.

    pytest reads a leading `-` as an option and `@` as a file of arguments even after `--`, and a path outside the
    project runs code that nobody reviewed with it.
    """
    path = file_of(text)
    if not text.isprintable():
        return "has a control character"
    if path.startswith(("-", "@")):
        return f"starts with {path[0]!r}, which pytest reads as an option"
    if path.startswith(("/", "~")) or _DRIVE.match(path):
        return "is not relative to the project"
    if _PROSE.search(path):
        return None
    if "\\" in path:
        return "has a backslash"
    if "$" in path:
        return "has a '$'"
    if ".." in path.split("/"):
        return "leaves its folder by '..'"
    return None
