"""Print what `pv discharge` adds to the time of the tests: `python tests/bench/discharge_overhead.py [falsifiers ...]`.

The tests are trivial and have no challenges, so nearly all of it is pv's. Goal on two quiet cores: 1.5 s and 5 ms for
each falsifier, beyond what plain pytest takes for the same tests. Most of the rest is fsync, which depends on the disk.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.generated import FALSIFIERS, write_catalog

UNDECIDED = 4
"""Without a challenge nothing is DISCHARGED."""


def spent(arguments: list[str], cwd: Path, expected: int) -> tuple[float, float]:
    """Wall and CPU seconds of `python -m ...` with everything that it starts."""
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        os.chdir(cwd)
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        os.execv(sys.executable, [sys.executable, "-m", *arguments])
    _, status, used = os.wait4(child, 0)
    wall_s = time.perf_counter() - began
    if os.waitstatus_to_exitcode(status) != expected:
        raise SystemExit(f"{' '.join(arguments)} ended with {os.waitstatus_to_exitcode(status)}, expected {expected}")
    return wall_s, used.ru_utime + used.ru_stime


def main(sizes: list[int]) -> None:
    print(f"{'falsifiers':>10}{'pytest':>10}{'discharge':>12}{'added':>10}{'goal':>9}", end="")
    print(f"{'added CPU':>12}{'fsync':>10}   load {os.getloadavg()[0]:.1f}")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            root = write_catalog(Path(folder), -(-size // FALSIFIERS), challenged=False)
            count = -(-size // FALSIFIERS) * FALSIFIERS
            tests = ["pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", "checks"]
            spent(tests, root, 0)  # compiles the test files
            plain_s, plain_cpu_s = spent(tests, root, 0)
            wall_s, cpu_s = spent(["pv", "discharge", "--target", "cpu"], root, UNDECIDED)
            print(
                f"{count:>10}{plain_s:>8.2f} s{wall_s:>10.2f} s{wall_s - plain_s:>8.2f} s{1.5 + 5e-3 * count:>7.2f} s"
                f"{cpu_s - plain_cpu_s:>10.2f} s{1e3 * fsync_s(root):>7.1f} ms",
                flush=True,
            )


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
    main([int(text) for text in sys.argv[1:]] or [10, 100, 1000])
