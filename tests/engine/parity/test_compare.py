"""Two sides on the same tokens: who is fed what, beside transformers and beside forwards made here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from engine.errors import ContextError, EngineError, ParityError
from engine.gguf.identity import sha256_of
from engine.ops import cpu
from engine.parity import compare, pair, sides, tracing
from engine.parity.compare import Plan
from engine.parity.saved import Saved
from engine.parity.taps import Choice
from engine.parity.verdict import EXACT, ROUNDED, judge
from support import tiny_qwen2
from support.tiny_qwen2 import Shape

PROMPTS = [[5, 3, 8, 100], [7, 9, 11, 2, 60, 61, 33]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen2.write_tiny(tmp_path_factory.mktemp("parity") / "tiny.gguf")


def opened(a: str | Path, b: str | Path, model: Path) -> Any:
    return pair.opened(sides.parse(str(a)), sides.parse(str(b)), model)


def run(a: str | Path, b: str | Path, model: Path, *, steps: int | None = 5, save: Path | None = None) -> Any:
    with opened(a, b, model) as both:
        live = both.live if save is None else both.a
        asked = PROMPTS if isinstance(both.a, sides.Live) and isinstance(both.b, sides.Live) else None
        plans = compare.plan(both.a, both.b, asked, steps if asked else None)
        if save is None:
            return compare.measured(both.a, both.b, plans)
        assert live is not None
        return compare.measured_and_saved(live, both.b, plans, save)


@pytest.fixture(scope="module")
def saved(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "a.safetensors"
    run("reference", "reference", model, save=path)
    return path


def metadata(path: Path) -> dict[str, str]:
    with safe_open(path, "np") as file:
        found: dict[str, str] = file.metadata()
    return found


def rewrite(path: Path, out: Path, **changed: str) -> Path:
    """The same file with other metadata."""
    save_file(load_file(path), out, metadata={**metadata(path), **changed})
    return out


@pytest.fixture
def judged(saved: Path, tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A side that transformers computed: its logits at the positions that count."""
    import torch

    theirs = tiny_qwen2.hf_model(Shape(), tiny_qwen2.random_tensors(Shape()))
    rows = []
    with Saved(sides.parse(str(saved))) as file, torch.no_grad():
        for prompt in file.prompts:
            rows.append(theirs(torch.tensor([prompt.token_ids])).logits[0, prompt.first :].numpy())
    path, logits = tmp_path / "judged.safetensors", np.concatenate(rows)
    save_file({"logits": logits}, path, metadata=metadata(saved))
    return path, logits


@pytest.mark.parametrize("side", ["cpu", "reference", "cpu-q16"])
def test_a_side_agrees_with_transformers(model: Path, judged: tuple[Path, np.ndarray], side: str):
    found = run(side, judged[0], model)
    verdict = judge(found.steps, EXACT)
    assert verdict.answer == "agree"
    assert (verdict.samples, found.samples) == (10, {"a": 10, "b": 10})


def test_logits_that_are_off_differ(model: Path, judged: tuple[Path, np.ndarray], tmp_path: Path):
    """By a hundredth of their spread: far more than sums in another order, and too little to see in a text."""
    path, logits = judged
    noise = np.random.default_rng(1).standard_normal(logits.shape) * logits.std() * 0.01
    noisy = tmp_path / "noisy.safetensors"
    save_file({"logits": (logits + noise).astype(np.float32)}, noisy, metadata=metadata(path))
    verdict = judge(run("reference", noisy, model).steps, EXACT)
    assert verdict.answer == "differ"
    assert any("cosine" in reason for reason in verdict.reasons)


def test_a_wrong_kernel_differs(model: Path, monkeypatch: pytest.MonkeyPatch):
    """SwiGLU whose SiLU became a ReLU, on the CPU alone."""
    monkeypatch.setattr(cpu, "swiglu", lambda gate, up: np.maximum(gate, 0) * up)
    found = run("reference", "cpu", model, steps=8)
    assert found.samples == {"a": 16, "b": 16}
    verdict = judge(found.steps, ROUNDED)
    assert verdict.answer == "differ"
    assert verdict.flips > 0
    assert run("cpu", "cpu", model, steps=1).steps[0][0].kl == 0


def test_both_are_fed_what_a_chooses(model: Path):
    """Tokens beside a greedy decode made here by whole forwards; figures at each step beside the forward of b."""
    found = run("reference", "cpu-q8", model, steps=4)
    with sides.load(sides.parse("reference"), model) as a, sides.load(sides.parse("cpu-q8"), model) as b:
        for prompt, plan, steps in zip(PROMPTS, found.plans, found.steps, strict=True):
            ids = list(prompt)
            for step in steps:
                ours = a.llm.logits(ids)[-1]
                assert (step.position, step.token_a) == (len(ids) - 1, int(ours.argmax()))
                theirs = b.llm.logits(ids)[-1]
                assert step.token_b == int(theirs.argmax())
                assert step.cosine == pytest.approx(np.corrcoef(ours, theirs)[0, 1], abs=1e-5)
                ids.append(step.token_a)
            assert plan.token_ids == ids[:-1]


