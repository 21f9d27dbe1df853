"""`make oracle` with a stand-in for llama.cpp: whatever it says otherwise is reported, and without one nothing passes.

The stand-in answers with the reference operations, in this process; the comparison runs those of the CPU.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest

import support.oracle
from engine import faults, models, quant
from engine.gguf.types import GgmlType
from engine.llm import Llm
from support import oracle_models
from support.oracle import Limits, gap_limit
from support.oracle_peer import PROGRAM, PeerError, Processes
from support.tiny_qwen2 import Shape


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("oracle_compare", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


oracle = _load(PROGRAM.with_name("compare.py"))
MODEL = "qwen2 F32"


class Right:
    """A peer that agrees."""

    def __init__(self, llm: Llm) -> None:
        self._llm = llm

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        return self._llm.tokenizer.encode(text, special=special)

    def logprobs(self, ids: list[int], *, last: int) -> npt.NDArray[np.float64]:
        logits = self._llm.logits(ids)[-last:].astype(np.float64)
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    def greedy(self, ids: list[int], new: int) -> tuple[list[int], str]:
        cache, said = self._llm.model.new_cache(), list[int]()
        while len(said) < new and not (said and said[-1] in self._llm.tokenizer.end_ids):
            logits = self._llm.model.forward([said[-1]] if said else ids, cache, last_only=True)
            said.append(self.choose(logits[0], len(said)))
        return said, self._llm.tokenizer.decode(said)

    def choose(self, logits: npt.NDArray[np.float32], _number: int) -> int:
        return int(logits.argmax())


class OtherIds(Right):
    def tokenize(self, text: str, *, special: bool) -> list[int]:
        ids = super().tokenize(text, special=special)
        return ids[::-1] if text.startswith("camelCase") else ids


class ControlTokensAsText(Right):
    def tokenize(self, text: str, *, special: bool) -> list[int]:
        return super().tokenize(text, special=special and not text)


class NoisyLogits(Right):
    def logprobs(self, ids: list[int], *, last: int) -> npt.NDArray[np.float64]:
        right = super().logprobs(ids, last=last)
        return right + 1e-4 * np.random.default_rng(0).standard_normal(right.shape)


class OnePositionOff(Right):
    def logprobs(self, ids: list[int], *, last: int) -> npt.NDArray[np.float64]:
        right = super().logprobs(ids, last=last)
        right[-1] = right[0]
        return right


class NoNumber(Right):
    def logprobs(self, ids: list[int], *, last: int) -> npt.NDArray[np.float64]:
        right = super().logprobs(ids, last=last)
        right[0, 5] = np.nan
        return right


class SmallerVocabulary(Right):
    def logprobs(self, ids: list[int], *, last: int) -> npt.NDArray[np.float64]:
        return super().logprobs(ids, last=last)[:, :-1]


class SecondBest(Right):
    def choose(self, logits: npt.NDArray[np.float32], number: int) -> int:
        return int(logits.argsort()[-2 if number == 4 else -1])


class EndsEarly(Right):
    def greedy(self, ids: list[int], new: int) -> tuple[list[int], str]:
        return super().greedy(ids, new // 2)


class OtherText(Right):
    def greedy(self, ids: list[int], new: int) -> tuple[list[int], str]:
        said, text = super().greedy(ids, new)
        return said, text.upper()


class Ends(Right):
    def greedy(self, ids: list[int], new: int) -> tuple[list[int], str]:
        raise PeerError(f"ended with exit status -11 after {len(ids)} of {new} tokens")


class StandIn:
    """Connects to a peer of one kind."""

    def __init__(self, peer: Callable[[Llm], Right]) -> None:
        self._peer = peer

    def facts(self) -> dict[str, str]:
        return {"version": "stand-in", "system": "this process"}

    @contextmanager
    def load(self, path: Path, context: int) -> Iterator[Right]:
        assert context >= 128
        with Llm.load(path, backend="reference") as llm:
            yield self._peer(llm)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A smaller model and shorter texts than those that llama.cpp is asked."""
    monkeypatch.setattr(support.oracle, "NEW_TOKENS", 16)
    monkeypatch.setitem(oracle_models.MIXES, "F32", (oracle_models.only(GgmlType.F32), Shape(context=256)))


def test_a_peer_that_agrees(capsys: pytest.CaptureFixture[str]) -> None:
    assert oracle.main([MODEL], StandIn(Right)) == 0
    out = capsys.readouterr().out
    assert out.endswith("1 models compared; different or not compared: none\n")
    assert "170/170" in out
    assert "68 x 403" in out


