"""Files that cannot be read are usage errors with the system's reason; nothing waits."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pv.errors import UsageError
from pv.load import load_file
from support.contract_text import VALID


def test_path_is_shown_relative_to_the_root(tmp_path: Path) -> None:
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "rms-norm-v1.yaml").write_text(VALID)
    relative = load_file(tmp_path, Path("contracts/rms-norm-v1.yaml"))
    assert relative.path == "contracts/rms-norm-v1.yaml"
    assert relative.contract is not None
    assert load_file(tmp_path, tmp_path / "contracts" / "rms-norm-v1.yaml").path == relative.path


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^none\.yaml: cannot read the file: no such file or directory$"):
        load_file(tmp_path, Path("none.yaml"))


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^\.: is not a regular file$"):
        load_file(tmp_path, tmp_path)


def test_pipe_without_a_writer_does_not_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    start = time.perf_counter()
    with pytest.raises(UsageError, match=r"^pipe\.yaml: is not a regular file$"):
        load_file(tmp_path, Path("pipe.yaml"))
    assert time.perf_counter() - start < 5


def test_endless_device_does_not_fill_memory() -> None:
    with pytest.raises(UsageError, match=r"^zero: is not a regular file$"):
        load_file(Path("/dev"), Path("zero"))


def test_name_that_no_system_allows(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="file name too long"):
        load_file(tmp_path, Path("a" * 300 + ".yaml"))


def test_more_than_the_limit_is_not_even_read(tmp_path: Path) -> None:
    """A sparse file of 1 TiB."""
    with (tmp_path / "large.yaml").open("wb") as file:
        file.truncate(1 << 40)
    loaded = load_file(tmp_path, Path("large.yaml"))
    assert [item.rule for item in loaded.findings] == ["too-large"]
    assert len(loaded.text) <= 1 << 20
