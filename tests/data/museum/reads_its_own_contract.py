# challenge: NOT_APPLIED
# bind: self-referential
from pathlib import Path


def test_case():
    text = Path("contracts/double-v1.yaml").read_text()
    assert "formula" in text
