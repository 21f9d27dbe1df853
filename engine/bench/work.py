"""What a figure costs whatever runs it: bytes that must be read and multiplications that must be done.

    bytes    every matrix once per forward (the embedding only where it is the output), and the cached keys and values
    flops    2 per weight and token, the output matrix for the last token alone; 4 H Dh per query and slot it sees

Activations, and weights of norms and biases, are left out: below 1 % of any model here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.bench.figure import Figure
from engine.gguf.reader import GgufFile


@dataclass(frozen=True, slots=True)
class Work:
    """Per token of the figure."""

    bytes: float
    flops: float

    @property
    def intensity(self) -> float:
        """Flops per byte."""
        return self.flops / self.bytes


@dataclass(frozen=True, slots=True)
class Weights:
    """Of the matrices that a forward reads."""

    bytes: int
    layers: int
    """Number of weights in the layers."""
    output: int
    """Number of weights of the output matrix."""


def weights_of(file: GgufFile) -> Weights:
    """Sizes from the header of a model file."""
    output = "output.weight" if "output.weight" in file.tensors else "token_embd.weight"
    read = [i for i in file.tensors.values() if len(i.shape) == 2 and i.name in (output, *_layers(file))]
    counts = {info.name: info.shape[0] * info.shape[1] for info in read}
    return Weights(sum(info.size_bytes for info in read), sum(counts.values()) - counts[output], counts[output])


def _layers(file: GgufFile) -> list[str]:
    return [name for name in file.tensors if name.startswith("blk.")]


def work(weights: Weights, config: Any, figure: Figure, *, new_tokens: int, chunk: int, position_bytes: int) -> Work:
    """Bytes and flops of one token of `figure`.

    Args:
        config: of the model: num_layers, num_heads, head_dim.
        chunk: tokens of one forward of prefill.
        position_bytes: keys and values of one position, in all layers.
    """
    per_slot = 4 * config.num_layers * config.num_heads * config.head_dim
    if figure.kind == "decode":
        slots = figure.tokens + (new_tokens + 1) / 2
        flops = 2 * (weights.layers + weights.output) + per_slot * slots
        return Work(weights.bytes + position_bytes * slots, flops)
    tokens = figure.tokens
    ends = [min(start + chunk, tokens) for start in range(0, tokens, chunk)]
    flops = 2 * (weights.layers * tokens + weights.output * len(ends)) + per_slot * tokens * (tokens + 1) / 2
    return Work((weights.bytes * len(ends) + position_bytes * sum(ends)) / tokens, flops / tokens)
