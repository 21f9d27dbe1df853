"""What is read from the mapped file beside the rearranged weights does not stay resident."""

from __future__ import annotations

import sys
from pathlib import Path
from unittest import mock

import pytest

from engine import synthetic
from engine.llm import Llm

SHAPE = synthetic.Shape(256, 256, 1, 2, 1, 30_000, True)
"""The embedding, which is the output as well, has 6.3 MB."""


def mapped_bytes(path: Path) -> int:
    """Pages of a file that are resident in this process."""
    found, here = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name, _, rest = line.partition(" ")
        if not name.endswith(":"):
            here = rest.endswith(str(path))
        elif here and name == "Rss:":
            found += int(rest.split()[0]) * 1024
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is given back")
@pytest.mark.parametrize("tokens", [1, 5], ids=["single tokens", "short prompts"])
def test_rows_of_the_embedding_do_not_stay(tokens: int, tmp_path: Path) -> None:
    """With each row the kernel maps 64 KiB or more around it: 60 rows would be all of the table."""
    with mock.patch.dict(synthetic.SHAPES, {"rows": SHAPE}):
        path = synthetic.write("rows", tmp_path / "rows.gguf")
    with Llm.load(path, precision="q8") as llm:
        llm.model.forward([0], llm.kv_cache)
        for token in range(0, 30_000, 300):
            llm.model.forward(range(token, token + tokens), llm.kv_cache)
        assert mapped_bytes(path) < 1 << 20
