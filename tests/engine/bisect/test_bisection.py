"""Real mistakes in one of two CPU backends are named by their own tap; legitimate noise is not; memory stays small."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from engine.bisect import free
from engine.bisect.bisection import FP64
from engine.bisect.distance import Excess, Yardstick
from engine.bisect.graft import grafts
from engine.bisect.judge import Verdict
from engine.bisect.perturb import Perturbation, Shape, perturbed
from engine.bisect.places import Place, plan_of, with_ops
from engine.bisect.record import complete, run
from engine.bisect.selftest import one_of_each, trials
from engine.bisect.store import Store
from engine.bisect.witness import Precision
from engine.errors import VoidError
from engine.faults.indexing import gqa_wrong_head_mapping
from engine.faults.kv_cache import kv_cache_off_by_one
from engine.faults.layout import swiglu_gate_up_swapped
from engine.faults.masking import causal_mask_off_by_one
from engine.faults.normalisation import norm_epsilon
from engine.faults.quantisation import q6k_high_bits_lost
from engine.faults.rope import rope_on_q_only, rope_position_off_by_one, rope_wrong_pairing
from engine.faults.scaling import bias_dropped, missing_attention_scale, noise, residual_dropped
from engine.gguf.reader import open_gguf
from engine.llm import Llm
from engine.models import load_model
from engine.ops import load_ops, reference
from engine.parity import sides
from support import bisected, tiny_qwen2

DECODE_STARTS = len(bisected.IDS) - 3


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers of Q4_K and Q6_K."""
    shape = tiny_qwen2.Shape(hidden=256, heads=4, ffn=256)
    tensors, values = tiny_qwen2.random_tensors(shape), tiny_qwen2.metadata(shape)
    folder = tmp_path_factory.mktemp("bisection")
    return tiny_qwen2.write_gguf(folder / "tiny.gguf", tensors, values, type_of=tiny_qwen2.q4_k_m)


