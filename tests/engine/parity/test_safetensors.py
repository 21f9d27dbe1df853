"""The reader and the writer beside the library of the format itself."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from engine.errors import ParityError
from engine.parity import writer as writing
from engine.parity.safetensors import HEADER_CAP_BYTES, TensorFile
from engine.parity.writer import TensorWriter
from support.q4k import environment

ARRAYS = {
    "logits": np.arange(15, dtype=np.float32).reshape(3, 5),
    "layers.0.q_rope": -np.ones((2, 3, 4), np.float32),
    "empty": np.zeros((0, 7), np.float32),
}


def write(path: Path, header: Any, data: bytes = b"", *, length: int | None = None) -> Path:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(raw) if length is None else length).to_bytes(8, "little") + raw + data)
    return path


def entry(**changed: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8], **changed}


def test_what_the_library_wrote_is_read(tmp_path: Path):
    save_file(ARRAYS, tmp_path / "theirs.safetensors", metadata={"format": "x"})
    with TensorFile(tmp_path / "theirs.safetensors") as file:
        assert file.metadata == {"format": "x"}
        assert set(file.tensors) == set(ARRAYS)
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(file.rows(name, 0, len(array)), array)
        np.testing.assert_array_equal(file.rows("logits", 1, 3), ARRAYS["logits"][1:3])


def test_what_is_written_row_by_row_the_library_reads(tmp_path: Path):
    """Two tensors interleaved, in chunks; the header stands before the data all the same."""
    path = tmp_path / "ours.safetensors"
    with TensorWriter(path, tensors=3, metadata_bytes=100) as writer:
        for row in range(3):
            for name, array in ARRAYS.items():
                if not row:
                    writer.add(name, array.shape)
                if row < len(array):
                    writer.write(name, row, array[row : row + 1])
        assert not path.exists()
        writer.commit({"format": "ours"})
    with safe_open(path, "np") as judged:
        assert judged.metadata() == {"format": "ours"}
        assert set(judged.keys()) == set(ARRAYS)
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(judged.get_tensor(name), array)
    assert [child.name for child in tmp_path.iterdir()] == ["ours.safetensors"]


NAMED = pytest.mark.parametrize("is_named", [False, True], ids=["without a name", "under a temporary name"])


@pytest.fixture
def file_system(monkeypatch: pytest.MonkeyPatch, is_named: bool) -> None:
    """One that has files without names, if this one has them, or none."""
    if is_named:
        monkeypatch.setattr(writing, "_OPEN_FILES", "/nowhere")


@NAMED
@pytest.mark.usefixtures("file_system")
def test_the_file_appears_whole_or_not_at_all(tmp_path: Path):
    path = tmp_path / "out.safetensors"
    path.write_bytes(b"older")
    for commits in (False, True):
        with TensorWriter(path, tensors=1, metadata_bytes=2) as writer:
            writer.add("x", (1, 1))
            writer.write("x", 0, np.ones((1, 1), np.float32))
            assert path.read_bytes() == b"older"
            if commits:
                writer.commit({})
        assert [child.name for child in tmp_path.iterdir()] == ["out.safetensors"]
    with safe_open(path, "np") as judged:
        assert judged.get_tensor("x").tolist() == [[1.0]]


def test_a_killed_process_changes_nothing(tmp_path: Path):
    path = tmp_path / "out.safetensors"
    path.write_bytes(b"older")
    code = (
        "import os, sys; from pathlib import Path; from engine.parity.writer import TensorWriter\n"
        "TensorWriter(Path(sys.argv[1]), tensors=1, metadata_bytes=2).add('x', (1, 1))\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], env=environment(), check=False)
    assert (done.returncode, path.read_bytes()) == (-9, b"older")


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    message = "'out.safetensors' cannot be written: no space left on device; nothing was changed"
    writer = TensorWriter(tmp_path / "out.safetensors", tensors=1, metadata_bytes=2)
    with pytest.raises(ParityError, match=message), writer:
        writer.commit({})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_does_not_exist_is_one_line(tmp_path: Path):
    with pytest.raises(ParityError, match="'x' cannot be written: no such file or directory; nothing was changed"):
        TensorWriter(tmp_path / "none" / "x", tensors=1, metadata_bytes=2)


REFUSED: dict[str, tuple[Any, bytes, str]] = {
    "no JSON": (b"{not json", b"", "its header is not JSON: .*"),
    "another format": (b"[1]", b"", r"not a safetensors file: its header does not start with \{"),
    "no UTF-8": (b"{\xff", b"", "its header is not JSON: .*"),
    "nested": (b'{"a":' + b"[" * 100_000, b"", "its header is not JSON: nested too deep"),
    "a number of many digits": (b'{"a": ' + b"9" * 5000 + b"}", b"", "its header is not JSON: .*"),
    "NaN": (b'{"a": NaN}', b"", "its header holds NaN, which JSON does not have"),
    "a name twice": (b'{"a": 1, "b": 2, "a": 1}', b"", "its header names 'a' twice"),
    "metadata": ({"__metadata__": {"a": 1}}, b"", "__metadata__ is not an object of texts"),
    "no entry": ({"x": 5}, b"", "tensor 'x': expected dtype, shape and data_offsets"),
    "a missing key": ({"x": {"dtype": "F32", "shape": [1]}}, b"", "tensor 'x': expected dtype, .*"),
    "a further key": ({"x": entry(more=1)}, bytes(8), "tensor 'x': expected dtype, .*"),
    "float16": ({"x": entry(dtype="F16")}, bytes(8), "tensor 'x': dtype 'F16' is not supported; supported: F32"),
    "no type": ({"x": entry(dtype=7)}, bytes(8), "tensor 'x': dtype '7' is not supported; supported: F32"),
    "a scalar": ({"x": entry(shape=[])}, bytes(8), "tensor 'x': shape must be 1 to 8 counts"),
    "a negative size": ({"x": entry(shape=[-1, -2])}, bytes(8), "tensor 'x': shape must be 1 to 8 counts"),
    "a true size": ({"x": entry(shape=[True, 2])}, bytes(8), "tensor 'x': shape must be 1 to 8 counts"),
    "a fraction": ({"x": entry(shape=[1.0, 2])}, bytes(8), "tensor 'x': shape must be 1 to 8 counts"),
    "falling": ({"x": entry(data_offsets=[8, 0])}, bytes(8), "tensor 'x': data_offsets must be two rising counts"),
    "one offset": ({"x": entry(data_offsets=[0])}, bytes(8), "tensor 'x': data_offsets must be two rising counts"),
    "a product that wraps": (
        {"x": entry(shape=[1 << 62, 4])},
        bytes(8),
        "tensor 'x': 8 bytes for 4611686018427387904x4 float32, expected 73786976294838206464",
    ),
    "another size": ({"x": entry(shape=[1, 3])}, bytes(8), "tensor 'x': 8 bytes for 1x3 float32, expected 12"),
    "an overlap": (
        {"x": entry(), "y": entry(data_offsets=[4, 12])},
        bytes(12),
        "tensor 'y' begins at byte 4 of the data, expected 8: no gap, no overlap",
    ),
    "a gap": (
        {"x": entry(data_offsets=[4, 12])},
        bytes(12),
        "tensor 'x' begins at byte 4 of the data, expected 0: no gap, no overlap",
    ),
    "cut": ({"x": entry()}, bytes(7), r"its tensors need 8 bytes of data, the file has 7; is it complete\?"),
    "more": ({"x": entry()}, bytes(9), r"its tensors need 8 bytes of data, the file has 9; is it complete\?"),
    "escapes": ({"\x1b[31m": 5}, b"", r"tensor '\\x1b\[31m': expected dtype, shape and data_offsets"),
}


@pytest.mark.parametrize(("header", "data", "message"), REFUSED.values(), ids=REFUSED)
def test_a_hostile_header_is_one_line(tmp_path: Path, header: Any, data: bytes, message: str):
    path = write(tmp_path / "x.safetensors", header, data)
    with pytest.raises(ParityError, match=f"^x.safetensors: {message}$") as caught:
        TensorFile(path)
    assert str(caught.value).isprintable()


def test_a_header_longer_than_the_file_is_refused(tmp_path: Path):
    path = write(tmp_path / "x.safetensors", b"{}", length=2**63)
    with pytest.raises(
        ParityError, match="not a safetensors file, or cut: its header has 9223372036854775808 bytes, 2"
    ):
        TensorFile(path)


def test_a_header_beyond_the_cap_is_not_read(tmp_path: Path):
    """A sparse file: its header is never loaded."""
    path = write(tmp_path / "x.safetensors", b"{}", length=HEADER_CAP_BYTES + 1)
    os.truncate(path, 2 * HEADER_CAP_BYTES)
    with pytest.raises(ParityError, match="its header has 67108865 bytes; this reader stops at 67108864"):
        TensorFile(path)


@pytest.mark.parametrize("size", [0, 7])
def test_a_file_without_room_for_a_length_is_refused(tmp_path: Path, size: int):
    (tmp_path / "x.safetensors").write_bytes(bytes(size))
    with pytest.raises(ParityError, match=f"not a safetensors file: {size} bytes"):
        TensorFile(tmp_path / "x.safetensors")


def test_what_is_no_file_is_refused_at_once(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(ParityError, match=r"pipe\.safetensors: not a regular file"):
        TensorFile(tmp_path / "pipe.safetensors")
    with pytest.raises(ParityError, match="not a regular file"):
        TensorFile(tmp_path)
    with pytest.raises(ParityError, match=r"none\.safetensors: cannot open the file: no such file or directory"):
        TensorFile(tmp_path / "none.safetensors")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused_where_it_is_read(tmp_path: Path, value: float):
    array = np.zeros((4, 3), np.float32)
    array[2, 1] = value
    save_file({"x": array}, tmp_path / "x.safetensors")
    with TensorFile(tmp_path / "x.safetensors") as file:
        assert file.rows("x", 0, 2).shape == (2, 3)
        with pytest.raises(ParityError, match=rf"tensor 'x' holds {value} at \(2, 1\); such a side cannot be compared"):
            file.rows("x", 1, 4)


def test_a_file_that_shrinks_is_an_error(tmp_path: Path):
    path = tmp_path / "x.safetensors"
    save_file({"x": np.zeros((4, 3), np.float32)}, path)
    with TensorFile(path) as file:
        os.truncate(path, path.stat().st_size - 4)
        with pytest.raises(ParityError, match="the file became shorter while it was read"):
            file.rows("x", 0, 4)
