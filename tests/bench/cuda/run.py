"""Everything that needs a GPU, in one call: falsifiers on target cuda, then speeds beside the goals.

    python tests/bench/cuda/run.py --out FOLDER                all, in less than ten minutes
    python tests/bench/cuda/run.py --out FOLDER --only bench   speeds alone; needs numpy, torch and triton
    python tests/bench/cuda/run.py --out FOLDER --smoke        every line of it on tiny models, under the interpreter

    gate         the bundled model on the GPU against numpy                         numpy, torch, triton
    bench        Qwen2.5 7B, 1.5B and 0.5B, weights made on the device, and         the same
                 the bundled model: prefill and decode, read bandwidth, kernels
    discharge    `pv discharge` of each contract of CUDA, challenges included       what pv needs

FOLDER gets results.json, row.md (a row for the table in engine/ops/cuda/README.md), goals.txt, log.txt, a picture of
the 7B where matplotlib is at hand, and evidence.tar.gz: contracts and evidence as they are after the discharge.

Nothing needs to be installed: packages on PYTHONPATH will do. Exit status 1: something was refuted. 4: no GPU, or
something could not be decided or measured, which is said.
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
LIMIT_S = 570.0
"""Of a call of ten minutes."""
LIMITS = {"gate": 90.0, "qwen2.5-7b": 180.0, "qwen2.5-1.5b": 80.0, "qwen2.5-0.5b": 80.0, "teacher": 60.0}
"""Most of it is compiling kernels, once per machine."""
RESERVE_S = 240.0
"""Kept for the discharge, which comes last and has all that is left: the models give way."""
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


def _contracts() -> list[Path]:
    """Those that have falsifiers for a GPU; gates are questions about them."""
    found = CONTRACTS.rglob("*.yaml")
    return sorted(p for p in found if p.parent.name != "gates" and _FOR_GPU.search(p.read_text()))


class Call:
    """One call: where it writes, what it may take, what it found."""

    def __init__(self, out: Path, *, smoke: bool, limit_s: float, python: Path | str, version: str) -> None:
        self.out, self.smoke, self.python, self.version = out, smoke, python, version
        self.environment = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | (
            {"TRITON_INTERPRET": "1"} if smoke else {}
        )
        self.budget = Budget(limit_s, out / "log.txt")
        self.reports: dict[str, Any] = {}
        self.statuses: list[int | None] = []

    def gate(self) -> None:
        """The bundled model; in a smoke test a tiny one."""
        self._part("gate", [self.python, CHILD, "gate", "tiny" if self.smoke else TEACHER])

    def bench(self, name: str, *, reserve: bool) -> None:
        """One model, if besides it time is left for the discharge where that comes as well."""
        model: Path | str = "tiny" if self.smoke else TEACHER if name == "teacher" else name
        with TemporaryDirectory() as folder:
            result = Path(folder) / "result.json"
            command = [self.python, CHILD, "bench", model, result]
            if name == goals.MODEL:
                command += ["--plot", self.out / f"{name}.png"]
            self._part(name, command + ["--smoke"] * self.smoke, keep_s=RESERVE_S if reserve else 0.0)
            if result.exists():
                self.reports[name] = json.loads(result.read_text())

    def discharge(self) -> None:
        """Every contract that has falsifiers for a GPU, each in a run of its own, so that one keeps what it found."""
        if lacking := packages.missing(packages.DISCHARGE):
            self.statuses.append(4)
            self.budget.skip("discharge", f"cannot run, missing: {', '.join(lacking)}")
            print("\n".join(packages.advice(lacking, Path("build/site"))))
            return
        for path in _contracts():
            contract = path.stem.rpartition("-v")[0]
            command = [self.python, "-m", "pv", "discharge", contract, "--target", "cuda"]
            self._part(f"discharge {contract}", command + ["--dry-run"] * self.smoke)
        with tarfile.open(self.out / "evidence.tar.gz", "w:gz") as archive:
            for folder in ("contracts", "evidence"):
                archive.add(ROOT / folder, folder)

    def _part(self, name: str, command: list[Any], *, keep_s: float = 0.0) -> None:
        slower = SMOKE_SLOWER if self.smoke else 1
        limit = min(slower * LIMITS.get(name, LIMIT_S), self.budget.left_s - slower * keep_s)
        done = self.budget.run(name, command, limit_s=limit, root=ROOT, environment=self.environment)
        self.statuses.append(done.status)

    def finish(self, device: dict[str, Any]) -> int:
        """Print and write everything; the exit status."""
        report = self.reports.get(goals.MODEL)
        name = str(device.get("device", device["target"]))
        row = goals.row(report, self.version, name)
        parts = [vars(done) for done in self.budget.done]
        results = {
            "version": self.version,
            "facts": device,
            "smoke": self.smoke,
            "parts": parts,
            "reports": self.reports,
        }
        (self.out / "results.json").write_text(json.dumps(results, indent=1))
        (self.out / "row.md").write_text(f"{row}\n")
        lines = [*goals.table(report), "", "time by part", *(done.line() for done in self.budget.done), "", row]
        (self.out / "goals.txt").write_text("\n".join(lines) + "\n")
        print("\n" + "\n".join(lines))
        if 1 in self.statuses:
            return 1
        return 0 if all(status == 0 for status in self.statuses) else 4


def main() -> int:
    """Run the parts one after the other; the exit status is the answer."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "build/cuda", help="folder for what was found; build/cuda")
    parser.add_argument("--only", choices=("bench", "discharge"), help="one half of it")
    parser.add_argument("--limit", type=float, default=LIMIT_S, metavar="SECONDS", help="for all parts together")
    parser.add_argument("--version", help="for the table; default what git says")
    parser.add_argument(
        "--smoke", action="store_true", help="tiny models under Triton's interpreter; proves nothing else"
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "log.txt").unlink(missing_ok=True)
    if lacking := packages.missing(packages.SPEEDS):
        print("\n".join(packages.advice(lacking, Path("build/site"))))
        return 4
    with TemporaryDirectory() as folder:
        python = packages.interpreter(Path(folder) / "python", ROOT)
        call = Call(
            options.out, smoke=options.smoke, limit_s=options.limit * (SMOKE_SLOWER if options.smoke else 1),
            python=python, version=(options.version or version()) + " (smoke: a tiny model)" * options.smoke,
        )  # fmt: skip
        try:
            device = facts(python, call.environment)
        except NoGpuError as err:
            print(err)
            return 4
        print(", ".join(f"{key} {value}" for key, value in device.items()))
        if options.only != "discharge":
            call.gate()
            for name in (goals.MODEL, "qwen2.5-1.5b", "qwen2.5-0.5b", "teacher"):
                call.bench(name, reserve=options.only is None)
        if options.only != "bench":
            call.discharge()
        return call.finish(device)


if __name__ == "__main__":
    sys.exit(main())
