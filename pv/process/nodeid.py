"""Node ids and test paths that come from contract files, checked before they get near pytest.

pytest reads options out of any argument (`-p` even after `--`), files of arguments from `@name`, and code from
any path; so a bound test has exactly one form:

    folder/test_file.py::Class::test_name[parameters]
"""

from __future__ import annotations

import re
from pathlib import Path

from pv.errors import UsageError

# Parameters are pytest's own text: anything printable on one line.
_NODEID = re.compile(
    r"(?P<path>[A-Za-z0-9_][\w.+-]*(?:/[\w.+-]+)*\.py)"
    r"(?P<names>(?:::[^\W\d]\w*)+)"
    r"(?P<parameters>\[[^\x00-\x1f\x7f\u2028\u2029]*\])?"
)
_PATH = re.compile(r"\.|[\w.+-]+(?:/[\w.+-]+)*")
MAX_LENGTH = 1024


def split(nodeid: str) -> tuple[str, str, str]:
    """Path, names with their `::`, and parameters with their brackets.

    Raises:
        UsageError: `nodeid` does not have the one form.
    """
    match = _NODEID.fullmatch(nodeid) if len(nodeid) <= MAX_LENGTH else None
    if match is None or ".." in match["path"].split("/"):
        raise UsageError(f"{nodeid[:200]!r}: not a pytest node id; expected 'folder/test_file.py::test_name'")
    return match["path"], match["names"], match["parameters"] or ""


def file_argument(root: Path, nodeid: str) -> str:
    """The file of `nodeid` as an argument for pytest: `./folder/test_file.py`.

    Raises:
        UsageError: the id is malformed, or its file is missing or outside `root` after following links.
    """
    return path_argument(root, split(nodeid)[0], must_be_file=True)


def path_argument(root: Path, path: str, *, must_be_file: bool = False) -> str:
    """`path`, relative to `root`, as an argument for pytest.

    Raises:
        UsageError: it could be read as an option, is missing, or leads outside `root` after following links.
    """
    shown = repr(path[:200])
    is_plain = len(path) <= MAX_LENGTH and _PATH.fullmatch(path) and ".." not in path.split("/")
    if not is_plain or path.startswith("-"):
        raise UsageError(f"{shown}: not a path below the project's root")
    try:
        full = (root / path).resolve()
        exists = full.is_file() if must_be_file else full.exists()
    except (OSError, RuntimeError) as err:  # a name longer than the file system takes; a circle of links
        raise UsageError(f"{shown}: no such file ({type(err).__name__})") from err
    if not full.is_relative_to(root.resolve()):
        raise UsageError(f"{shown}: leads outside the project's root")
    if not exists:
        raise UsageError(f"{shown}: no such file")
    return f"./{path}"
