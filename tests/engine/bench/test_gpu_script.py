"""The parts of tests/bench/cuda: prediction, goals, time limits, packages. `run.py --smoke` runs the whole of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from bench.cuda import goals, packages, predict
from bench.cuda.parts import Budget

from engine.gguf.types import GgmlType
from support.q4k import ROOT, environment

README = ROOT / "engine/ops/cuda/README.md"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """One of the scripts, which find each other beside them."""
    monkeypatch.syspath_prepend(str(ROOT / "tests/bench/cuda"))
    return import_module


def report(**speeds: float) -> dict[str, Any]:
    """Decode and prefill speeds by names such as decode_0."""
    results = [
        {
            "subject": "cuda q8", "kind": name.partition("_")[0], "tokens": int(name.partition("_")[2]),
            "tokens_per_s": {"median": speed}, "share_of_read_bandwidth": 0.615,
        }
        for name, speed in speeds.items()
    ]  # fmt: skip
    return {"results": results}


def test_the_table_of_predictions_is_what_the_script_computes() -> None:
    text = README.read_text()
    rows = predict.table()
    assert len(rows) == 9
    assert "\n".join(rows) in text


def test_prediction_of_pure_reading_is_bytes_over_bandwidth() -> None:
    """4.366 GB at 4.3 TB/s are 1.0154 ms, and 592 launches 2 us apart 1.184 ms more."""
    read = predict.Bytes({GgmlType.Q4_K: 4_366_000_000}, {})
    ideal = predict.Version("", "", instructions=0, gap_us=0, host_us=0, rest_us=0)
    assert predict.token_s(ideal, read) == pytest.approx(1.01535e-3, rel=1e-4)
    gaps = predict.Version("", "", instructions=0, gap_us=2, host_us=0, rest_us=0)
    assert predict.token_s(gaps, read) == pytest.approx(2.19935e-3, rel=1e-4)
    waiting = predict.Version("", "", instructions=0, gap_us=2, host_us=10, rest_us=100)
    assert predict.token_s(waiting, read) == pytest.approx(6.02e-3, rel=1e-4)


def test_measured_is_beside_the_goal() -> None:
    lines = "\n".join(goals.table(report(decode_0=650, prefill_512=21_000)))
    assert "650 93% of the goal" in lines
    assert "21000 reached" in lines
    assert "prefill 4096" in lines
    assert lines.count("not measured") == 1
    assert "399 BELOW THE FLOOR" in "\n".join(goals.table(report(decode_0=399)))


def test_row_has_a_cell_for_each_column_and_says_what_was_not_measured() -> None:
    row = goals.row(report(decode_0=650.4, decode_512=640, prefill_512=21_000), "v1", "H200")
    assert row == "| v1 | H200 | 650 | 640 | not measured | 62% | 21000 | not measured |"
    assert row.count("|") == len(goals.COLUMNS) + 1
    assert goals.row(None, "none yet", "no GPU yet") in README.read_text()


def test_a_part_that_hangs_costs_only_its_limit(tmp_path: Path) -> None:
    budget = Budget(60.0, tmp_path / "log.txt")
    program = "import time; print('begun', flush=True); time.sleep(60)"
    hung = budget.run("hung", [sys.executable, "-c", program], limit_s=1.5, root=tmp_path, environment={})
    assert hung.status is None
    assert "ended at its limit" in hung.line()
    done = budget.run(
        "done", [sys.executable, "-c", "import os; print(os.environ['GIVEN']); exit(3)"],
        limit_s=30, root=tmp_path, environment={"GIVEN": "seen"},
    )  # fmt: skip
    assert done.status == 3
    log = (tmp_path / "log.txt").read_text()
    assert "begun" in log
    assert "seen" in log
    assert budget.skip("other", "cannot run").line().endswith("cannot run")


def test_nothing_is_started_without_time(tmp_path: Path) -> None:
    budget = Budget(0.0, tmp_path / "log.txt")
    assert budget.run("late", ["no-such-program"], limit_s=5, root=tmp_path, environment={}).note.startswith(
        "not started"
    )


def test_interpreter_sees_the_path_of_this_one_without_its_variables(tmp_path: Path) -> None:
    """As pv's test processes are started: no PYTHONPATH, and yet the project and its packages are found."""
    python = packages.interpreter(tmp_path / "python", ROOT)
    ask = "import sys, engine, numpy, pytest; print(sys.prefix, engine.__file__)"
    clean = {name: value for name, value in environment().items() if name != "PYTHONPATH"}
    done = subprocess.run([python, "-c", ask], env=clean, cwd=tmp_path, capture_output=True, text=True, check=True)
    prefix, engine = done.stdout.split()
    assert prefix == str(tmp_path / "python")
    assert Path(engine).is_relative_to(ROOT)


