"""Does the contract say what it says?"""

from pathlib import Path

import pytest


@pytest.mark.falsifies("FALSIFY-ROPE-001")
def test_keeps_norm():
    text = (Path(__file__).parent.parent / "contracts" / "rope-v1.yaml").read_text()
    assert "keeps-norm" in text
