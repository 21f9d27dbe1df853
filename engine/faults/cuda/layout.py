"""Order of halves, and of packed bits, on the device."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.faults.cuda.seeding import Seeded, replaced


def gate_below_up() -> Seeded:
    """Rows that share a launch lie below each other in the wrong order."""
    return replaced("weights", "stack", lambda stack, hosts: stack(list(hosts)[::-1]))


def q6k_not_repacked() -> Seeded:
    """The low bits of Q6_K keep the order of the file, and kernels expect that of the repacked units."""

    def wrong(planes: Any, data: Any) -> Any:
        blocks = np.asarray(data).reshape(len(data), -1, 210)
        low = np.ascontiguousarray(blocks[:, :, :128]).reshape(len(data), -1)
        return (low, *planes(data)[1:])

    return replaced("weights", "_q6_k_planes", wrong)


def swiglu_swapped() -> Seeded:
    """The gate is multiplied, the other half is gated."""
    return replaced("resident", "swiglu", lambda swiglu, gate, up: swiglu(up, gate))
