"""Mutation score of the modules that decide results, challenges, standings and gates.

    python tests/mutation/run.py [MODULE...]     0 every module has at least 95 %; 1 one has less; 2 cannot

mutmut changes one thing at a time in a copy of the project, texts included, and runs the tests named below that reach
the change. A mutant that every test accepts has survived; it is printed as a diff.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
AT_LEAST = 0.95
MODULES = {
    "pv/run/outcomes.py": ["tests/pv/run/test_outcomes.py", "tests/pv/run/test_reasons.py"],
    "pv/challenge/outcomes.py": ["tests/pv/challenge/test_outcomes.py"],
    "pv/discharge/standing.py": ["tests/pv/discharge/test_standing.py", "tests/pv/discharge/test_missing.py"],
    "pv/discharge/gate.py": ["tests/pv/discharge/test_gate.py", "tests/pv/discharge/test_gate_details.py"],
    "pv/discharge/requirement.py": ["tests/pv/discharge/test_gate.py", "tests/pv/discharge/test_gate_details.py"],
}
# Of mutmut's exit codes: a failed test, an error of pytest, and the ways in which it reports an endless loop.
KILLED = {1, 3, 24, 36, 152, 255, -24, -11}


def main() -> int:
    parser = argparse.ArgumentParser(description="mutation score of the modules that decide")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"of {', '.join(MODULES)}")
    parser.add_argument("--children", type=int, default=2, help="processes at a time")
    asked = parser.parse_args()
    modules = asked.modules or list(MODULES)
    if unknown := [module for module in modules if module not in MODULES]:
        parser.error(f"{unknown[0]!r} is not one of {', '.join(MODULES)}")
    if importlib.util.find_spec("mutmut") is None:
        print("mutmut is not installed; pip install --editable '.[dev,mutation]'")
        return 2
    with tempfile.TemporaryDirectory(prefix="pv-mutation-") as folder:
        copy = Path(folder)
        prepare(copy, modules)
        done = mutmut(copy, "run", "--max-children", str(asked.children))
        if done.returncode:
            print("\n".join(done.stdout.replace("\r", "\n").splitlines()[-40:]))
            return done.returncode
        return report(copy, modules)


def prepare(copy: Path, modules: list[str]) -> None:
    for name in ("pv", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "data"))
    tests = list(dict.fromkeys(test for module in modules for test in MODULES[module]))
    settings = {
        "source_paths": modules,
        "pytest_add_cli_args_test_selection": tests,
        "also_copy": ["pv", "tests", "pyproject.toml"],
    }
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in settings.items())
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (copy / "pyproject.toml").write_text(f"{text}\n[tool.mutmut]\n{lines}\n", encoding="utf-8")


def mutmut(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mutmut", *arguments],
        cwd=copy, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip


def report(copy: Path, modules: list[str]) -> int:
    survivors: list[str] = []
    code = 0
    for module in modules:
        outcomes = json.loads((copy / "mutants" / f"{module}.meta").read_text())["exit_code_by_key"]
        alive = [name for name, exit_code in outcomes.items() if exit_code not in KILLED]
        share = 1 - len(alive) / len(outcomes)
        if share < AT_LEAST:
            code = 1
        print(f"{module:<30} {len(outcomes) - len(alive):>4} of {len(outcomes):>4} killed  {100 * share:5.1f} %")
        survivors += alive
    print(f"{len(survivors)} survived; at least {100 * AT_LEAST:g} % of each module must not.")
    for name in survivors:
        changes = [line for line in mutmut(copy, "show", name).stdout.splitlines() if line[:2] in ("- ", "+ ")]
        print("", name, *changes, sep="\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
