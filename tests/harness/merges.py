"""Merge stores of several hosts in every order: `python tests/harness/merges.py [--trials N] [--seed S]`.

Each trial makes three or four stores of up to three hosts, as they were at different times, with results that hold,
fail and break, interrupted runs, half lines, records without a line and records of a newer pv. At once, one by one in
every order, in two groups, into each of the stores, and again: the bytes must be the same, and PASS beside FAIL for the
same inputs a finding. Exit code 1 if a trial fails; its seed is printed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from support.merges import trial


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=100)
    asked = parser.parse_args(arguments)
    began, merges, broken = time.monotonic(), 0, 0
    for seed in range(asked.seed, asked.seed + asked.trials):
        with tempfile.TemporaryDirectory() as folder:
            try:
                merges += trial(Path(folder), seed)
            except Exception as err:
                broken += 1
                print(f"seed {seed}: {err!r}", flush=True)
    print(f"{asked.trials} trials, {merges} merges, {broken} broken promises, {time.monotonic() - began:.0f} s")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
