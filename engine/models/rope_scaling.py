"""How a file asks for scaled rotary angles: metadata under `<architecture>.rope.scaling.`, and a tensor.

    none      theta^(-2i/Dh)
    linear    theta^(-2i/Dh) / factor
    yarn      theta^(-2i/Dh) * (ramp(i) / factor + 1 - ramp(i)), the turned pairs times 1 + ln(factor) / 10
              ramp(i) = clamp((i - low) / (high - low), 0, 1)
              low, high = floor(dim(beta_fast)), ceil(dim(beta_slow)) within 0..Dh-1
              dim(turns) = Dh ln(original_context_length / (2 pi turns)) / (2 ln(theta))
    rope_freqs.weight    Dh/2 numbers that the frequencies are divided by: how Llama 3 files say it

Keys: type, factor (rope.scale_linear in old files), original_context_length (default: context_length), attn_factor
(multiplies what is turned by yarn), yarn_beta_fast (32), yarn_beta_slow (1). Without a type, a factor is linear.
Source: Peng et al. 2023, sections 3.2 and 3.4; the keys of the gguf package and of llama.cpp's model loader.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from engine.models.hyperparameters import Hyperparameters
from engine.models.tensors import TensorTable
from engine.ops.rotary import Rotary

TYPES = ("none", "linear", "yarn")

_NEUTRAL = {"rope.scaling.yarn_ext_factor": 1.0, "rope.scaling.yarn_attn_factor": 1.0,
            "rope.scaling.yarn_log_multiplier": 0.0}  # fmt: skip
"""Keys of other architectures' yarn, and the value at which they change nothing."""


def read_rotary(
    keys: Hyperparameters, tensors: TensorTable, *, head_dim: int, theta: float, context: int, adjacent: bool
) -> Rotary:
    """What the file asks for.

    Raises:
        ModelError: a kind of scaling that is not supported, or a number that no scaling has.
        GgufError: a key of another type.
    """
    factor_key = "rope.scaling.factor" if "rope.scaling.factor" in keys else "rope.scale_linear"
    kind = keys.text("rope.scaling.type", "linear" if factor_key in keys else "none")
    if kind not in TYPES:
        known = ", ".join(map(repr, TYPES))
        raise keys.error("K12", f"{keys.name('rope.scaling.type')} is {kind!r}; supported: {known}")
    factors, magnitude = np.ones(head_dim // 2), 1.0
    if kind != "none":
        factor = _positive(keys, factor_key, 1.0)
        factors = factors / factor
        if kind == "yarn":
            for key, neutral in _NEUTRAL.items():
                if keys.number(key, neutral) != neutral:
                    raise keys.error("K12", f"{keys.name(key)} is {keys.number(key)}; supported: {neutral}")
            ramp = _ramp(keys, head_dim, theta, keys.integer("rope.scaling.original_context_length", context))
            factors = ramp * factors + (1 - ramp)
            magnitude = _positive(keys, "rope.scaling.attn_factor", 1.0) * (1 + 0.1 * math.log(max(factor, 1.0)))
    if "rope_freqs.weight" in tensors:
        divisors = tensors.vector("rope_freqs.weight", head_dim // 2)
        if not (np.isfinite(divisors).all() and (divisors > 0).all()):
            raise keys.error("K11", "tensor 'rope_freqs.weight' holds a number that is not finite and above 0")
        factors = factors / divisors
    is_scaled = bool((factors != 1).any())
    return Rotary(factors=tuple(factors.tolist()) if is_scaled else (), magnitude=magnitude, adjacent=adjacent)


def _ramp(keys: Hyperparameters, head_dim: int, theta: float, original: int) -> npt.NDArray[np.float64]:
    """0 where a pair turns often within the original context, 1 where it does not get around: (Dh/2,)."""

    def dimension(turns: float) -> float:
        return head_dim * math.log(original / (2 * math.pi * turns)) / (2 * math.log(theta))

    if theta <= 1:
        raise keys.error("K11", f"{keys.name('rope.freq_base')} is {theta}, must be above 1 for yarn")
    low = max(0, math.floor(dimension(_positive(keys, "rope.scaling.yarn_beta_fast", 32.0))))
    high = min(head_dim - 1, math.ceil(dimension(_positive(keys, "rope.scaling.yarn_beta_slow", 1.0))))
    places: npt.NDArray[np.float64] = (np.arange(head_dim // 2) - low) / max(0.001, high - low)
    return np.clip(places, 0.0, 1.0)


def _positive(keys: Hyperparameters, key: str, default: float) -> float:
    value = keys.number(key, default)
    if not (math.isfinite(value) and value > 0):
        raise keys.error("K11", f"{keys.name(key)} is {value}, must be finite and above 0")
    return value