def test_no_steps_are_no_samples(model: Path):
    found = run("cpu", "reference", model, steps=0)
    assert (found.samples, found.steps) == ({"a": 0, "b": 0}, [[], []])


def test_a_saved_side_holds_its_tokens_and_what_ran(model: Path, saved: Path):
    with Saved(sides.parse(str(saved))) as file:
        assert [prompt.token_ids[:4] for prompt in file.prompts] == [tuple(ids[:4]) for ids in PROMPTS]
        assert [(prompt.prompt_tokens, prompt.first, prompt.rows) for prompt in file.prompts] == [(4, 3, 5), (7, 6, 5)]
        about = file.about
    assert (about.side, about.backend, about.precision, about.kv_cache) == ("reference", "reference", "f32", "f32")
    assert (about.model, about.model_sha256) == ("tiny.gguf", sha256_of(model))


def test_a_saved_side_is_bitwise_the_one_that_was_saved(model: Path, saved: Path):
    for a, b in (("reference", saved), (saved, "reference"), (saved, saved)):
        found = run(a, b, model)
        assert found.samples == {"a": 10, "b": 10}
        assert [step.kl for steps in found.steps for step in steps] == [0.0] * 10


def test_every_position_of_a_trace_counts(model: Path, tmp_path: Path):
    """More tokens than a chunk would be cut in the same places."""
    path = tmp_path / "t.safetensors"
    with sides.load(sides.parse("reference"), model) as side:
        tracing.run(side, PROMPTS[1], Choice(frozenset({0}), frozenset({"q", "logits"})), steps=3, save=path)
    found = run("reference", path, model)
    assert [step.position for step in found.steps[0]] == list(range(10))
    assert {step.kl for step in found.steps[0]} == {0.0}


def test_a_trace_without_logits_is_refused(model: Path, tmp_path: Path):
    path = tmp_path / "t.safetensors"
    with sides.load(sides.parse("reference"), model) as side:
        tracing.run(side, PROMPTS[0], Choice(frozenset({0}), frozenset({"q"})), save=path)
    with pytest.raises(ParityError, match=r"t\.safetensors: holds no logits; save it with them among --taps"):
        run("reference", path, model)


def test_another_model_is_refused(saved: Path, tmp_path: Path):
    other = tiny_qwen2.write_tiny(tmp_path / "other.gguf", seed=1)
    with pytest.raises(ParityError, match=r"a\.safetensors: was saved from 'tiny\.gguf' with sha256 \w{16}\.\.\., the"):
        run(saved, "reference", other)
    with pytest.raises(ParityError, match=r"a\.safetensors: was saved from 'tiny\.gguf'"):
        run(saved, saved, other)


@pytest.mark.parametrize(
    ("prompts", "steps", "message"),
    [
        (PROMPTS, 4, r"holds 2 prompts of 8, 11 tokens, 5 steps each, asked for are 4 steps; leave --steps out"),
        (PROMPTS[:1], 5, r"holds other prompts: 2 of 4, 7 tokens, asked for are 1 of 4; leave --prompt"),
        ([PROMPTS[0], [*PROMPTS[1], 5]], 5, r"holds other prompts: 2 of 4, 7 tokens, asked for are 2 of 4, 8; leave"),
    ],
    ids=["steps", "fewer prompts", "another prompt"],
)
def test_other_tokens_than_asked_for_are_refused(model: Path, saved: Path, prompts: Any, steps: int, message: str):
    """The story's outputs that were "identical" had been cut at 16 tokens: here nothing is cut to fit."""
    with opened("reference", saved, model) as both, pytest.raises(ParityError, match=message):
        compare.plan(both.a, both.b, prompts, steps)


def test_the_same_tokens_may_be_asked_for(model: Path, saved: Path):
    with opened("reference", saved, model) as both:
        assert [plan.rows for plan in compare.plan(both.a, both.b, PROMPTS, 5)] == [5, 5]


def test_two_files_of_other_tokens_are_refused(model: Path, saved: Path, tmp_path: Path):
    longer = tmp_path / "longer.safetensors"
    run("reference", "reference", model, steps=6, save=longer)
    message = "other tokens: a 2 prompts of 8, 11 tokens, 5 steps each, b 2 prompts of 9, 12 tokens, 6 steps each"
    with pytest.raises(ParityError, match=message):
        run(saved, longer, model)


