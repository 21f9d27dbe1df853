"""The fault that a reproducer is challenged with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import numpy as np

from engine.bisect.places import Array


@contextmanager
def operation_off() -> Iterator[None]:
    """What the operation made is half as large again, in every channel."""

    def wrong(array: Array) -> Array:
        return array * np.float32(1.5)

    with mock.patch("engine.bisect.reproduce._made", wrong):
        yield
