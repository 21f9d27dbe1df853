"""Every fault changes what it says it breaks, on both backends where both can have it, and is gone afterwards."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine import faults, quant, sampling
from engine.gguf.reader import open_gguf
from engine.gguf.types import GgmlType
from engine.llm import Llm
from engine.models import load_model
from engine.models.decoder import Decoder
from engine.ops import load_ops
from engine.ops.protocol import Weight
from engine.ops.rotary import Rotary
from engine.sampling import Sampling
from engine.tokenizer import Tokenizer
from support import tiny_qwen2
from support.tiny_qwen2 import Shape

BACKENDS = ("reference", "cpu")
NAMES = [fault.__name__ for fault in faults.ALL]
Probe = Callable[[Path], Any]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with Q4_K and Q6_K weights; beside it one of float32 alone, whose sizes differ from each other."""
    shape = Shape(hidden=256, heads=4, ffn=256)
    folder = tmp_path_factory.mktemp("faults")
    tiny_qwen2.write_tiny(folder / "plain.gguf")
    return tiny_qwen2.write_gguf(
        folder / "mixed.gguf",
        tiny_qwen2.random_tensors(shape),
        tiny_qwen2.metadata(shape),
        type_of=tiny_qwen2.q4_k_m,
    )


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).standard_normal(shape, dtype=np.float32)


def codec(kind: GgmlType, module: Any) -> Probe:
    packed = quant.encode(kind, normal(4, 512))
    return lambda _: module.decode(packed)


def matmul(kind: GgmlType, backend: str) -> Probe:
    weight = Weight("w", kind, (4, 512), quant.encode(kind, normal(4, 512)))
    return lambda _: load_ops(backend).matmul(np.ones((1, 512), np.float32), weight)


def operation(name: str, backend: str, *arrays: Any, **options: Any) -> Probe:
    return lambda _: getattr(load_ops(backend), name)(*arrays, **options)


@cache
def logits(backend: str) -> Probe:
    """Logits of 7 tokens, 5 at once and then one at a time."""

    def probe(path: Path) -> Any:
        with open_gguf(path) as file:
            model = load_model(file, load_ops(backend))
            kv_cache = model.new_cache()
            return np.concatenate([model.forward(part, kv_cache) for part in ([5, 300, 17, 42, 99], [7], [12])])

    return probe


@cache
def answers(backend: str, *prompts: str, raw: bool = True, sampling: Sampling | None = None) -> Probe:
    """Token ids of the small model, 20 for each prompt."""

    def probe(path: Path) -> Any:
        with Llm.load(path.with_name("plain.gguf"), backend=backend) as llm:
            return [llm.generate(prompt, raw=raw, max_tokens=20, sampling=sampling).token_ids for prompt in prompts]

    return probe


def answers_after_eos(path: Path) -> Any:
    with Llm.load(path.with_name("plain.gguf"), backend="reference") as llm:
        full = llm.generate("hi", raw=True, max_tokens=8).token_ids
        llm.tokenizer.end_ids = frozenset({full[3]})
        return llm.generate("hi", raw=True, max_tokens=8).token_ids


def candidates(**params: Any) -> Probe:
    values = np.linspace(3, 0, 40, dtype=np.float32)
    return lambda _: [part.tolist() for part in sampling.candidates(values, Sampling(**{"temperature": 0.5, **params}))]


def drawn(_: Path) -> Any:
    return sampling.generator(Sampling(temperature=1, seed=3)).random(4)


def file_facts(path: Path) -> Any:
    with open_gguf(path.with_name("plain.gguf")) as file:
        return [
            {name: (info.shape, info.offset) for name, info in file.tensors.items()},
            file.data("blk.0.attn_q.bias").tobytes(),
            {key: len(value) for key, value in file.metadata.items() if isinstance(value, list)},
        ]


def encoded(path: Path) -> Any:
    with open_gguf(path) as file:
        return Tokenizer.from_gguf(file).encode("<|im_start|>What is 2+2?", special=True)


def prompt_ids(path: Path) -> Any:
    with Llm.load(path, backend="reference") as llm:
        return llm.prompt_ids([{"role": "system", "content": "s"}, {"role": "user", "content": "u"}])


