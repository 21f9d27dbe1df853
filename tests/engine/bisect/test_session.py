"""What was kept can be judged again, elsewhere and otherwise, and nothing else is taken for it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engine.bisect.bisection import FP64
from engine.bisect.judge import Verdict
from engine.bisect.places import Place
from engine.bisect.record import folder_for
from engine.bisect.session import open_session
from engine.bisect.store import Store
from engine.errors import ContextError, ParityError
from engine.faults.scaling import bias_dropped
from engine.gguf.reader import open_gguf
from support import bisected, tiny_qwen2


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tiny_qwen2.write_tiny(tmp_path / "tiny.gguf")


def test_a_kept_folder_gives_the_same_verdict_again_and_another_with_another_margin(path: Path, tmp_path: Path):
    first = bisected.recorded(tmp_path / "kept", path, fault=bias_dropped())
    again = open_session(tmp_path / "kept")
    assert (again.token_ids, again.decode, again.sides) == (first.token_ids, first.decode, first.sides)
    bisection = bisected.bisection(again, path)
    assert bisection.judgement(golden=FP64).found[0].cell.place == Place(0, "q_bias")
    assert bisection.judgement(golden=FP64, margin=1e9).verdict is Verdict.WITHIN


def test_a_golden_forward_of_another_folder_is_used_and_a_noisy_one_noticed(path: Path, tmp_path: Path):
    bisection = bisected.bisection(bisected.recorded(tmp_path / "here", path), path)
    there = bisected.recorded(tmp_path / "there", path).store("golden")
    assert bisection.judgement(golden="there", elsewhere=there).verdict is Verdict.WITHIN
    logits = there.read(Place(None, "logits"))
    (there.folder / "model.logits.f64").unlink()
    there("logits", None, logits * 1.001)
    judgement = bisection.judgement(golden="there", elsewhere=there)
    assert judgement.verdict is Verdict.TOO_NOISY
    assert judgement.found[0].cell.place == Place(None, "logits")


def test_another_model_is_refused(path: Path, tmp_path: Path):
    session = bisected.recorded(tmp_path / "kept", path)
    other = tiny_qwen2.write_tiny(tmp_path / "other.gguf", tiny_qwen2.Shape(layers=3))
    with open_gguf(other) as file, pytest.raises(ParityError, match=r"kept: recorded of a model .* other.gguf has"):
        session.check_model(file)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "No such file or directory; expected a folder written by q4k bisect --save"),
        ("{", "not a session of q4k bisect"),
        ("[]", "not a session of q4k bisect"),
        (json.dumps({"schema": "q4k.bisect/9"}), "schema is 'q4k.bisect/9', expected 'q4k.bisect/1'"),
        (json.dumps({"schema": "q4k.bisect/1"}), r"not a session of q4k bisect \(KeyError: 'model'\)"),
    ],
)
def test_a_damaged_session_is_refused(tmp_path: Path, text: str | None, said: str):
    if text is not None:
        (tmp_path / "session.json").write_text(text)
    with pytest.raises(ParityError, match=said):
        open_session(tmp_path)


def test_a_cut_tap_is_refused(path: Path, tmp_path: Path):
    session = bisected.recorded(tmp_path / "kept", path)
    cut = session.folder / "b" / "000.gate.f32"
    cut.write_bytes(cut.read_bytes()[:-4])
    with pytest.raises(ParityError, match="bytes are not 9 rows of f32"):
        bisected.bisection(session, path).judgement()


def test_parts_of_a_forward_are_appended(tmp_path: Path):
    store = Store(tmp_path / "taps", 3)
    store("q", 0, np.ones((2, 4), np.float32))
    store("q", 0, np.zeros((1, 4), np.float32))
    assert store.read(Place(0, "q")).tolist() == [[1.0] * 4, [1.0] * 4, [0.0] * 4]
    assert store.get(Place(1, "q")) is None
    with pytest.raises(ParityError, match="no such tap"):
        store.read(Place(1, "q"))


def test_a_folder_with_something_in_it_is_not_written_to(tmp_path: Path):
    assert folder_for(tmp_path / "new").is_dir()
    (tmp_path / "new" / "mine").touch()
    with pytest.raises(ParityError, match="new: not empty; give a new folder"):
        folder_for(tmp_path / "new")


def test_one_token_at_least_comes_before_those_that_come_one_by_one(path: Path, tmp_path: Path):
    with pytest.raises(ContextError, match="9 tokens, 9 of them one by one; at least one must come before"):
        bisected.recorded(tmp_path / "kept", path, decode=9)
