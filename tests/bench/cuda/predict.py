"""What each technique should bring, before a GPU has run it: a token of Qwen2.5-7B in Q4_K_M on an H200.

    python tests/bench/cuda/predict.py        the rows of the table in engine/ops/cuda/README.md

    gpu     max(bytes read / (bandwidth * efficiency), instructions / issue rate) + launches * gap
    token   max(gpu, launches * host) + rest, where single launches leave the GPU waiting for the host

Bytes are those of the exact tensors. The constants below are estimates; a run on a GPU replaces them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine import synthetic
from engine.gguf.reader import GgufFile
from engine.gguf.types import GgmlType

BANDWIDTH = 4.3e12
"""Bytes per second that reading may reach of the 4.8e12 on the data sheet."""
ISSUED = 132 * 128 * 1.98e9
"""Thread instructions per second: multiprocessors, lanes, clock."""
LAYERS = 28
_NARROW = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_down")


@dataclass(frozen=True)
class Version:
    """An engine with some of the techniques."""

    name: str
    state: str
    instructions: float = 12.0
    """Per weight of 4 bits; of 6 bits 1.25 times as many."""
    launches: int = 21 * LAYERS + 4
    gap_us: float = 2.5
    """Between two kernels of one graph, or of a full queue."""
    host_us: float = 20.0
    """Of one launch from Python; 0 in a graph."""
    narrow: float = 0.5
    """Share of the bandwidth that products with few rows reach."""
    six_bit: float = 0.35
    """Share that weights of 6 bits reach: 2-byte loads of unaligned blocks."""
    rest_us: float = 150.0
    """Logits to the host and the choice there."""


@dataclass(frozen=True)
class Bytes:
    """Of one token, by how hard they are to read."""

    wide: dict[GgmlType, int]
    narrow: dict[GgmlType, int]


def bytes_of(file: GgufFile) -> Bytes:
    """Of every matrix but the embedding."""
    found = Bytes({}, {})
    for info in file.tensors.values():
        if len(info.shape) == 2 and info.name != "token_embd.weight":
            kind = found.narrow if any(name in info.name for name in _NARROW) else found.wide
            kind[info.type] = kind.get(info.type, 0) + info.size_bytes
    return found


def token_s(version: Version, read: Bytes) -> float:
    """Seconds of one token at an empty context."""
    moved = instructions = 0.0
    for share, kinds in ((1.0, read.wide), (version.narrow, read.narrow)):
        for kind, size in kinds.items():
            six_bit = kind is GgmlType.Q6_K
            moved += size / (BANDWIDTH * share * (version.six_bit if six_bit else 1.0))
            instructions += (
                size / (210 / 256 if six_bit else 144 / 256) * version.instructions * (1.25 if six_bit else 1)
            )
    gpu = max(moved, instructions / ISSUED) + version.launches * version.gap_us * 1e-6
    return max(gpu, version.launches * version.host_us * 1e-6) + version.rest_us * 1e-6


def versions() -> list[Version]:
    """Each with one technique more than the one before."""
    found = [Version("weights decoded to float32, launched one by one", "never built")]

    def step(name: str, state: str, **changed: float) -> None:
        found.append(replace(found[-1], name=name, state=state, **changed))  # type: ignore[arg-type]

    step("dp4a on 8-bit activations, a thread owns a chunk of 64 weights", "done", instructions=1.65)
    step("the token as one CUDA graph", "done", host_us=0.0)
    step("Q6_K rearranged once at load into aligned planes", "done", six_bit=1.0)
    step("columns of narrow products split over programs, summed in a fixed order", "done", narrow=0.9)
    step("fused to nine launches a layer", "done", launches=9 * LAYERS + 4)
    step("argmax within the output product; only the token's id leaves the GPU", "done", rest_us=20.0)
    step("programmatic dependent launch: weights are on their way before the wait", "done", gap_us=1.3)
    step("one persistent kernel for the token", "not done", gap_us=0.0)
    return found


def table() -> list[str]:
    """One row for each version."""
    with synthetic.shapes_only("qwen2.5-7b") as file:
        read = bytes_of(file)
    rows = []
    for number, version in enumerate(versions()):
        seconds = token_s(version, read)
        rows.append(
            f"| {number} | {version.name} | {version.state} | {seconds * 1e3:.2f} ms, {1 / seconds:.0f} tok/s "
            "| not yet measured |"
        )
    return rows


if __name__ == "__main__":
    print("\n".join(table()))
