"""Print what `pv lint` and `pv validate` cost on generated projects: `python tests/bench/lint.py [contracts ...]`.

Contracts of 4 KB with four bound tests each. Goals on two quiet cores: 1,000 contracts cold 6 s and 150 MB, warm 1 s;
10,000 cold 60 s and 300 MB. Cold is without `.pv-cache`. CPU time is printed beside wall time, since other work on the
machine disturbs it less; CPU for each contract stays level where nothing is quadratic. The floor is PyYAML's C parser
over the same files, events only.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from cost import cost, heading, least, line, python

from support.generated import write_catalog

COLD_GOALS = {1_000: (6.0, 150), 10_000: (60.0, 300)}
"""Contracts -> seconds and MB."""
WARM_GOALS_S = {1_000: 1.0}
FEW = 1_000
"""Up to as many contracts, a command is run three times."""

FLOOR = """\
import pathlib, yaml
for path in pathlib.Path("contracts").rglob("*.yaml"):
    for event in yaml.parse(path.read_bytes(), Loader=yaml.CSafeLoader):
        pass
"""


def main(sizes: list[int]) -> None:
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            root = write_catalog(Path(folder), size)
            runs = 3 if size <= FEW else 1
            pv = python("-m", "pv")
            wall_goal_s, peak_goal_mb = COLD_GOALS.get(size, (None, None))
            heading(f"{size} contracts, least of {runs} runs")
            cost([*pv, "validate"], root)  # reads every file and compiles pv, so that no run is the first
            line("floor: PyYAML, events only", least(runs, python("-c", FLOOR), root), count=size)
            line("pv validate", least(runs, [*pv, "validate"], root), count=size)
            cold = []
            for _ in range(runs):
                shutil.rmtree(root / ".pv-cache", ignore_errors=True)
                cold.append(cost([*pv, "lint"], root))
            spent = min(cold, key=lambda item: item.wall_s)
            line("pv lint, cold", spent, count=size, wall_goal_s=wall_goal_s, peak_goal_mb=peak_goal_mb)
            warm = least(runs, [*pv, "lint"], root)
            line("pv lint, warm", warm, count=size, wall_goal_s=WARM_GOALS_S.get(size), peak_goal_mb=peak_goal_mb)
            with (root / "contracts/part-000/claim-00000-v1.yaml").open("a", encoding="utf-8") as file:
                file.write("# another comment\n")
            line("pv lint, one file changed", cost([*pv, "lint"], root), count=size)


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]] or [100, 1_000, 10_000])
