"""Attempts to refute contracts/engine/no-gpu-flag-v1.yaml."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.errors import BackendError
from engine.llm import Llm
from falsifiers.support import engines, faults, host_device, prompts
from falsifiers.support.recorder import Recorder

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.falsifies("FALSIFY-NO-GPU-001")
def test_no_gpu_touches_no_gpu(pv: Recorder, tmp_path: Path) -> None:
    """Refuted by one import of a GPU package, tried or done, one opened device file, or one CUDA library, while
    `q4k run --no-gpu` answers a prompt in a process that is watched from its first line; or by a run record that names
    another backend than a CPU one.

    Seen failing under no_gpu_ignored, which looks for a GPU before it obeys.
    """
    report = tmp_path / "touched.json"
    arguments = ["run", str(pv.model), "--raw", "--prompt", "Hello", "--max-tokens", "2", "--no-gpu", "--json"]
    ended = subprocess.run(
        [sys.executable, "-m", "falsifiers.support.gpu_spy", str(report), *arguments],
        cwd=ROOT,
        env={**{key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}, **faults.for_child()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, f"q4k run --no-gpu ended with {ended.returncode}: {ended.stderr[-500:]}"
    touched = json.loads(report.read_text(encoding="utf-8"))
    record = json.loads(ended.stdout)["record"]
    pv.ran_on({"target": "cpu" if record["backend"] in engines.BACKENDS else "cuda", "backend": record["backend"]})
    pv.record("touches of a GPU", len(touched), limit=0, unit="touches")
    pv.record("tokens generated", len(json.loads(ended.stdout)["token_ids"]), limit=1, unit="tokens", bound="at_least")
    assert record["backend"] == record["backend_asked"] == "cpu"


@pytest.mark.falsifies("FALSIFY-NO-GPU-002")
def test_the_record_names_the_backend_that_ran(pv: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuted by a matrix product that another backend computes than the one asked for and recorded, or by an unknown
    backend that is replaced instead of refused.

    Products are counted where they are computed. Seen failing under silent_fallback.
    """
    calls = dict.fromkeys(engines.BACKENDS, 0)
    inside: list[str] = []
    for backend in engines.BACKENDS:
        _count(monkeypatch, backend, calls, inside)
    foreign, own, misnamed = 0, 0, 0
    for backend in engines.BACKENDS:
        calls.update(dict.fromkeys(calls, 0))
        with Llm.load(pv.model, backend=backend) as llm:
            answer = prompts.ask(llm, prompts.QUESTIONS[0], max_tokens=1)
        own += min(1, calls.pop(backend))
        foreign += sum(calls.values())
        misnamed += int((answer.record["backend"], answer.record["backend_asked"]) != (backend, backend))
    pv.record("products of a backend that was not asked", foreign, limit=0, unit="products")
    pv.record("records that name another backend", misnamed, limit=0, unit="records")
    pv.record("backends that ran when asked", own, limit=len(engines.BACKENDS), unit="backends", bound="at_least")
    pv.ran_on({"target": "cpu"})
    with pytest.raises(BackendError):
        Llm.load(pv.model, backend="no-such-backend")


@pytest.mark.falsifies("FALSIFY-NO-GPU-003")
def test_a_fallback_is_asked_for_and_told(pv: Recorder) -> None:
    """Refuted by a model on the CPU where a device was asked for that cannot start, unless a fallback was allowed and
    the run record says what was asked, what ran, and why.

    Seen failing under fallback_without_asking and fallback_is_not_told.
    """
    said, replaced, untold = "no such device here", 0, []
    with host_device.broken(said):
        try:
            with Llm.load(pv.model, backend="cuda") as llm:
                replaced = 1
        except BackendError as err:
            untold += [] if said in str(err) else ["the error"]
        with Llm.load(pv.model, backend="cuda", allow_fallback=True) as llm:
            record = prompts.ask(llm, prompts.QUESTIONS[0], max_tokens=1).record
            engines.ran_on(pv, llm.ops)
    untold += [name for name, right in (
        ("what was asked", record["backend_asked"] == "cuda"),
        ("what ran", record["backend"] == "cpu"),
        ("why", said in (record["fallback"] or "")),
    ) if not right]  # fmt: skip
    pv.record("backends replaced without asking", replaced, limit=0, unit="backends")
    pv.record("things that are not told", len(untold), limit=0, unit="things")
    assert not untold, untold


def _count(monkeypatch: pytest.MonkeyPatch, backend: str, calls: dict[str, int], inside: list[str]) -> None:
    """Count outermost products: a backend may hand types without a kernel to the reference."""
    module = engines.ops(backend)
    original = module.matmul

    def counted(x: Any, weight: Any) -> Any:
        if not inside:
            calls[backend] = calls.get(backend, 0) + 1
        inside.append(backend)
        try:
            return original(x, weight)
        finally:
            inside.pop()

    monkeypatch.setattr(module, "matmul", counted)
