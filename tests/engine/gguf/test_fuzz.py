"""The fuzz campaign at a small size, with its control: every planted bug is found."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HARNESS = Path(__file__).parents[2] / "harness" / "fuzz_gguf.py"


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(HARNESS), *arguments], capture_output=True, text=True, timeout=300, check=False
    )


def test_no_mutant_is_wrongly_accepted_wrongly_refused_or_a_foreign_exception() -> None:
    done = fuzz("--mutants", "10000")
    assert done.returncode == 0, done.stdout + done.stderr
    counts = re.search(r"^10000 mutants .*: (\d+) refused by (\d+) rules, (\d+) rightly accepted", done.stdout)
    assert counts is not None
    refused, rules, accepted = map(int, counts.groups())
    assert refused + accepted == 10_000
    assert rules >= 50
    assert accepted >= 1_000, "damage that leaves nothing acceptable tests no acceptance"


def test_every_planted_bug_is_found() -> None:
    done = fuzz("--planted")
    assert done.returncode == 0, done.stdout + done.stderr
    found, planted = map(int, re.findall(r"(\d+) of (\d+) planted bugs found", done.stdout)[0])
    assert found == planted >= 20
