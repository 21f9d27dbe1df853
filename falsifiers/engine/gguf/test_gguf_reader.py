"""Attempts to refute contracts/engine/gguf/gguf-reader-v2.yaml."""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from engine.errors import GgufError
from engine.gguf import reader
from falsifiers.support import gguf_parse, golden
from falsifiers.support.recorder import Recorder

# Bytes compared at each end of a tensor; whole tensors of a 7B model would take seconds.
WINDOW = 4096


@pytest.mark.falsifies("FALSIFY-GGUF-READER-001")
def test_tensors_equal_those_of_a_second_parser(pv: Recorder) -> None:
    """Refuted by a tensor whose name, shape, type, place or bytes differ from what a plain parser finds.

    Asked of the model under test and of a file that the `gguf` package wrote. Seen failing under gguf_dims_reversed
    and gguf_reader_wrong_offset.
    """
    wrong, compared = 0, 0
    for path in (golden.path("grouped.gguf"), pv.model):
        expected = gguf_parse.parse(path).tensors
        with reader.open_gguf(path) as file, path.open("rb") as plain:
            assert list(file.tensors) == list(expected), "tensor names or their order differ"
            for name, tensor in expected.items():
                info = file.tensors[name]
                found = (info.shape, int(info.type), info.offset, info.size_bytes)
                wrong += found != (tensor.shape, tensor.type, tensor.offset, tensor.size_bytes)
                data = file.data(name).reshape(-1)
                plain.seek(tensor.offset)
                wrong += data[:WINDOW].tobytes() != plain.read(min(WINDOW, tensor.size_bytes))
                tail = min(WINDOW, tensor.size_bytes)
                plain.seek(tensor.offset + tensor.size_bytes - tail)
                wrong += data[-tail:].tobytes() != plain.read(tail)
                compared += 1
    pv.record("facts about tensors that differ", wrong, limit=0, unit="facts")
    pv.record("tensors compared", compared, limit=2, unit="tensors", bound="at_least")
    pv.ran_on({"target": "cpu"})


@pytest.mark.falsifies("FALSIFY-GGUF-READER-002")
def test_metadata_equals_that_of_a_second_parser(pv: Recorder) -> None:
    """Refuted by a metadata key that is missing, invented, out of order or of another value.

    Seen failing under gguf_arrays_lose_their_last.
    """
    wrong, compared = 0, 0
    for path in (golden.path("vocabulary.gguf"), pv.model):
        expected = gguf_parse.parse(path)
        with reader.open_gguf(path) as file:
            assert file.version == expected.version
            assert list(file.metadata) == list(expected.metadata), "keys or their order differ"
            for key, value in expected.metadata.items():
                wrong += not _same(file.metadata[key], value)
                compared += 1
    pv.record("values that differ", wrong, limit=0, unit="values")
    pv.record("values compared", compared, limit=2, unit="values", bound="at_least")
    pv.ran_on({"target": "cpu"})


@pytest.mark.falsifies("FALSIFY-GGUF-READER-003")
def test_every_cut_of_a_file_is_refused(pv: Recorder, tmp_path: Path) -> None:
    """Refuted by a file, cut at any field of its header or inside its data, that opens, or ends in another error.

    Seen failing under gguf_size_unchecked, which believes the tensor infos.
    """
    whole = golden.path("tied.gguf").read_bytes()
    cuts = sorted({*gguf_parse.parse(golden.path("tied.gguf")).ends, *range(0, len(whole), 499), len(whole) - 1})
    path = tmp_path / "cut.gguf"
    accepted = 0
    for cut in cuts:
        path.write_bytes(whole[:cut])
        accepted += _opens(path)
    path.write_bytes(whole)
    assert _opens(path), "the whole file must open"
    pv.record("cut files that opened", accepted, limit=0, unit="files")
    pv.record("cuts tried", len(cuts), limit=100, unit="files", bound="at_least")
    pv.ran_on({"target": "cpu"})


@pytest.mark.falsifies("FALSIFY-GGUF-READER-004")
def test_counts_beyond_the_file_are_refused(pv: Recorder, tmp_path: Path) -> None:
    """Refuted by a count, length or dimension of 2^63 or 2^64 - 1 that is believed, or that ends in another error.

    Each 8-byte field that the second parser read is replaced in turn. Seen failing under gguf_counts_cut_to_32_bits.
    """
    source = golden.path("tied.gguf")
    whole = source.read_bytes()
    ends = gguf_parse.parse(source).ends
    fields = [end - 8 for before, end in pairwise(ends) if end - before == 8]
    path = tmp_path / "huge.gguf"
    accepted = 0
    for at in fields:
        for value in (2**63, 2**64 - 1):
            path.write_bytes(whole[:at] + struct.pack("<Q", value) + whole[at + 8 :])
            accepted += _opens(path)
    pv.record("huge counts that were believed", accepted, limit=0, unit="files")
    pv.record("counts tried", 2 * len(fields), limit=50, unit="files", bound="at_least")
    pv.ran_on({"target": "cpu"})


def _opens(path: Path) -> bool:
    """False for a refusal that names its rule; any other exception is the test's failure."""
    try:
        reader.open_gguf(path).close()
    except GgufError as refusal:
        if not refusal.code.startswith("GGUF-"):
            pytest.fail(f"refused without a rule: {refusal}")
        return False
    except Exception as other:
        pytest.fail(f"{path.stat().st_size} bytes: {type(other).__name__} instead of a refusal: {other}")
    return True


def _same(found: Any, expected: Any) -> bool:
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(_same, found, expected))
    return bool(found == expected)
