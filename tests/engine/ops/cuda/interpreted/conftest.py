"""What several tests under the interpreter need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from falsifiers.support import cuda


@pytest.fixture
def large_tiles() -> Iterator[None]:
    """The interpreter's time goes with the number of programs; tiles have tests of their own."""
    with cuda.few_programs():
        yield
