"""A project chooses how tests are found and named, and nothing that could make a run look green."""

from __future__ import annotations

from pathlib import Path

import pytest

from pv.errors import ConfigError
from pv.process.pytest_options import arguments, project_ini
from pv.schema.settings import Settings

INI = """[pytest]
addopts = -k nothing --co -p evil
filterwarnings = ignore
pythonpath = src "with space"
markers =
    slow: takes long
    gpu: needs a device
python_functions = test_* check_*
"""


def test_only_harmless_keys_are_taken(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text(INI)
    assert project_ini(tmp_path) == {
        "pythonpath": ["src", "with space"],
        "markers": ["slow: takes long", "gpu: needs a device"],
        "python_functions": ["test_*", "check_*"],
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.toml", '[pytest]\npythonpath = ["src"]\n'),
        ("pyproject.toml", '[tool.pytest.ini_options]\npythonpath = ["src"]\n'),
        ("pyproject.toml", '[tool.pytest.ini_options]\npythonpath = "src"\n'),
        ("pyproject.toml", '[tool.pytest]\npythonpath = ["src"]\n'),
        ("tox.ini", "[pytest]\npythonpath = src\n"),
        ("setup.cfg", "[tool:pytest]\npythonpath = src\n"),
    ],
)
def test_every_place_that_pytest_reads_is_read(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    assert project_ini(tmp_path) == {"pythonpath": ["src"]}


@pytest.mark.parametrize(
    ("name", "text"), [("pyproject.toml", "[tool"), ("pytest.ini", "no section"), ("pytest.ini", "\xff")]
)
def test_unreadable_file_is_named(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=f"^{name}: cannot be read"):
        project_ini(tmp_path)


def test_no_file_is_no_setting(tmp_path: Path) -> None:
    assert project_ini(tmp_path) == {}


def test_paths_come_last_and_plugins_are_named(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text(INI)
    got = arguments(tmp_path, Settings(pytest_plugins=("pytest_asyncio",)), ["./test_a.py"], is_run=True)
    assert got[-1] == "./test_a.py"
    assert got[got.index("pytest_asyncio") - 1] == "-p"
    assert "evil" not in " ".join(got)
    assert f"pythonpath={tmp_path}/src '{tmp_path}/with space'" in got
