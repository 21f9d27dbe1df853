"""Random blocks, decoded by the `gguf` package: `python falsifiers/data/make_blocks.py`.

Writes blocks.npz for Q4_K, Q6_K and Q8_0, and other_blocks.npz for the other types with scales, each with <type>_raw
(blocks, type_size) uint8 and <type>_weights (blocks, block_size) float32.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import gguf
import numpy as np

SEED = 4
BLOCKS = 12
TYPES = {
    "q4_k": (gguf.GGMLQuantizationType.Q4_K, 144, (0, 2)),
    "q6_k": (gguf.GGMLQuantizationType.Q6_K, 210, (208,)),
    "q8_0": (gguf.GGMLQuantizationType.Q8_0, 34, (0,)),
}
OTHERS = {
    "q4_0": (gguf.GGMLQuantizationType.Q4_0, 18, (0,)),
    "q4_1": (gguf.GGMLQuantizationType.Q4_1, 20, (0, 2)),
    "q5_0": (gguf.GGMLQuantizationType.Q5_0, 22, (0,)),
    "q5_1": (gguf.GGMLQuantizationType.Q5_1, 24, (0, 2)),
    "q2_k": (gguf.GGMLQuantizationType.Q2_K, 84, (80, 82)),
    "q3_k": (gguf.GGMLQuantizationType.Q3_K, 110, (108,)),
    "q5_k": (gguf.GGMLQuantizationType.Q5_K, 176, (0, 2)),
}


def main() -> None:
    write("blocks.npz", TYPES)
    write("other_blocks.npz", OTHERS)


def write(file: str, types: dict[str, Any]) -> None:
    rng = np.random.default_rng(SEED)
    arrays = {}
    for name, (kind, type_size, halves) in types.items():
        raw = rng.integers(0, 256, (BLOCKS, type_size), dtype=np.uint8)
        for at in halves:
            # Scales of the size that real weights have, both signs.
            scale = (rng.standard_normal(BLOCKS) * 0.01).astype("<f2")
            raw[:, at : at + 2] = scale.view(np.uint8).reshape(BLOCKS, 2)
        arrays[f"{name}_raw"] = raw
        arrays[f"{name}_weights"] = gguf.dequantize(raw, kind)
    path = Path(__file__).with_name(file)
    np.savez_compressed(path, allow_pickle=False, **arrays)
    print(path.name, hashlib.sha256(path.read_bytes()).hexdigest())  # noqa: T201 - a script


if __name__ == "__main__":
    main()
