"""The museum of tests that prove nothing: its exhibits and what is expected of each."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "data" / "museum"
_NOT_EXHIBITS = ("subject.py", "faults.py", "conftest_.py")


@dataclass(frozen=True)
class Exhibit:
    path: str
    test: str
    target: str
    fault: str
    run: str
    """`RESULT piece of the reason`, alternatives separated by a bar; empty where the run passes."""
    challenge: str
    bind: str
    is_alone: bool
    """It breaks the end of the session, which cannot be blamed on one test of many."""

    @property
    def nodeid(self) -> str:
        return f"{self.path}::{self.test}"


def exhibits() -> list[Exhibit]:
    paths = sorted(path for path in FOLDER.rglob("*.py") if path.name not in _NOT_EXHIBITS)
    return [_exhibit(path) for path in paths]


def _exhibit(path: Path) -> Exhibit:
    header: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("# "):
            break
        key, _, value = line[2:].partition(": ")
        header[key] = value
    return Exhibit(
        path=path.relative_to(FOLDER).as_posix(),
        test=header.get("test", "test_case"),
        target=header.get("target", "cpu"),
        fault=header.get("fault", "faults:wrong_double"),
        run=header.get("run", ""),
        challenge=header.get("challenge", ""),
        bind=header.get("bind", ""),
        is_alone="alone" in header or path.parent != FOLDER,
    )


def build(folder: Path) -> Path:
    """A copy in which every `conftest_.py` is a conftest, and a contract stands to be read."""
    root = folder / "museum"
    shutil.copytree(FOLDER, root, ignore=shutil.ignore_patterns("__pycache__"))
    for path in root.rglob("conftest_.py"):
        path.rename(path.with_name("conftest.py"))
    (root / "contracts").mkdir()
    (root / "contracts" / "double-v1.yaml").write_text("formula: 2 x\n", encoding="utf-8")
    return root
