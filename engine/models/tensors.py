"""Taking named tensors out of a GGUF file, with the shape the architecture asks for."""

from __future__ import annotations

import re

import numpy as np

from engine import quant
from engine.errors import ModelError
from engine.gguf.display import escape
from engine.gguf.reader import GgufFile
from engine.ops.protocol import F32, Weight

_LAYER_OF = re.compile(r"blk\.(\d+)\.")


class TensorTable:
    """Hands out tensors by GGUF name and remembers which were asked for."""

    def __init__(self, file: GgufFile) -> None:
        self._file = file
        self._asked: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._file.tensors

    @property
    def unused(self) -> tuple[str, ...]:
        """Names in the file that nobody asked for, sorted."""
        return tuple(sorted(set(self._file.tensors) - self._asked))

    def layers_present(self) -> int:
        """One more than the highest N of the tensors blk.N.*; 0 if there is none."""
        numbers = [int(match[1]) for name in self._file.tensors if (match := _LAYER_OF.match(name))]
        return max(numbers, default=-1) + 1

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape in numpy order.

        Raises:
            ModelError: the tensor is missing.
        """
        if name not in self._file.tensors:
            raise self._error("M04", f"missing tensor {name!r}")
        self._asked.add(name)
        return self._file.tensors[name].shape

    def matrix(self, name: str, shape: tuple[int, int]) -> Weight:
        """A weight that stays as it lies in the file.

        Raises:
            ModelError: missing, or of another shape.
        """
        self._check(name, shape)
        info = self._file.tensors[name]
        return Weight(name, info.type, shape, self._file.data(name))

    def vector(self, name: str, size: int) -> F32:
        """A norm weight or bias, decoded: small, and used at every token.

        Raises:
            ModelError: missing, or of another shape.
        """
        self._check(name, (size,))
        decoded = quant.decode(self._file.tensors[name].type, self._file.data(name))
        return np.ascontiguousarray(decoded, dtype=np.float32).reshape(size)

    def _check(self, name: str, expected: tuple[int, ...]) -> None:
        found = self.shape(name)
        if found != expected:
            raise self._error("M03", f"tensor {name!r} has shape {found}, the metadata asks for {expected}")

    def _error(self, code: str, problem: str) -> ModelError:
        return ModelError(f"{escape(self._file.path.name)}: GGUF-{code}: {problem}")
