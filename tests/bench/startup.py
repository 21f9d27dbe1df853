"""Print how long the commands take to answer: `python tests/bench/startup.py [runs]`.

Whole processes, the least of each figure over all runs; the goals are 250 ms for help and version, 300 ms for one
contract. `python -c pass` is the floor.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from cost import heading, least, line, python

from support.project import write_project

BIN = Path(sys.executable).parent


def main(runs: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = write_project(Path(folder))
        heading(f"start-up, least of {runs} runs")
        for name, command, goal_s in (
            ("python -c pass", python("-c", "pass"), None),
            ("pv --help", [str(BIN / "pv"), "--help"], 0.25),
            ("pv --version", [str(BIN / "pv"), "--version"], 0.25),
            ("q4k --help", [str(BIN / "q4k"), "--help"], 0.25),
            ("pv validate (one contract)", [str(BIN / "pv"), "validate", "contracts/doubling-v1.yaml"], 0.3),
        ):
            line(name, least(runs, command, root), count=1, wall_goal_s=goal_s)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