def on_both(make: Callable[..., Probe], *args: Any, **options: Any) -> list[Probe]:
    return [make(*args, backend=backend, **options) for backend in BACKENDS]


def ops_on_both(name: str, *arrays: Any, **options: Any) -> list[Probe]:
    return [operation(name, backend, *arrays, **options) for backend in BACKENDS]


def weights(kind: GgmlType, module: Any) -> list[Probe]:
    return [codec(kind, module), *(matmul(kind, backend) for backend in BACKENDS)]


def rotated(position: int = 5, **how: Any) -> list[Probe]:
    return ops_on_both("rope", normal(1, 2, 8), np.array([position]), theta=10000.0, **how)


def head_norm(backend: str) -> Probe:
    model: Any = SimpleNamespace(ops=load_ops(backend), config=SimpleNamespace(rms_norm_eps=1e-6))
    return lambda _: Decoder._head_norm(model, normal(3, 8), normal(4))


SCALED = Rotary(factors=(1.0, 0.75, 0.5, 0.25), magnitude=1.25)


QKV = (normal(3, 4, 8), normal(5, 2, 8), normal(5, 2, 8) + 1, np.array([1, 2, 3]))
ROWS = (normal(2, 8), normal(2, 8) + 1)

PROBES: dict[str, list[Probe]] = {
    "bias_dropped": [*ops_on_both("add_bias", normal(2, 8), normal(8)), *on_both(logits)],
    "causal_mask_off_by_one": [*ops_on_both("attention", *QKV), *on_both(logits)],
    "eos_ignored": [answers_after_eos],
    "gguf_dims_reversed": [file_facts],
    "gguf_reader_wrong_offset": [file_facts],
    "gqa_wrong_head_mapping": [*ops_on_both("attention", *QKV), *on_both(logits)],
    "head_norm_dropped": on_both(head_norm),
    "kv_cache_not_reset": on_both(lambda backend: answers(backend, "one thing", "quite another")),
    "kv_cache_off_by_one": on_both(logits),
    "min_p_ignored": [candidates(min_p=0.5)],
    "missing_attention_scale": [*ops_on_both("attention", *QKV), *on_both(logits)],
    "noise": [*(matmul(GgmlType.Q4_K, backend) for backend in BACKENDS), *on_both(logits)],
    "norm_epsilon": [*ops_on_both("rms_norm", normal(2, 8), normal(8), eps=1e-6), *on_both(logits)],
    "norm_no_weight": [*ops_on_both("rms_norm", normal(2, 8), normal(8), eps=1e-6), *on_both(logits)],
    "output_cut_at_16_tokens": on_both(lambda backend: answers(backend, "hi")),
    "prompt_ignored": on_both(lambda backend: answers(backend, "one thing", "quite another")),
    "q4k_min_sign": [*weights(GgmlType.Q4_K, quant.q4_k), *on_both(logits)],
    "q4k_nibble_swap": [*weights(GgmlType.Q4_K, quant.q4_k), *on_both(logits)],
    "q4k_scale_high_bits_lost": [*weights(GgmlType.Q4_K, quant.q4_k), *on_both(logits)],
    "q6k_high_bits_lost": [*weights(GgmlType.Q6_K, quant.q6_k), *on_both(logits)],
    "q6k_scale_unsigned": [*weights(GgmlType.Q6_K, quant.q6_k), *on_both(logits)],
    "residual_dropped": [*ops_on_both("add", *ROWS), *on_both(logits)],
    "rope_magnitude_ignored": rotated(rotary=SCALED),
    "rope_on_q_only": on_both(logits),
    "rope_position_off_by_one": [*rotated(0), *rotated(5), *on_both(logits)],
    "rope_scaling_ignored": rotated(rotary=SCALED),
    "rope_theta_off": [*rotated(), *on_both(logits)],
    "rope_wrong_pairing": [*rotated(), *on_both(logits)],
    "seed_ignored": [drawn, answers("reference", "hi", sampling=Sampling(temperature=2, seed=1))],
    "special_tokens_as_text": [encoded, prompt_ids],
    "swiglu_gate_up_swapped": [*ops_on_both("swiglu", *ROWS), *on_both(logits)],
    "swiglu_no_sigmoid": [*ops_on_both("swiglu", *ROWS), *on_both(logits)],
    "temperature_ignored": [candidates()],
    "template_drops_system": [prompt_ids],
    "template_without_generation_prompt": [prompt_ids, answers("reference", "hi", raw=False)],
    "tokenizer_merges_dropped": [encoded, prompt_ids],
    "top_k_ignored": [candidates(top_k=3)],
    "top_p_ignored": [candidates(top_p=0.5)],
    "window_off_by_one": ops_on_both("attention", *QKV, window=1),
}


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def calls_into(fault: Callable[[], Any], run: Callable[[], Any]) -> bool:
    """Whether a Python function of the fault's own file is called, as the framework notices an applied fault."""
    seen = []
    file = sys.modules[fault.__module__].__file__

    def profile(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename == file:
            seen.append(frame.f_code.co_name)

    sys.setprofile(profile)
    try:
        run()
    finally:
        sys.setprofile(None)
    return bool(seen)


@pytest.fixture(scope="module")
def right(path: Path) -> dict[Probe, Any]:
    """What the probes say of the engine as it is."""
    return {probe: probe(path) for probe in {probe for probes in PROBES.values() for probe in probes}}


def test_registry_is_sorted_and_complete():
    """Each file of a class has the faults of that class, and no other."""
    for name, registered in faults.CLASSES.items():
        file = importlib.import_module(f"engine.faults.{name}")
        own = {key: value for key, value in vars(file).items() if getattr(value, "__module__", "") == file.__name__}
        public = sorted(key for key, value in own.items() if callable(value) and not key.startswith("_"))
        assert [fault.__name__ for fault in registered] == public
    assert len(NAMES) == len(set(NAMES))
    assert set(NAMES) == set(PROBES)
    assert all(fault.__doc__ for fault in faults.ALL)


@pytest.mark.parametrize("fault", faults.ALL, ids=NAMES)
def test_fault_changes_every_probe_and_is_gone_afterwards(path: Path, right: dict[Probe, Any], fault):
    for number, probe in enumerate(PROBES[fault.__name__]):
        results = []
        with fault():
            assert calls_into(fault, lambda probe=probe, results=results: results.append(probe(path)))
        assert not same(results[0], right[probe]), f"probe {number} did not notice"
        assert same(probe(path), right[probe]), f"probe {number} is still changed"


@pytest.mark.parametrize("fault", faults.ALL, ids=NAMES)
def test_fault_is_gone_after_an_exception(fault):
    before = places()
    within = []

    def fail() -> None:
        within.append(places())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), fault():
        fail()
    assert within[0] != before, "nothing was replaced"
    assert places() == before


