"""The falsifiers of CUDA models, executed over a tiny model: what a GPU will run has run.

That their faults are caught is shown by `pv discharge --target cuda-interpreted`; here it is for those of speed alone,
which no discharge without a GPU runs. Not executed here: the capture and replay of a real graph, events on the device's
clock, the allocator's own peak.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from falsifiers.engine import test_cpu_vs_gpu_output_parity, test_gpu_parity_gate
from falsifiers.engine.ops.cuda import test_cuda_model, test_cuda_speed
from falsifiers.support import cuda, limits
from pv.load import load_file
from pv.run.fault import SeededFault
from pv.run.fixture import Context, Pv
from pv.schema.contract import Falsifier
from support import tiny_qwen2

pytestmark = pytest.mark.usefixtures("large_tiles")

ROOT = Path(__file__).resolve().parents[5]
FOLDER = Path("contracts/engine/ops/cuda")
MODULES = {
    module.__name__.rpartition(".")[2]: module
    for module in (test_cuda_model, test_cpu_vs_gpu_output_parity, test_gpu_parity_gate)
}


def falsifiers(name: str) -> Sequence[Falsifier]:
    (path,) = (ROOT / "contracts/engine").rglob(f"{name}-v*.yaml")
    contract = load_file(ROOT, path.relative_to(ROOT)).contract
    assert contract is not None
    return contract.falsifiers


def bodies(*names: str) -> Iterator[Any]:
    """The test function of each falsifier of some contracts that needs a GPU."""
    for falsifier in (one for name in names for one in falsifiers(name) if one.targets == ("cuda",)):
        file, function = falsifier.test.split("::")
        yield pytest.param(getattr(MODULES[Path(file).stem], function), id=falsifier.id)


def with_faults(name: str) -> Iterator[Any]:
    """(test function, fault or '') of each falsifier of a contract and of each of its challenges."""
    for falsifier in falsifiers(name):
        function = falsifier.test.split("::")[1]
        for reference in ("", *(challenge.fault for challenge in falsifier.challenges)):
            yield pytest.param(function, reference, id=f"{falsifier.id} {reference.rpartition(':')[2]}".strip())


@contextmanager
def fault(reference: str) -> Iterator[None]:
    """As a supervised child enters it; what is entered has to run."""
    if not reference:
        yield
        return
    applied: list[bool] = []
    seeded = SeededFault(reference, lambda: applied.append(True))
    seeded.enter()
    try:
        yield
    finally:
        seeded.ask()
        seeded.exit()
    assert applied, "the fault's code never ran"


class Recording:
    """The fixture as a child of pv has it, and what was said through it."""

    def __init__(self, model: Path) -> None:
        self.values: dict[str, float] = {}
        self.device: dict[str, Any] = {}
        self.pv = Pv("test", Context("cuda-interpreted", model, self._keep))

    def _keep(self, kind: str, **fields: Any) -> None:
        if kind == "value":
            self.values[fields["name"]] = fields["value"]
        elif kind == "ran_on":
            self.device = fields["device"]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers in the mix of types of Q4_K_M; weights far larger than what lies beside them."""
    shape = tiny_qwen2.Shape(hidden=256, layers=2, ffn=512, context=64)
    return tiny_qwen2.write_q4_k_m(tmp_path_factory.mktemp("model") / "tiny.gguf", shape)


@pytest.fixture(scope="module")
def one_layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Speed is measured over every layer alike."""
    shape = tiny_qwen2.Shape(hidden=256, layers=1, ffn=512, context=64)
    return tiny_qwen2.write_q4_k_m(tmp_path_factory.mktemp("model") / "one-layer.gguf", shape)


@pytest.mark.parametrize("falsifier", bodies("cuda-model", "cpu-vs-gpu-output-parity", "gpu-parity-gate"))
def test_a_falsifier_of_models_passes(path: Path, falsifier: Callable[[Pv], None]) -> None:
    recording = Recording(path)
    falsifier(recording.pv)
    assert recording.values
    assert recording.device["target"] == "cuda-interpreted"
    assert recording.device["launches"]


@pytest.mark.parametrize(("function", "planted"), with_faults("cuda-speed"))
def test_speed_is_measured_and_waits_show(
    one_layer: Path, function: str, planted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interpreter is slower than any limit: what is looked at is that everything runs and that a wait counts."""
    monkeypatch.setattr(cuda, "needs_gpu", lambda *_: None)
    monkeypatch.setattr(test_cuda_speed, "GPU_STEPS", 1)
    monkeypatch.setattr(test_cuda_speed, "CPU_STEPS", 2)
    monkeypatch.setattr(test_cuda_speed, "SHAPES", "tiny")
    recording = Recording(one_layer)
    with fault(planted), pytest.raises(AssertionError, match=r"expected at least (1|0\.41)$"):
        getattr(test_cuda_speed, function)(recording.pv)
    speed = recording.values.get("decode on the GPU", recording.values.get("decode", 0.0))
    assert 0 < speed < (2.0 if planted else 1000.0)
    assert recording.device["launches"]


def test_a_changed_limit_of_a_contract_changes_the_result(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Limits come from the contract alone: one that nothing meets refutes what passed."""
    copy = tmp_path / FOLDER / "cuda-model-v3.yaml"
    copy.parent.mkdir(parents=True)
    text = (ROOT / FOLDER / copy.name).read_text(encoding="utf-8")
    assert text.count("limit: 8\n") == 1
    copy.write_text(text.replace("limit: 8\n", "limit: 800\n"), encoding="utf-8")
    test_cuda_model.test_the_record_says_what_ran(Recording(path).pv)
    monkeypatch.setattr(limits, "ROOT", tmp_path)
    with pytest.raises(AssertionError, match=r"launches for each layer = .* expected at least 800"):
        test_cuda_model.test_the_record_says_what_ran(Recording(path).pv)
