"""Hyperparameters of an architecture, read from GGUF metadata under `<architecture>.` and checked one by one."""

from __future__ import annotations

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

    def number(self, key: str, default: float | None = None) -> float:
        """A number; the reader has refused what is not finite and above 0.

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
