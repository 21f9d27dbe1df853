"""A damaged scale is found before it becomes noise: one case per kind of damage, on a small valid file."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from engine.errors import GgufError
from engine.gguf.reader import open_gguf
from engine.quant.scales import check_scales
from support.gguf_builder import Builder, Info, valid_file

INFINITE, NAN, NEGATIVE_NAN = 0x7C00, 0x7E01, 0xFE00


def checked(builder: Builder, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(builder.build())
    with open_gguf(path) as file:
        check_scales(file)


def test_a_sound_file_passes(tmp_path: Path) -> None:
    checked(valid_file(), tmp_path)


@pytest.mark.parametrize("half", [INFINITE, NAN, NEGATIVE_NAN], ids=["infinite", "nan", "-nan"])
@pytest.mark.parametrize("field", [0, 2], ids=["d", "dmin"])
def test_m14_a_scale_that_is_not_finite(half: int, field: int, tmp_path: Path) -> None:
    """The second Q4_K block; its float16 fields are at bytes 0 and 2 of 144."""
    builder = valid_file()
    at = 128 + 144 + field
    builder.data = builder.data[:at] + struct.pack("<H", half) + builder.data[at + 2 :]
    builder.build()
    where = builder.at["data"] + 128 + 144
    says = f"^m.gguf: GGUF-M14 at byte {where}: tensor 'blk.0.attn_q.weight': block 1 has a non-finite scale; "
    with pytest.raises(GgufError, match=says) as caught:
        checked(builder, tmp_path)
    assert (caught.value.code, caught.value.offset) == ("GGUF-M14", where)


def test_m14_a_scale_at_the_end_of_a_large_tensor(tmp_path: Path) -> None:
    """Q6_K keeps its scale in the last two bytes of a block; 1001 blocks."""
    blocks = np.zeros((1001, 210), np.uint8)
    blocks[:, 208:210] = np.array([0.25], "<f2").view(np.uint8)
    blocks[1000, 208:210] = np.array([INFINITE], "<u2").view(np.uint8)
    builder = valid_file()
    builder.infos, builder.data = [Info(b"w", [256, 1001], 14, 0)], blocks.tobytes()
    with pytest.raises(GgufError, match=r"tensor 'w': block 1000 has a non-finite scale"):
        checked(builder, tmp_path)


def test_m14_a_plain_weight_that_is_not_finite(tmp_path: Path) -> None:
    builder = valid_file()
    builder.data = builder.data[:20] + struct.pack("<f", float("nan")) + builder.data[24:]
    with pytest.raises(GgufError, match=r"tensor 'token_embd.weight': weight 5 is not finite"):
        checked(builder, tmp_path)


def test_m14_a_tensor_that_was_never_written(tmp_path: Path) -> None:
    """Quants without scales are still nothing; zeros of a plain tensor, such as a bias, are allowed."""
    builder = valid_file()
    data = bytearray(builder.data)
    data[:128] = bytes(128)
    for block in range(2):
        at = 128 + 144 * block
        data[at : at + 4] = bytes(4)
    builder.data = bytes(data)
    with pytest.raises(GgufError, match=r"'blk.0.attn_q.weight': the scales of all 2 blocks are zero"):
        checked(builder, tmp_path)
