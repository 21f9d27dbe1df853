"""Everything that needs a GPU, in one call: falsifiers on target cuda, then speeds beside the goals.

    python tests/bench/cuda/run.py                   all, one phase after the other
    python tests/bench/cuda/run.py --only speed      one phase, in less than ten minutes
    python tests/bench/cuda/run.py --smoke           every line of it on tiny models, under the interpreter

    evidence     the bundled model on the GPU against numpy; `pv discharge` of each contract        what pv needs
                 of CUDA, challenges included, the most telling ones first
    speed        the shapes of Qwen2.5-7B, weights made on the device: decode, decode without       numpy, torch, triton
                 dependent launch, prefill; read bandwidth, kernels
    rest         the same of 1.5B, 0.5B and the bundled model                                       the same

Each part is a process of its own with a time limit. What it prints is printed at once; results.json, row.md (rows for
the table in engine/ops/cuda/README.md), goals.txt, log.txt, pictures where matplotlib is at hand, and evidence.tar.gz,
contracts and evidence as they are, are written after each, so that nothing is lost with a later one.

What a phase had no time for is named at the end: `--only evidence --contracts A,B` goes on there, and
`pv evidence merge` joins what two machines have found.

Nothing needs to be installed: packages on PYTHONPATH will do, `pack.py` brings those that are missing. Exit status 1:
something was refuted. 4: no GPU, or something could not be decided or measured, which is said.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import goals
import packages
from parts import Budget

ROOT = Path(__file__).resolve().parents[3]
TEACHER = ROOT / "engine/assets/teacher.gguf"
CHILD = Path(__file__).parent / "child.py"
CONTRACTS = ROOT / "contracts"
_FOR_GPU = re.compile(r"^ *targets: *\[[^\]]*\bcuda\b(?!-)", re.MULTILINE)
PHASES = ("evidence", "speed", "rest")
LIMIT_S = 570.0
"""Of a phase: a call of ten minutes."""
LIMITS = {"gate": 90.0, "discharge": 300.0, "rest": 180.0}
"""Of a part, where it is less. Most of the time goes into compiling kernels, once per machine."""
FIRST = (
    "cuda-products", "cuda-layers", "cuda-kernels", "cuda-overlap", "cuda-model", "cpu-vs-gpu-output-parity",
    "gpu-parity-gate", "cuda-speed",
)  # fmt: skip
"""Contracts in order of what they tell; others follow."""
MODES = (
    ("decode", ["--kind", "decode"]),
    ("decode, no dependent launch", ["--kind", "decode", "--no-dependent-launch"]),
    ("prefill", ["--kind", "prefill"]),
)
"""What is measured of the 7B, each in a process of its own."""
SMOKE_SLOWER = 10
"""The interpreter takes seconds for what a GPU does in microseconds."""


class NoGpuError(Exception):
    """There is no GPU, or torch cannot use it."""


def facts(python: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Device and versions, asked in a process of its own: nothing of CUDA stays in this one.

    Raises:
        NoGpuError: with the reason.
    """
    ask = (
        "import json, sys\n"
        "from engine.errors import BackendError\n"
        "from engine.ops.cuda import target\n"
        "try: target.device()\n"
        "except BackendError as err: sys.exit(str(err))\n"
        "print(json.dumps(target.facts()))"
    )
    done = subprocess.run(
        [python, "-c", ask], cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NoGpuError((done.stderr.strip().splitlines() or ["no answer"])[-1])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def version() -> str:
    """The commit, where this is a repository."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def _contracts() -> list[str]:
    """Ids of those that have falsifiers for a GPU; gates are questions about them."""
    found = (path for path in CONTRACTS.rglob("*.yaml") if path.parent.name != "gates")
    ids = sorted(path.stem.rpartition("-v")[0] for path in found if _FOR_GPU.search(path.read_text()))
    return [name for name in FIRST if name in ids] + [name for name in ids if name not in FIRST]


class Call:
    """One call: where it writes, what it may take, what it found."""

    def __init__(
        self, out: Path, *, smoke: bool, limit_s: float, python: Path | str, version: str, device: dict[str, Any]
    ) -> None:
        self.out, self.smoke, self.python, self.version, self.device = out, smoke, python, version, device
        self.environment = environment(smoke)
        self.contracts = _contracts()
        self.slower = SMOKE_SLOWER if smoke else 1
        self.budget = Budget(limit_s * self.slower, out / "log.txt")
        self.reports: dict[str, Any] = {}
        self.statuses: list[int | None] = []

    def evidence(self) -> None:
        """The bundled model, or a tiny one; then the contracts, each in a run of its own, so that none is lost."""
        self._part("gate", [self.python, CHILD, "gate", "tiny" if self.smoke else TEACHER])
        if lacking := packages.missing(packages.DISCHARGE):
            self.statuses.append(4)
            self.budget.skip("discharge", f"cannot run, missing: {', '.join(lacking)}")
            print("\n".join(packages.advice(lacking)))
            return
        for contract in self.contracts:
            command = [self.python, "-m", "pv", "discharge", contract, "--target", "cuda"]
            self._part(f"discharge {contract}", command + ["--dry-run"] * self.smoke, limit_s=LIMITS["discharge"])
            with tarfile.open(self.out / "evidence.tar.gz", "w:gz") as archive:
                for folder in ("contracts", "evidence"):
                    archive.add(ROOT / folder, folder)

    def speed(self) -> None:
        """The 7B, decode first."""
        for mode, options in MODES:
            picture = self.out / f"{mode.replace(', ', '-').replace(' ', '-')}.png"
            self._bench(f"{goals.MODEL} {mode}", goals.MODEL, [*options, "--plot", picture])

    def rest(self) -> None:
        """The smaller models."""
        for name in ("qwen2.5-1.5b", "qwen2.5-0.5b", "teacher"):
            self._bench(name, TEACHER if name == "teacher" else name, [], limit_s=LIMITS["rest"])

    def _bench(self, name: str, model: str | Path, options: list[Any], limit_s: float = LIMIT_S) -> None:
        with TemporaryDirectory() as folder:
            result = Path(folder) / "result.json"
            command = [self.python, CHILD, "bench", "tiny" if self.smoke else model, result, *options]
            self._part(name, command + ["--smoke"] * self.smoke, limit_s=limit_s)
            if result.exists():
                self.reports[name] = json.loads(result.read_text())
                self.save()

    def _part(self, name: str, command: list[Any], *, limit_s: float = LIMIT_S) -> None:
        limit = self.slower * LIMITS.get(name, limit_s)
        done = self.budget.run(name, command, limit_s=limit, root=ROOT, environment=self.environment)
        self.statuses.append(done.status)
        self.save()

    def save(self) -> list[str]:
        """Write what was found until now; the lines that say it in short."""
        of_7b = {mode: self.reports.get(f"{goals.MODEL} {mode}") for mode, _ in MODES}
        late = of_7b.pop("decode, no dependent launch")
        both = goals.merged(*of_7b.values())
        name = str(self.device.get("device", self.device["target"]))
        rows = [goals.row(both, self.version, name)]
        if late:
            rows.append(goals.row(late, f"{self.version}, no dependent launch", name))
        results = {
            "version": self.version,
            "facts": self.device,
            "smoke": self.smoke,
            "parts": [vars(done) for done in self.budget.done],
            "reports": self.reports,
        }
        (self.out / "results.json").write_text(json.dumps(results, indent=1))
        (self.out / "row.md").write_text("".join(f"{row}\n" for row in rows))
        lines = [*goals.table(both), "", "time by part", *(done.line() for done in self.budget.done), "", *rows]
        (self.out / "goals.txt").write_text("\n".join(lines) + "\n")
        return lines

    def finish(self) -> int:
        """Print what was found; the exit status."""
        print("\n" + "\n".join(self.save()))
        if 1 in self.statuses:
            return 1
        return 0 if all(status == 0 for status in self.statuses) else 4


def environment(smoke: bool) -> dict[str, str]:
    """Variables of every part."""
    given = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    return given | ({"TRITON_INTERPRET": "1"} if smoke else {})


def main() -> int:
    """Run the parts one after the other; the exit status is the answer."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "build/cuda", help="folder for what was found; build/cuda")
    parser.add_argument("--only", choices=PHASES, help="one phase of it")
    parser.add_argument("--contracts", metavar="A,B", help="of the evidence, those that another call had no time for")
    parser.add_argument("--limit", type=float, default=LIMIT_S, metavar="SECONDS", help="for each phase")
    parser.add_argument("--version", help="for the table; default what git says")
    parser.add_argument(
        "--smoke", action="store_true", help="tiny models under Triton's interpreter; proves nothing else"
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "log.txt").unlink(missing_ok=True)
    if lacking := packages.missing(packages.SPEEDS):
        print("\n".join(packages.advice(lacking)))
        return 4
    phases = [options.only] if options.only else PHASES
    with TemporaryDirectory() as folder:
        python = packages.interpreter(Path(folder) / "python", ROOT)
        try:
            device = facts(python, environment(options.smoke))
        except NoGpuError as err:
            print(err)
            return 4
        print(", ".join(f"{key} {value}" for key, value in device.items()))
        call = Call(
            options.out, smoke=options.smoke, limit_s=options.limit, python=python, device=device,
            version=(options.version or version()) + " (smoke: a tiny model)" * options.smoke,
        )  # fmt: skip
        if options.contracts:
            call.contracts = options.contracts.split(",")
        for phase in phases:
            call.budget.begin()
            getattr(call, phase)()
        return call.finish()


if __name__ == "__main__":
    sys.exit(main())
