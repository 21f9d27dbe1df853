"""Taps of one forward on disk, one file a place, so that no more than one array of a side is in memory.

    <folder>/<layer>.<name>.<f32|f64>      rows of little-endian floats, (T, N); layer is 'model' outside the layers

A forward that comes in parts, chunks of a prompt or single tokens, is appended: T counts the tokens of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.bisect.places import Place
from engine.errors import ParityError


class Store:
    """A folder of taps; as a tap of a forward it writes."""

    def __init__(self, folder: Path, tokens: int, kind: str = "f32") -> None:
        """Args:
        kind: f32 or f64.
        """
        self.folder = folder
        self.tokens = tokens
        self._kind = kind
        self._dtype = np.dtype("<f4" if kind == "f32" else "<f8")

    def __call__(self, name: str, layer: int | None, array: npt.NDArray[Any]) -> None:
        """Append what a tap sees."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._path(Place(layer, name)).open("ab") as file:
            file.write(np.ascontiguousarray(array, dtype=self._dtype).data)

    def __contains__(self, place: object) -> bool:
        return isinstance(place, Place) and self._path(place).is_file()

    def read(self, place: Place) -> npt.NDArray[Any]:
        """All tokens at one place: (T, N).

        Raises:
            ParityError: it was not recorded, or is no whole number of rows.
        """
        path = self._path(place)
        try:
            size = path.stat().st_size
        except OSError as err:
            raise ParityError(f"{path}: no such tap; record this side again") from err
        row = self.tokens * self._dtype.itemsize
        if size == 0 or size % row:
            raise ParityError(f"{path}: {size} bytes are not {self.tokens} rows of {self._kind}; record it again")
        return np.fromfile(path, dtype=self._dtype).reshape(self.tokens, -1)

    def get(self, place: Place) -> npt.NDArray[Any] | None:
        """As `read`; None where it was not recorded."""
        return self.read(place) if place in self else None

    def missing(self, places: Sequence[Place]) -> list[Place]:
        """Places that were not recorded."""
        return [place for place in places if place not in self]

    def _path(self, place: Place) -> Path:
        layer = "model" if place.layer is None else f"{place.layer:03d}"
        return self.folder / f"{layer}.{place.name}.{self._kind}"