@pytest.mark.parametrize(
    ("fault", "place", "position"),
    [
        (rope_on_q_only, Place(0, "k_rope"), 1),
        (rope_wrong_pairing, Place(0, "q_rope"), 1),
        (rope_position_off_by_one, Place(0, "q_rope"), DECODE_STARTS),
        (missing_attention_scale, Place(0, "attn_out"), 1),
        (gqa_wrong_head_mapping, Place(0, "attn_out"), 0),
        (causal_mask_off_by_one, Place(0, "attn_out"), 0),
        (kv_cache_off_by_one, Place(0, "attn_out"), DECODE_STARTS),
        (bias_dropped, Place(0, "q_bias"), 0),
        (residual_dropped, Place(0, "attn_residual"), 0),
        (norm_epsilon, Place(0, "attn_norm"), 0),
        (swiglu_gate_up_swapped, Place(0, "swiglu"), 0),
        (q6k_high_bits_lost, Place(0, "v"), 0),
        (noise, Place(0, "q"), 0),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_real_mistake_is_named_by_its_own_tap_and_first_position(
    path: Path, tmp_path: Path, fault: Callable[[], Any], place: Place, position: int
):
    """Position 0 is not turned by RoPE and has nothing else to attend to; single tokens start after the prompt."""
    session = bisected.recorded(tmp_path, path, fault=fault())
    judgement = bisected.bisection(session, path).judgement(golden=FP64)
    assert judgement.verdict is Verdict.B_WRONG
    first = judgement.found[0]
    assert (first.side, first.cell.place, first.excess.position) == ("b", place, position)
    assert judgement.parted is not None
    assert judgement.parted.place == place


@pytest.mark.parametrize(
    ("a", "b", "kv_cache"),
    [
        ("cpu-q8", "cpu", (None, None)),
        ("cpu-q16", "reference", (None, None)),
        ("cpu", "cpu", ("f16", None)),
        ("reference", "cpu-q8", ("f16", "f32")),
    ],
)
def test_sides_of_other_precision_are_within_their_floors(
    path: Path, tmp_path: Path, a: str, b: str, kv_cache: tuple[str | None, str | None]
):
    session = bisected.recorded(tmp_path, path, a, b, kv_cache=kv_cache)
    assert bisected.bisection(session, path).judgement(golden=FP64).verdict is Verdict.WITHIN


def test_an_exact_backend_beside_a_noisy_reference_is_not_judged(path: Path, tmp_path: Path):
    """Not even where the noise is undeclared: products of the reference are off by a thousandth."""
    noisy = bisected.bisection(bisected.recorded(tmp_path / "q8", path, "cpu-q8", "cpu"), path)
    assert noisy.judgement().verdict is Verdict.TOO_NOISY
    session = bisected.recorded(tmp_path / "both", path, "reference", "cpu", fault=noise())
    swapped = type(session)(**{**fields(session), "sides": {"a": session.sides["b"], "b": session.sides["a"]}})
    (session.folder / "a").rename(session.folder / "x")
    (session.folder / "b").rename(session.folder / "a")
    (session.folder / "x").rename(session.folder / "b")
    bisection = bisected.bisection(swapped, path)
    assert bisection.judgement().verdict is Verdict.TOO_NOISY
    assert bisection.judgement(golden=FP64).verdict is Verdict.A_WRONG


def fields(session: Any) -> dict[str, Any]:
    return {name: getattr(session, name) for name in session.__slots__}


def test_both_sides_can_be_wrong_in_the_same_way(path: Path, tmp_path: Path):
    """They agree with each other; only a golden forward sees it, and without one nothing is decided."""
    with bias_dropped():
        ran = {}
        for key, name in (("a", "reference"), ("b", "cpu")):
            with sides.load(sides.parse(name), path) as side:
                ran[key] = run(side, bisected.IDS, 3, Store(tmp_path / key, len(bisected.IDS)))
    file = open_gguf(path)
    model = load_model(file, load_ops("reference"))
    bisection = bisected.bisection(complete(tmp_path, file, model, ran, bisected.IDS, 3), path)
    assert bisection.judgement(golden=FP64).verdict is Verdict.BOTH_WRONG
    assert bisection.judgement().verdict is Verdict.TOO_NOISY


def half_of_swiglu(gate: np.ndarray, up: np.ndarray) -> np.ndarray:
    return reference.swiglu(gate, up) / np.float32(2)


@pytest.mark.parametrize("alone_is_right", [False, True], ids=["the operation", "the cache around it"])
def test_a_graft_tells_an_operation_from_what_is_around_it(path: Path, tmp_path: Path, alone_is_right: bool):
    """swiglu is wrong by itself; a cache that is written one slot early makes attention wrong in production alone."""
    wrong = [kv_cache_off_by_one(), kv_cache_off_by_one()]
    if not alone_is_right:
        wrong = [mock.patch("engine.ops.cpu.swiglu", half_of_swiglu) for _ in wrong]
    bisection = bisected.bisection(bisected.recorded(tmp_path, path, fault=wrong[0]), path)
    judgement = bisection.judgement(golden=FP64)
    with wrong[1]:
        found = grafts(bisection, judgement, path)
    assert [(graft.side, graft.is_blamed) for graft in found] == [("b", True)]
    assert found[0].own is not None
    assert found[0].own.is_noise is alone_is_right


@pytest.mark.parametrize("shape", list(Shape))
def test_a_perturbation_is_where_and_as_large_as_it_says(path: Path, tmp_path: Path, shape: Shape):
    """2.5 floors beside the right array; a rounding to float32 leaves a few channels as they were."""
    session = bisected.recorded(tmp_path, path)
    bisection = bisected.bisection(session, path)
    one = Perturbation(Place(1, "gate"), 2.5, shape, 7)
    floor = bisection.own("b")[one.place].floor(3.0)
    store = Store(tmp_path / "perturbed", len(bisected.IDS))
    with sides.load(sides.parse("cpu"), path) as side:
        ops = perturbed(side.llm.model.ops, bisection.plan, one, floor, len(bisected.IDS))
        with_ops(side.llm.model, ops, lambda: run(side, bisected.IDS, 3, store))
    right, wrong = session.store("b").read(one.place), store.read(one.place)
    assert Excess.of(Yardstick(right).distance(wrong), floor).times >= 2.5 * 0.98
    positions, channels = (right != wrong).any(axis=1).sum(), (right != wrong).any(axis=0).mean()
    assert positions == (1 if shape in (Shape.POSITION, Shape.ELEMENT) else len(bisected.IDS))
    assert (channels > 0.9) if shape in (Shape.EVERYWHERE, Shape.POSITION) else (channels == 1 / right.shape[1])
    before = Place(0, "residual")
    assert (session.store("b").read(before) == store.read(before)).all()


def test_the_self_test_names_an_operation_of_each_kind(path: Path, tmp_path: Path):
    bisection = bisected.bisection(bisected.recorded(tmp_path, path), path)
    wanted = one_of_each(bisection.plan)[::3]
    with sides.load(sides.parse("cpu"), path) as side:
        found = list(trials(bisection, side, wanted))
    assert [trial.is_right for trial in found] == [True] * len(wanted) == [True] * 3
    assert [trial.named for trial in found] == [one.place for one in wanted]


def test_a_self_test_of_sides_that_part_is_void(path: Path, tmp_path: Path):
    bisection = bisected.bisection(bisected.recorded(tmp_path, path, fault=bias_dropped()), path)
    with sides.load(sides.parse("cpu"), path) as side, pytest.raises(VoidError, match="without an error b is wrong"):
        list(trials(bisection, side, one_of_each(bisection.plan)))


def test_a_tap_that_was_not_recorded_counts_with_the_next(path: Path, tmp_path: Path):
    """A side without q and gate: what is missing is not compared, and the fault in it is seen one step later."""
    session = bisected.recorded(tmp_path, path, fault=noise())
    for name in ("000.q.f32", "001.q.f32", "000.gate.f32"):
        (tmp_path / "b" / name).unlink()
    bisection = bisected.bisection(session, path)
    judgement = bisection.judgement(golden=FP64)
    coverage = bisection.coverage(judgement)
    assert (coverage.places, coverage.all_places) == (40, 43)
    assert judgement.found[0].cell.place == Place(0, "k")
    assert {cell.place for cell in judgement.cells if cell.apart is None} == {
        Place(0, "q"), Place(1, "q"), Place(0, "gate")
    }  # fmt: skip


def test_memory_does_not_grow_with_layers(tmp_path: Path):
    """Of what three more layers add to the taps of both sides, less than a tenth is added to the peak of judging."""
    peaks, taps = [], []
    for layers in (1, 4):
        path = tiny_qwen2.write_tiny(tmp_path / f"{layers}.gguf", tiny_qwen2.Shape(layers=layers, hidden=256, ffn=2048))
        session = bisected.recorded(tmp_path / str(layers), path, ids=list(range(24)))
        taps.append(sum(file.stat().st_size for side in "ab" for file in (session.folder / side).iterdir()))
        bisection = bisected.bisection(session, path)
        tracemalloc.start()
        bisection.judgement(golden=FP64)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 0.1 * (taps[1] - taps[0]), (peaks, taps)


def test_the_golden_forward_keeps_no_array(tmp_path: Path):
    path = tiny_qwen2.write_tiny(tmp_path / "tiny.gguf")
    model = load_model(open_gguf(path), load_ops("reference"))
    store = Store(tmp_path / "golden", 4, "f64")
    free.golden(model, [1, 2, 3, 4], store)
    assert not store.missing(plan_of(model).places)
    assert store.read(Place(None, "logits")).dtype == np.float64


def test_what_a_side_says_of_itself_is_its_run_record(path: Path):
    with Llm.load(path, backend="cpu", precision="q8") as llm:
        facts = llm.run_facts()
    assert Precision.of(facts) == Precision("cpu", "q8", "f16")
