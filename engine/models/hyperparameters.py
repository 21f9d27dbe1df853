"""Hyperparameters of an architecture, read from GGUF metadata under `<architecture>.` and checked one by one."""

from __future__ import annotations

import numpy as np

from engine.errors import ModelError
from engine.gguf.display import escape
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

    def name(self, key: str) -> str:
        """The key as it stands in the file."""
        return self._prefix + key

    def integer(self, key: str, default: int | None = None, *, code: str = "M03") -> int:
        """A whole number in 1..2^30.

        Raises:
            ModelError: out of range.
            GgufError: missing without a default, or of another type.
        """
        if default is not None and key not in self:
            return default
        value = self._file.get(self._prefix + key, int)
        if not 1 <= value <= _LARGEST:
            raise self.error(code, f"{self._prefix}{key} is {value}, must be in 1..{_LARGEST}")
        return value

    def count(self, key: str) -> int:
        """A whole number that may be 0, and is 0 where the key is absent.

        Raises:
            ModelError: above 2^30.
            GgufError: of another type.
        """
        if key not in self or self._file.get(self._prefix + key, int) == 0:
            return 0
        return self.integer(key)

    def bools_or_count(self, key: str) -> tuple[bool, ...] | int:
        """An array of bools, or a `count`.

        Raises:
            ModelError: an array of something else, or a number above 2^30.
            GgufError: of another type.
        """
        if not isinstance(self._file.metadata.get(self._prefix + key), np.ndarray):
            return self.count(key)
        values = self._file.get(self._prefix + key, np.ndarray)
        if values.dtype != np.bool_:
            raise self.error("K13", f"{self._prefix}{key} is an array of {values.dtype}; expected bools or a number")
        return tuple(values.tolist())

    def number(self, key: str, default: float | None = None) -> float:
        """A number; where it ends in .rope.freq_base or an epsilon the reader has refused what is not finite and
        above 0.

        Raises:
            GgufError: missing without a default, or of another type.
        """
        if default is not None and key not in self:
            return default
        return self._file.get(self._prefix + key, float)

    def text(self, key: str, default: str) -> str:
        """A string, or the default where the key is absent."""
        return self._file.get(self._prefix + key, str) if key in self else default

    def error(self, code: str, problem: str) -> ModelError:
        """A `ModelError` that names the file and the rule; codes continue those of `engine.gguf.reader`."""
        return ModelError(f"{escape(self._file.path.name)}: GGUF-{code}: {problem}")
