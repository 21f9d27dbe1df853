"""Hyperparameters of an architecture, read from GGUF metadata under `<architecture>.` and checked one by one."""

from __future__ import annotations

import math

from engine.errors import ModelError
from engine.gguf.reader import GgufFile

# Above every real model (the largest contexts are 2^24), below what could overflow or exhaust memory downstream.
_LARGEST = 1 << 30


class Hyperparameters:
    """Typed access to `<architecture>.<key>`."""

    def __init__(self, file: GgufFile, architecture: str) -> None:
        self._file = file
        self._prefix = f"{architecture}."

    def __contains__(self, key: str) -> bool:
        return self._prefix + key in self._file.metadata

    def integer(self, key: str, default: int | None = None) -> int:
        """A whole number in 1..2^30.

        Raises:
            ModelError: out of range.
            GgufError: missing without a default, or of another type.
        """
        if default is not None and key not in self:
            return default
        value: int = self._file.get(self._prefix + key, int)
        if not 1 <= value <= _LARGEST:
            raise self.error(f"{self._prefix}{key} is {value}, must be in 1..{_LARGEST}")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number above 0.

        Raises:
            ModelError: NaN, infinite, zero or negative.
            GgufError: missing without a default, or of another type.
        """
        if default is not None and key not in self:
            return default
        value: float = self._file.get(self._prefix + key, float)
        if not (math.isfinite(value) and value > 0):
            raise self.error(f"{self._prefix}{key} is {value}, must be finite and > 0")
        return value

    def text(self, key: str, default: str) -> str:
        """A string, or the default where the key is absent."""
        return self._file.get(self._prefix + key, str) if key in self else default

    def error(self, problem: str) -> ModelError:
        """A `ModelError` that names the file."""
        return ModelError(f"{self._file.path.name}: {problem}")