def test_missing_packages_are_named_with_what_to_do() -> None:
    needed = {"numpy": "numpy", "no_such.module": "a-package", "nothing_either": "b-package"}
    assert packages.missing(needed) == ["a-package", "b-package"]
    text = "\n".join(packages.advice(["a-package"]))
    assert "missing: a-package" in text
    assert "PYTHONPATH=build/site python tests/bench/cuda/run.py" in text


@pytest.mark.parametrize("group", [packages.SPEEDS, packages.DISCHARGE], ids=["speeds", "discharge"])
def test_packages_named_are_those_that_the_project_asks_for(group: dict[str, str]) -> None:
    project = (ROOT / "pyproject.toml").read_text()
    assert all(f'"{package}>=' in project for package in group.values())


def test_a_pack_has_all_that_pv_needs_but_what_a_gpu_machine_has(script: Callable[[str], Any]) -> None:
    pack = script("pack")
    calls = pack.commands("3.12", Path("site"))
    named = {word for call in calls for word in call}
    assert named & set(packages.DISCHARGE.values()) == set(packages.DISCHARGE.values()) - set(pack.THERE)
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert {package.lower() for package in packages.DISCHARGE.values()} <= pinned
    assert all(call[call.index("--python-version") + 1] == "3.12" for call in calls)


def test_a_part_that_cannot_start_is_noted(tmp_path: Path) -> None:
    done = Budget(9.0, tmp_path / "log.txt").run("none", ["no-such-program"], limit_s=5, root=tmp_path, environment={})
    assert done.status is None
    assert done.note.startswith("not started: ")


def test_what_a_part_prints_is_kept_while_it_runs(tmp_path: Path) -> None:
    """The log has the line before the part ends: the part itself looks."""
    log = tmp_path / "log.txt"
    program = (
        "import sys, time; print('early', flush=True)\n"
        f"while 'early' not in open({str(log)!r}).read().splitlines(): time.sleep(0.01)"
    )
    assert Budget(60.0, log).run(
        "part", [sys.executable, "-c", program], limit_s=30, root=tmp_path, environment={}
    ).status == 0  # fmt: skip


def test_contracts_for_a_gpu_are_in_order_of_what_they_tell(script: Callable[[str], Any]) -> None:
    run = script("run")
    found = run._contracts()
    assert found[: len(run.FIRST)] == list(run.FIRST)
    assert len(found) == len(set(found)) > len(run.FIRST)
    assert "cuda-machine" not in found, "needs a compiler alone"


def test_a_part_that_fails_keeps_what_others_found(tmp_path: Path, script: Callable[[str], Any]) -> None:
    """Decode measured, prefill not: the row has the one, results.json both parts, and the status says it."""
    call = script("run").Call(
        tmp_path, smoke=False, limit_s=60, python=sys.executable, version="v1", device={"target": "cuda:sm_90"}
    )
    call.reports["qwen2.5-7b decode"] = report(decode_0=650)
    call.reports["qwen2.5-7b decode, no dependent launch"] = report(decode_0=580)
    call._part("qwen2.5-7b prefill", [sys.executable, "-c", "exit(3)"])
    assert call.finish() == 4
    rows = (tmp_path / "row.md").read_text().splitlines()
    assert rows[0].startswith("| v1 | cuda:sm_90 | 650 |")
    assert rows[1].startswith("| v1, no dependent launch | cuda:sm_90 | 580 |")
    kept = json.loads((tmp_path / "results.json").read_text())
    assert [part["status"] for part in kept["parts"]] == [3]
    assert len(kept["reports"]) == 2


def test_without_a_gpu_one_line_says_so(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "tests/bench/cuda/run.py"), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert done.stdout.startswith("backend 'cuda'")
    assert done.stdout.count("\n") == 1