HOSTILE: dict[str, tuple[dict[str, str], str]] = {
    "format": ({"format": "q4k.side/9"}, r"its format is 'q4k\.side/9', expected 'q4k\.side/1'"),
    "no json": ({"prompts": "["}, "its prompts are not JSON"),
    "nested": ({"prompts": "[" * 100_000}, "its prompts are not JSON"),
    "no list": ({"prompts": "{}"}, "its prompts are not a list"),
    "no prompt": ({"prompts": "[5]"}, "prompt 0: expected token_ids, prompt_tokens and first"),
    "ids": (
        {"prompts": json.dumps([{"token_ids": [1, "2"], "prompt_tokens": 1, "first": 0}])},
        "prompt 0: token_ids must be token ids",
    ),
    "first": (
        {"prompts": json.dumps([{"token_ids": [1, 2], "prompt_tokens": 1, "first": 1}])},
        "prompt 0: first 1 < prompt_tokens 1 <= 2 must hold",
    ),
    "rows": (
        {"prompts": json.dumps([{"token_ids": [1, 2], "prompt_tokens": 1, "first": 0}])},
        "tensor 'logits' has 10 rows, its prompts have 2",
    ),
}


@pytest.mark.parametrize(("changed", "message"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_metadata_is_refused(saved: Path, tmp_path: Path, changed: dict[str, str], message: str):
    path = rewrite(saved, tmp_path / "x.safetensors", **changed)
    with pytest.raises(ParityError, match=rf"^x\.safetensors: {message}"):
        Saved(sides.parse(str(path)))


def test_missing_metadata_is_named(saved: Path, tmp_path: Path):
    save_file(load_file(saved), tmp_path / "x.safetensors", metadata={"format": "q4k.side/1", "side": "cpu"})
    message = "its metadata lacks backend, precision, kv_cache, model, model_sha256, prompts"
    with pytest.raises(ParityError, match=message):
        Saved(sides.parse(str(tmp_path / "x.safetensors")))


def test_token_ids_outside_the_vocabulary_are_refused(model: Path, saved: Path, tmp_path: Path):
    prompts = json.dumps([{"token_ids": [403] * 10, "prompt_tokens": 10, "first": 0}])
    path = rewrite(saved, tmp_path / "x.safetensors", prompts=prompts)
    with pytest.raises(EngineError, match=r"token id 403 is outside 0\.\.402"):
        run("reference", path, model)


def test_logits_of_another_width_are_refused(model: Path, saved: Path, tmp_path: Path):
    path = tmp_path / "x.safetensors"
    save_file({"logits": load_file(saved)["logits"][:, :-1].copy()}, path, metadata=metadata(saved))
    with pytest.raises(ParityError, match=r"logits have shape \[10, 402\], expected 403 for each row"):
        run("reference", path, model)


def test_more_tokens_than_the_context_are_refused(model: Path, tmp_path: Path):
    with pytest.raises(ContextError, match="130 tokens are more than the context of 128 holds"):
        run("cpu", "reference", model, steps=127)
    with pytest.raises(ParityError, match=r"'s\.safetensors' would hold nothing: there are no prompts, or no steps"):
        run("cpu", "reference", model, steps=0, save=tmp_path / "s.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_logits_that_are_not_finite_end_the_measurement(model: Path, tmp_path: Path):
    tensors = tiny_qwen2.random_tensors(Shape())
    tensors["output_norm.weight"][:] = 3e38  # finite, its products are not
    broken = tiny_qwen2.write_gguf(tmp_path / "nan.gguf", tensors, tiny_qwen2.metadata(Shape()))
    with (
        sides.load(sides.parse("reference"), model) as sound,
        sides.load(sides.parse("reference"), broken) as wrong,
    ):
        for a, b, expected in ((sound, wrong, ("b",)), (wrong, sound, ("a",)), (wrong, wrong, ("a", "b"))):
            found = compare.measured(a, b, [Plan.greedy(ids, 5) for ids in PROMPTS])
            assert (found.broken, found.steps, found.samples) == (expected, [[]], {"a": 1, "b": 1})


@pytest.mark.parametrize(
    ("a", "b", "limits"),
    [("cpu", "reference", EXACT), ("cpu", "cpu-q16", EXACT), ("cpu", "cpu-q8", ROUNDED), ("cpu-q8", "cpu", ROUNDED)],
)
def test_limits_suit_the_pair(model: Path, a: str, b: str, limits: Any):
    with opened(a, b, model) as both:
        assert both.limits() == limits


def test_names_of_sides():
    names = {name: (side.backend, side.precision) for name, side in sides.LIVE.items()}
    assert names == {
        "cpu": ("cpu", "f32"),
        "cpu-q16": ("cpu", "q16"),
        "cpu-q8": ("cpu", "q8"),
        "cuda": ("cuda", "q8"),
        "cuda-f32": ("cuda", "f32"),
        "reference": ("reference", "f32"),
    }
    assert sides.parse("x/y.safetensors").path == Path("x/y.safetensors")
    with pytest.raises(ParityError, match=r"no such side 'gpu'; available: cpu, .*, or a file \*\.safetensors"):
        sides.parse("gpu")