def places() -> dict[tuple[str, str], Any]:
    """Every attribute of the engine's loaded modules and their classes."""
    found = {}
    for module_name, module in sorted(sys.modules.items()):
        if module_name.startswith("engine") and module is not None:
            for name, value in vars(module).items():
                found[module_name, name] = value
                if isinstance(value, type):
                    found.update({(f"{module_name}.{name}", key): part for key, part in vars(value).items()})
    return {key: id(value) for key, value in found.items()}


@pytest.mark.parametrize("backend", BACKENDS)
def test_noise_is_graded(path: Path, backend: str):
    """Ten times the noise, about ten times the error."""
    probe = matmul(GgmlType.Q4_K, backend)
    right = probe(path)
    errors = []
    for relative in (1e-4, 1e-3, 1e-2):
        with faults.noise(relative):
            errors.append(float(np.abs(probe(path) / right - 1).max()))
    assert errors[1] / errors[0] == pytest.approx(10, rel=0.1)
    assert errors[2] / errors[1] == pytest.approx(10, rel=0.1)


def test_noise_differs_from_call_to_call(path: Path):
    probe = matmul(GgmlType.Q4_K, "cpu")
    with faults.noise():
        assert not same(probe(path), probe(path))


def test_faults_nest(path: Path):
    probe = matmul(GgmlType.Q4_K, "cpu")
    right = probe(path)
    with faults.q4k_nibble_swap():
        swapped = probe(path)
        with faults.q4k_min_sign():
            assert not same(probe(path), swapped)
        assert same(probe(path), swapped)
    assert same(probe(path), right)
