"""Print what `pv lint` and `pv validate` cost on generated projects: `python tests/bench/lint.py [contracts ...]`.

Goals on two quiet cores: 1,000 contracts cold 6 s and 150 MB, warm 1 s; 10,000 cold 60 s and 300 MB. Memory is that of
the largest process. CPU time is printed beside wall time, since other work on the machine disturbs it less; the last
column, CPU per contract, stays level where nothing is quadratic.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.generated import write_catalog


@dataclass(frozen=True, slots=True)
class Cost:
    wall_s: float
    cpu_s: float
    peak_mb: float
    """Of the process itself or one that it waited for, whichever is larger."""


def cost(arguments: list[str], cwd: Path) -> Cost:
    """One command that has to end with 0, with everything that it starts."""
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        os.chdir(cwd)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.execv(sys.executable, [sys.executable, "-m", "pv", *arguments])
    _, status, used = os.wait4(child, 0)
    wall_s = time.perf_counter() - began
    if status:
        raise SystemExit(f"pv {' '.join(arguments)} ended with {os.waitstatus_to_exitcode(status)}")
    return Cost(wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def main(sizes: list[int]) -> None:
    print(f"{'contracts':>9}  {'command':<24}{'wall':>8}{'CPU':>8}{'peak':>9}{'CPU each':>11}", end="")
    print(f"   load {os.getloadavg()[0]:.1f}")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            root = write_catalog(Path(folder), size)
            for name, arguments in (
                ("validate", ["validate"]),
                ("lint, cold", ["lint"]),
                ("lint, warm", ["lint"]),
                ("lint, one file changed", ["lint"]),
            ):
                if name.endswith("changed"):
                    with (root / "contracts/part-000/claim-00000-v1.yaml").open("a", encoding="utf-8") as file:
                        file.write("# another comment\n")
                spent = cost(arguments, root)
                print(
                    f"{size:>9}  {name:<24}{spent.wall_s:>6.2f} s{spent.cpu_s:>6.2f} s{spent.peak_mb:>6.0f} MB"
                    f"{1e3 * spent.cpu_s / size:>8.2f} ms",
                    flush=True,
                )


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]] or [100, 1000, 10000])
