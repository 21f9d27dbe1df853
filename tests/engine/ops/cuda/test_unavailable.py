"""What a user without a usable GPU, or without torch and triton, is told."""

from __future__ import annotations

import os
import subprocess
import sys

ASK = """
import sys
{block}
import numpy as np
from engine.errors import BackendError
from engine.ops import load_ops
try:
    ops = load_ops("cuda")
    ops.add(np.ones((1, 4), np.float32), np.ones((1, 4), np.float32))
except BackendError as err:
    print(err)
"""
HIDDEN = "sys.modules['{0}'] = None"


def told(block: str) -> str:
    """What BackendError says in a new process that sees no GPU."""
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", ASK.format(block=block)],
        env={**environment, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_without_torch_the_missing_module_is_named() -> None:
    assert told(HIDDEN.format("torch")).startswith("backend 'cuda' cannot start: ")


def test_without_triton_the_missing_module_is_named() -> None:
    assert told(HIDDEN.format("triton")).startswith("backend 'cuda' cannot start: ")


def test_without_a_gpu_nothing_runs_elsewhere() -> None:
    """No result comes from the host: the first operation is refused."""
    message = told("")
    assert message.startswith("backend 'cuda'")
    assert "\n" not in message
    assert message != ""