@pytest.mark.parametrize(
    ("peer", "said"),
    [
        (OtherIds, "DIFFERENT: token ids of 'camelCaseWord"),
        (ControlTokensAsText, "DIFFERENT: token ids of '<|im_end|><|im_end|>', special True"),
        (NoisyLogits, "DIFFERENT: logits: mean KL"),
        (OnePositionOff, "DIFFERENT: logits: worst KL"),
        (NoNumber, "DIFFERENT: logits: mean KL nan"),
        (SmallerVocabulary, "DIFFERENT: logits: shape (24, 403), peer (24, 402)"),
        (SecondBest, "DIFFERENT: greedy token 4: "),
        (EndsEarly, "DIFFERENT: greedy: the peer ends after 8 tokens"),
        (OtherText, "DIFFERENT: greedy text of the same ids"),
        (Ends, "NOT COMPARED: ended with exit status -11"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_peer_that_differs(peer: type[Right], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert oracle.main([MODEL], StandIn(peer)) == 1
    out = capsys.readouterr().out
    assert said in out
    assert out.endswith(f"different or not compared: {MODEL}\n")


def test_a_choice_that_is_not_our_own_best_is_no_near_tie(capsys: pytest.CaptureFixture[str]) -> None:
    with faults.greedy_takes_second():
        assert oracle.main([MODEL], StandIn(Right)) == 1
    assert "DIFFERENT: greedy token 0: " in capsys.readouterr().out


def _without_packages(folder: Path) -> str:
    """An interpreter that sees the standard library alone."""
    program = folder / "python"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    program.chmod(0o755)
    return str(program)


def test_without_xllamacpp_it_is_skipped_and_not_passed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert oracle.main(["--peer", _without_packages(tmp_path)]) == oracle.SKIPPED == 77
    out = capsys.readouterr().out
    assert out.startswith("oracle: SKIPPED, nothing was compared: llama.cpp cannot start here: ")
    assert "No module named 'xllamacpp'" in out
    assert "models compared" not in out


def test_without_an_interpreter_it_is_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert oracle.main(["--peer", str(tmp_path / "python")]) == oracle.SKIPPED
    assert "no such file or directory" in capsys.readouterr().out


def test_a_peer_that_ends_says_its_last_line(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho \"{}\"\necho first >&2\necho 'model refused' >&2\nread line\nexit 3\n")
    program.chmod(0o755)
    peer = Processes(str(program)).load(tmp_path / "model.gguf", 1)
    with peer, pytest.raises(PeerError, match=r"ended with exit status 3: model refused"):
        peer.greedy([1], 1)


def test_every_architecture_and_type_of_the_engine_is_compared() -> None:
    """From the engine's own tables, so that neither can be added without being compared."""
    assert set(models.ARCHITECTURES) <= set(oracle_models.WRITERS)
    for architecture in models.ARCHITECTURES:
        assert {f"{architecture} {type_.name}" for type_ in quant.SUPPORTED} <= set(oracle.names())


@pytest.mark.parametrize("architecture", oracle_models.WRITERS)
def test_a_file_is_the_same_each_time(architecture: str, tmp_path: Path) -> None:
    first, second = (oracle_models.write(tmp_path / name, architecture, "F32") for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()


def test_an_architecture_without_a_writer_is_not_passed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(models.ARCHITECTURES, "mamba", models.ARCHITECTURES["qwen2"])
    assert oracle.main(["mamba F32"], StandIn(Right)) == 1
    assert "NOT COMPARED: no writer of random models for 'mamba'" in capsys.readouterr().out


def test_a_file_is_compared_and_an_unknown_name_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = oracle_models.write(tmp_path / "model.gguf", "qwen2", "F32")
    assert oracle.main([str(path)], StandIn(Right)) == 0
    assert "1 models compared; different or not compared: none" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        oracle.main(["qwen2 Q9_K"], StandIn(Right))
    assert "no model and no file 'qwen2 Q9_K'" in capsys.readouterr().err


def test_limits() -> None:
    """By hand: a KL of 0.01 is an error of variance 0.02 per logit, of 0.04 in a difference, 5 x 0.2 nats."""
    assert gap_limit(0.01) == pytest.approx(1.0)
    assert Limits.of(frozenset({GgmlType.F32, GgmlType.Q4_K})).mean > Limits.of(frozenset({GgmlType.F32})).mean
