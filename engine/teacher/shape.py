"""The sizes of the teacher, fixed here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TeacherShape:
    """Every matrix width is a multiple of 256, the K-quant block size, so no tensor falls back to another type."""

    hidden_size: int = 256
    num_layers: int = 6
    num_heads: int = 4
    num_kv_heads: int = 2
    head_dim: int = 64
    intermediate_size: int = 768
    vocab_size: int = 2048
    context_length: int = 512  # tokens
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-6


TEACHER = TeacherShape()
