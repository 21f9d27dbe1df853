"""Print what `pv discharge` adds to the time of the tests: `python tests/bench/discharge_overhead.py [falsifiers ...]`.

The tests are trivial and have no challenges, so nearly all of it is pv's. Goal on two quiet cores: 1.5 s and 5 ms for
each falsifier, beyond what plain pytest takes for the same tests. Most of the rest is fsync, which depends on the disk.
10,000 falsifiers take a minute or two, and only as an argument.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from cost import Cost, cost, heading, least, line, python

from support.generated import FALSIFIERS, write_catalog

UNDECIDED = 4
"""Without a challenge nothing is DISCHARGED."""
FEW = 100
"""Up to as many falsifiers, both are run three times."""


def main(sizes: list[int]) -> None:
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            root = write_catalog(Path(folder), -(-size // FALSIFIERS), challenged=False)
            count = -(-size // FALSIFIERS) * FALSIFIERS
            runs = 3 if count <= FEW else 1
            heading(f"{count} falsifiers, least of {runs} runs, fsync {1e3 * fsync_s(root):.1f} ms")
            options = ("-q", "-p", "no:cacheprovider", "--import-mode=importlib")
            tests = python("-m", "pytest", *options, "checks")
            cost(tests, root)  # compiles the test files
            plain = least(runs, tests, root)
            line("pytest alone", plain, count=count)
            spent = least(runs, python("-m", "pv", "discharge", "--target", "cpu"), root, codes=(UNDECIDED,))
            line("pv discharge", spent, count=count)
            added = Cost(spent.wall_s - plain.wall_s, spent.cpu_s - plain.cpu_s, spent.peak_mb)
            line("added by pv", added, count=count, wall_goal_s=1.5 + 5e-3 * count)


def fsync_s(folder: Path, times: int = 20) -> float:
    """Seconds that one small durable write takes here."""
    descriptor = os.open(folder / "durable", os.O_WRONLY | os.O_CREAT)
    began = time.perf_counter()
    for _ in range(times):
        os.write(descriptor, bytes(1000))
        os.fsync(descriptor)
    taken_s = (time.perf_counter() - began) / times
    os.close(descriptor)
    return taken_s


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]] or [10, 100, 1_000])
