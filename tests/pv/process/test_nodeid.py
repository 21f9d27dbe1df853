"""Node ids come from contract files that strangers write; one form is accepted, everything else is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from pv.errors import UsageError
from pv.process.nodeid import file_argument, path_argument, split
from support.hostile_names import NAMES

GOOD = {
    "test_a.py::test_x": ("test_a.py", "::test_x", ""),
    "falsifiers/engine/test_q4_k.py::TestScales::test_high_bits": (
        "falsifiers/engine/test_q4_k.py",
        "::TestScales::test_high_bits",
        "",
    ),
    "a/b/c_d-e.py::test_x[1-2]": ("a/b/c_d-e.py", "::test_x", "[1-2]"),
    "test_a.py::test_x[two words; ::and [brackets]]": ("test_a.py", "::test_x", "[two words; ::and [brackets]]"),
    "test_a.py::test_größe[µ]": ("test_a.py", "::test_größe", "[µ]"),
}


@pytest.mark.parametrize("nodeid", GOOD)
def test_one_form_is_accepted(nodeid: str) -> None:
    assert split(nodeid) == GOOD[nodeid]


@pytest.mark.parametrize("nodeid", NAMES, ids=lambda name: repr(name[:60]))
def test_hostile_id_is_refused(nodeid: str, tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text("def test_x(): pass\n")
    with pytest.raises(UsageError, match=r"not a pytest node id|no such file"):
        file_argument(tmp_path, nodeid)


def test_file_is_passed_on_with_a_leading_dot(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text("")
    assert file_argument(tmp_path, "test_a.py::test_x") == "./test_a.py"


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^'gone/test_a\.py': no such file$"):
        file_argument(tmp_path, "gone/test_a.py::test_x")


def test_link_out_of_the_project_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (tmp_path / "test_a.py").write_text("")
    (root / "test_a.py").symlink_to(tmp_path / "test_a.py")
    (root / "folder").symlink_to(tmp_path)
    for nodeid in ("test_a.py::test_x", "folder/test_a.py::test_x"):
        with pytest.raises(UsageError, match="leads outside"):
            file_argument(root, nodeid)


@pytest.mark.parametrize("path", ["-x", "@x", "../x", "/etc", "a/../..", "", "a b", "a\nb"])
def test_path_that_is_no_plain_path_is_refused(path: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a path below"):
        path_argument(tmp_path, path)


def test_circle_of_links_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").symlink_to("test_b.py")
    (tmp_path / "test_b.py").symlink_to("test_a.py")
    with pytest.raises(UsageError, match=r"^'test_a\.py': no such file"):
        file_argument(tmp_path, "test_a.py::test_x")
