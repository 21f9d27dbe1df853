"""A model file that changes while falsifiers read it: no result counts, and `pv` goes on."""

import pytest

from support.command import pv
from support.project import write_project
from support.tiny_qwen2 import write_tiny

READS = """\
import os

import pytest

from engine.gguf.reader import open_gguf


@pytest.mark.falsifies("FALSIFY-DOUBLE-001")
def test_double(pv):
    with open_gguf(pv.model) as file:
        {change}
        largest = abs(file.data("output.weight")).max()
    pv.record("max_abs_error", 0 if largest else 1, limit=1e-6)
"""

CHANGES = {
    "shrunk": "os.truncate(pv.model, 4096)",
    "written": "pv.model.write_bytes(pv.model.read_bytes()[:-1] + b'?')",
}


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_is_proved_or_refuted_by_a_model_that_changed(tmp_path, change):
    """Without the void result, zeros read from a file that shrank would be a refutation of what the file said."""
    root = write_project(tmp_path, test=READS.format(change=CHANGES[change]))
    write_tiny(root / "model.gguf")
    said = pv("discharge", "--model", "model.gguf", cwd=root)
    assert said.code not in (0, 5), said
    assert "FALSIFY-DOUBLE-001  cpu ERROR" in said.out
    assert "FALSIFIED" not in said.out
    assert "inputs changed while it ran: model" in said.out
