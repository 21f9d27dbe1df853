"""Print how long the commands take to answer: `python tests/bench/startup.py [runs]`.

Wall time of whole processes, best and median; the goals are 250 ms for help and version, 300 ms for one contract.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.project import write_project

BIN = Path(sys.executable).parent


def seconds(command: list[str], cwd: Path) -> float:
    began = time.perf_counter()
    subprocess.run(command, cwd=cwd, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def main(runs: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = write_project(Path(folder))
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "pv --help": [str(BIN / "pv"), "--help"],
            "pv --version": [str(BIN / "pv"), "--version"],
            "q4k --help": [str(BIN / "q4k"), "--help"],
            "pv validate (one contract)": [str(BIN / "pv"), "validate", "contracts/doubling-v1.yaml"],
        }
        print(f"{'command':<28}{'best':>10}{'median':>10}   of {runs} runs")
        for name, command in commands.items():
            seconds(command, root)
            taken = [seconds(command, root) for _ in range(runs)]
            print(f"{name:<28}{1e3 * min(taken):>7.0f} ms{1e3 * statistics.median(taken):>7.0f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
