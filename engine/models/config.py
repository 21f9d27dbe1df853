"""Sizes and features of a decoder, read from GGUF metadata and checked against each other.

GGUF keys under `<architecture>.`: block_count, context_length, embedding_length, feed_forward_length,
attention.head_count, attention.head_count_kv, attention.key_length, attention.layer_norm_rms_epsilon,
attention.sliding_window, attention.sliding_window_pattern, rope.freq_base, and those of `engine.models.rope_scaling`.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.gguf.reader import GgufFile
from engine.models.hyperparameters import Hyperparameters
from engine.models.rope_scaling import read_rotary
from engine.models.tensors import TensorTable
from engine.ops.rotary import Rotary


@dataclass(frozen=True, slots=True)
class Architecture:
    """What distinguishes one decoder from another."""

    name: str
    """As general.architecture has it."""
    has_qkv_bias: bool = False
    """Q, K and V must have biases; elsewhere a bias is added where the file has one."""
    has_qk_norm: bool = False
    """Each head of Q and K is normalised before it is rotated."""
    adjacent_pairs: bool = False
    """Rotary pairs are neighbours in the file's rows of Q and K."""


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """Sizes of one model; names as in Hugging Face transformers."""

    architecture: str
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    vocab_size: int
    context_length: int
    rope_theta: float
    rms_norm_eps: float
    norms_heads: bool
    rotary: Rotary
    windows: tuple[int | None, ...]
    """Per layer: positions a token sees at most, its own included; None for all."""

    @classmethod
    def from_gguf(cls, file: GgufFile, architecture: Architecture) -> DecoderConfig:
        """Read and cross-check the metadata; the vocabulary's size is the number of embedding rows.

        Raises:
            ModelError: a size that no model has, sizes that contradict each other or the tensors present, or a
                feature that is not supported.
        """
        keys = Hyperparameters(file, architecture.name)
        tensors = TensorTable(file)
        hidden_size = keys.integer("embedding_length")
        num_heads = keys.integer("attention.head_count", code="M02")
        num_kv_heads = keys.integer("attention.head_count_kv", num_heads, code="M02")
        if num_heads % num_kv_heads:
            raise keys.error(
                "M02",
                f"{keys.name('attention.head_count')} is {num_heads}, must be a multiple of head_count_kv, "
                f"{num_kv_heads}",
            )
        if "attention.key_length" not in keys and hidden_size % num_heads:
            raise keys.error(
                "M02",
                f"{keys.name('embedding_length')} is {hidden_size}, must be a multiple of head_count, {num_heads}",
            )
        head_dim = keys.integer("attention.key_length", hidden_size // num_heads)
        if head_dim % 2:
            raise keys.error("M02", f"head dimension is {head_dim}, must be even for rotary pairs")
        for key in ("attention.value_length", "rope.dimension_count"):
            if (found := keys.integer(key, head_dim)) != head_dim:
                raise keys.error(
                    "M02", f"{keys.name(key)} is {found}, supported is only the head dimension, {head_dim}"
                )
        if experts := keys.count("expert_count"):
            raise keys.error("K12", f"{keys.name('expert_count')} is {experts}; supported: models without experts")
        num_layers = keys.integer("block_count", code="M01")
        if num_layers != (present := tensors.layers_present()):
            raise keys.error("M01", f"{keys.name('block_count')} says {num_layers}, tensors exist for {present}")
        embedding = tensors.shape("token_embd.weight")
        if len(embedding) != 2 or embedding[1] != hidden_size:
            raise keys.error(
                "M03",
                f"{keys.name('embedding_length')} says {hidden_size}, the shape of 'token_embd.weight' is {embedding}",
            )
        context_length, theta = keys.integer("context_length"), keys.number("rope.freq_base", 10_000.0)
        return cls(
            architecture=architecture.name,
            hidden_size=hidden_size,
            intermediate_size=keys.integer("feed_forward_length"),
            num_layers=num_layers,
            num_heads=num_heads,
            num_kv_heads=num_kv_heads,
            head_dim=head_dim,
            vocab_size=embedding[0],
            context_length=context_length,
            rope_theta=theta,
            rms_norm_eps=keys.number("attention.layer_norm_rms_epsilon"),
            norms_heads=architecture.has_qk_norm,
            rotary=read_rotary(
                keys, tensors, head_dim=head_dim, theta=theta, context=context_length,
                adjacent=architecture.adjacent_pairs,
            ),
            windows=_windows(keys, num_layers),
        )  # fmt: skip


def _windows(keys: Hyperparameters, num_layers: int) -> tuple[int | None, ...]:
    """Of each layer. attention.sliding_window holds for all; sliding_window_pattern says for which it does: true in an
    array of bools, one per layer, or all but every n-th where it is a number."""
    size = keys.count("attention.sliding_window")
    if not size:
        return (None,) * num_layers
    pattern = keys.bools_or_count("attention.sliding_window_pattern")
    if isinstance(pattern, int):
        every = pattern
        slides = [every == 0 or layer % every < every - 1 for layer in range(num_layers)]
    else:
        slides = list(pattern)
        if len(slides) != num_layers:
            name = keys.name("attention.sliding_window_pattern")
            raise keys.error("M02", f"{name} has {len(slides)} entries, must have one for each of {num_layers} layers")
    return tuple(size if slides_here else None for slides_here in slides)
