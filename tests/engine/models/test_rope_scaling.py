"""Scaled angles at the sizes of real models, against the tables of transformers; and old or absent keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from engine.gguf.reader import open_gguf
from engine.models.config import Architecture, DecoderConfig
from engine.ops.rotary import Rotary, frequencies
from support import tiny_qwen2
from support.tiny_qwen2 import Shape

HEAD_DIM = 128
SHAPE = Shape(hidden=2 * HEAD_DIM, heads=2, layers=1, ffn=8)


def config(folder: Path, **changed: Any) -> DecoderConfig:
    """Of a file with heads of 128; keyword arguments as for `tiny_qwen2.write_tiny`."""
    path = tiny_qwen2.write_tiny(folder / "m.gguf", SHAPE, **changed)
    with open_gguf(path) as file:
        return DecoderConfig.from_gguf(file, Architecture("qwen2"))


def yarn(**changed: Any) -> dict[str, Any]:
    return {"qwen2__rope__scaling__type": "yarn", "qwen2__rope__scaling__factor": 4.0, **changed}


SCALINGS = {
    "linear": (
        {"qwen2__rope__scaling__type": "linear", "qwen2__rope__scaling__factor": 8.0},
        {"rope_type": "linear", "factor": 8.0},
    ),
    "linear in an old file": ({"qwen2__rope__scale_linear": 2.5}, {"rope_type": "linear", "factor": 2.5}),
    "yarn": (
        yarn(qwen2__rope__scaling__original_context_length=32768),
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
    ),
    "yarn with its own ramp": (
        yarn(
            qwen2__rope__scaling__original_context_length=4096,
            qwen2__rope__scaling__yarn_beta_fast=16.0,
            qwen2__rope__scaling__yarn_beta_slow=2.0,
        ),
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096, "beta_fast": 16.0,
         "beta_slow": 2.0},
    ),
    "yarn within the context length": (
        yarn(qwen2__context_length=8192),
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8192},
    ),
}  # fmt: skip


@pytest.mark.parametrize("theta", [10_000.0, 1_000_000.0])
@pytest.mark.parametrize(("keys", "judged"), SCALINGS.values(), ids=SCALINGS)
def test_angles_are_those_of_transformers(tmp_path: Path, keys: dict[str, Any], judged: dict[str, Any], theta: float):
    """The judge's table is float32: 2^-24 of each number, and a few roundings on the way."""
    ours = config(tmp_path, qwen2__rope__freq_base=theta, **keys)
    theirs = LlamaConfig(
        hidden_size=SHAPE.hidden, num_attention_heads=2, head_dim=HEAD_DIM, max_position_embeddings=131072,
        rope_parameters={**judged, "rope_theta": theta},
    )  # fmt: skip
    expected, magnitude = ROPE_INIT_FUNCTIONS[judged["rope_type"]](theirs, "cpu")
    np.testing.assert_allclose(frequencies(HEAD_DIM, theta, ours.rotary), expected.numpy(), rtol=1e-6)
    assert ours.rotary.magnitude == pytest.approx(magnitude, rel=1e-12)


def test_attn_factor_multiplies_what_yarn_gives(tmp_path: Path):
    """1.5 * (1 + ln(4) / 10), by hand."""
    ours = config(tmp_path, **yarn(qwen2__rope__scaling__attn_factor=1.5))
    assert ours.rotary.magnitude == pytest.approx(1.5 * 1.1386294361119891)


def test_none_and_a_factor_of_1_are_plain(tmp_path: Path):
    assert config(tmp_path).rotary == Rotary()
    ignored = {"qwen2__rope__scaling__type": "none", "qwen2__rope__scaling__factor": 4.0}
    assert config(tmp_path, **ignored).rotary == Rotary()
    assert config(tmp_path, **yarn(qwen2__rope__scaling__factor=1.0)).rotary == Rotary()


@pytest.mark.parametrize(
    ("pattern", "windows"),
    [(None, (5, 5, 5, 5)), (0, (5, 5, 5, 5)), (2, (5, None, 5, None)), (1, (None,) * 4),
     ([False, True, True, False], (None, 5, 5, None))],
)  # fmt: skip
def test_windows_of_layers(tmp_path: Path, pattern: Any, windows: tuple[int | None, ...]):
    """A number n leaves every n-th layer without a window; an array says it for each."""
    values = {"qwen2.attention.sliding_window": 5}
    if pattern is not None:
        values["qwen2.attention.sliding_window_pattern"] = pattern
    shape = Shape(layers=4)
    path = tiny_qwen2.write_gguf(
        tmp_path / "m.gguf", tiny_qwen2.random_tensors(shape), {**tiny_qwen2.metadata(shape), **values}
    )
    with open_gguf(path) as file:
        assert DecoderConfig.from_gguf(file, Architecture("qwen2")).windows == windows


def test_a_window_of_0_is_none(tmp_path: Path):
    assert config(tmp_path, qwen2__attention__sliding_window=0).windows == (None,)
