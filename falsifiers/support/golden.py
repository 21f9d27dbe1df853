"""Small files made once by independent implementations; the scripts of `falsifiers/data` make them again.

A falsifier's evidence covers Python files, so the digests stand here: other data cannot slip in under old evidence.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

DATA = Path(__file__).resolve().parents[1] / "data"

SHA256: dict[str, str] = {
    "blocks.npz": "cdafc586b3154d815b4dcaf0afc94ba6463ddd5f38dc1bdbeb9b6d2e8a063683",
    "chats.json": "4af5c3f40492a32de2ae00a3168b1fcfb10e62c8482e0f59bd2def80285b7c49",
    "decoders.npz": "2267611b31300940cdb0f083b01c6e9b71fccc55d7a3a117c0c952c1c329fd1e",
    "grouped.gguf": "f197f662a5d11fff762c575bb2f407dc5b6f4a5ab4114a7eb13a4f1943801617",
    "llama.gguf": "3b2beb117064ce0bff7499ee89656a5ecc25cc085f348041974a932b45556ac1",
    "llama_3.gguf": "ac1cdf7e06fa1c9fba609b0772427d693ec13dffef07ddf25e4cc2feaf23ae63",
    "mistral.gguf": "ce8604f8b06e9e3f5403196e7d42fea45a796ba3297492fcc2a06729135118a1",
    "model_1.npz": "87ca027adedb175509e9bb8a7a05825777e4d41c75ab53601f48f33be574ab35",
    "other_blocks.npz": "f0ff229bbde7c59c14d8e6bd5b500926649880efeb06d423e67655157c22d565",
    "qkv_points.npz": "4572e1570b43e4ac4ca55aa157e9ca10f9cf541c0ba5a98384abec8e0d3deded",
    "qwen3.gguf": "847f20f9986474040ba8ffc47848960e5a83846d7e62ca8fb4978fbcd3c40936",
    "qwen3_yarn.gguf": "29ecf16d60ff2fb32a0a04af5ffd5fb536dac40f3f83422d9eafebdb79001325",
    "tied.gguf": "7cbb57a8d865fa07ecccbdaf3212216efdfe1917021381c7cb81a0904e9f4013",
    "token_ids.json": "635150c9b9ef8c993fc1749122fd43bf937105910f17be003c1dd6fe215e03bc",
    "vocabulary.gguf": "ed05214b61ffe5651e5e9f3ab3d75dface5909ae1047d8e138f0a3b27816e72c",
}


def path(name: str) -> Path:
    """A golden file whose bytes are those that were committed with this module."""
    found = DATA / name
    digest = hashlib.sha256(found.read_bytes()).hexdigest()
    assert digest == SHA256[name], f"{name} has sha256 {digest}, expected {SHA256[name]}; make it again"
    return found


def arrays(name: str) -> dict[str, npt.NDArray[Any]]:
    with np.load(path(name), allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def document(name: str) -> Any:
    return json.loads(path(name).read_text(encoding="utf-8"))
