"""The whole way from text to text on a tiny random model."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest

from engine import llm as llm_module
from engine.errors import BackendError, ContextError, GgufError, ModelError, SamplingError, TemplateError
from engine.gguf.identity import identify
from engine.gguf.reader import open_gguf
from engine.llm import Llm, teacher_path
from engine.models import DEFAULT_PRECISION, PRECISIONS
from engine.ops import BACKENDS
from engine.sampling import Sampling
from support import tiny_qwen2


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen2.write_tiny(tmp_path_factory.mktemp("llm") / "tiny.gguf")


@pytest.fixture
def llm(path: Path):
    with Llm.load(path, backend="reference") as loaded:
        yield loaded


def test_prompt_goes_through_the_template(llm: Llm):
    tokens = tiny_qwen2.vocabulary()[0]
    ids = llm.prompt_ids("hi")
    assert ids[0] == tokens.index("<|im_start|>")
    assert llm.tokenizer.decode(ids, skip_special=False) == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"


def test_conversation_goes_through_the_template(llm: Llm):
    ids = llm.prompt_ids([{"role": "system", "content": "s"}, {"role": "user", "content": "u"}])
    text = llm.tokenizer.decode(ids, skip_special=False)
    assert text == "<|im_start|>system\ns<|im_end|>\n<|im_start|>user\nu<|im_end|>\n<|im_start|>assistant\n"


def test_raw_prompt_is_the_text_alone(llm: Llm):
    assert llm.tokenizer.decode(llm.prompt_ids(" hi", raw=True)) == " hi"


def test_raw_prompt_starts_with_bos_where_the_file_asks_for_it(tmp_path: Path):
    path = tiny_qwen2.write_tiny(tmp_path / "bos.gguf", tokenizer__ggml__add_bos_token=True)
    with Llm.load(path, backend="reference") as llm:
        assert llm.tokenizer.decode(llm.prompt_ids("hi", raw=True), skip_special=False) == "<|endoftext|>hi"


def test_pieces_joined_are_the_text(llm: Llm):
    pieces: list[str] = []
    result = llm.generate("hello", max_tokens=40, on_text=pieces.append)
    assert "".join(pieces) == result.text == llm.tokenizer.decode(result.token_ids)
    assert all(pieces)


def test_generation_is_repeatable(llm: Llm):
    first, _, second = llm.generate("hello"), llm.generate("something else"), llm.generate("hello")
    assert first.token_ids == second.token_ids


def test_seed_decides_the_tokens(llm: Llm):
    def tokens(seed: int) -> tuple[int, ...]:
        return llm.generate("hello", max_tokens=20, sampling=Sampling(temperature=1, seed=seed)).token_ids

    assert tokens(1) == tokens(1)
    assert tokens(1) != tokens(2)


def test_fresh_seed_is_in_the_record_and_repeats_the_answer(llm: Llm):
    first = llm.generate("hello", max_tokens=20, sampling=Sampling(temperature=1))
    again = llm.generate("hello", max_tokens=20, sampling=Sampling(**first.record["sampling"]))
    assert first.token_ids == again.token_ids


def test_stop_reasons(llm: Llm, monkeypatch: pytest.MonkeyPatch):
    short = llm.generate("hello", max_tokens=3)
    assert (short.stop_reason, len(short.token_ids)) == ("length", 3)
    monkeypatch.setattr(llm.tokenizer, "end_ids", frozenset({short.token_ids[1]}))
    ended = llm.generate("hello", max_tokens=3)
    assert (ended.stop_reason, ended.token_ids) == ("eos", short.token_ids[:2])


def test_logits_do_not_touch_the_cache_of_generation(llm: Llm):
    llm.generate("hello", max_tokens=2)
    before = llm.kv_cache.length
    logits = llm.logits([1, 2, 3])
    assert logits.shape == (3, llm.model.config.vocab_size)
    assert llm.kv_cache.length == before


def test_record_says_what_ran(llm: Llm, path: Path):
    import hashlib

    record = llm.record()
    assert record["backend"] == "reference"
    assert record["precision"] == "float32"
    assert record["threads"] >= 1
    assert record["identity"]["file_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert llm.generate("hello", max_tokens=1).record["backend"] == "reference"


def test_what_only_the_tokenizer_needs_is_not_kept(path: Path):
    """The digests are those of the whole file all the same."""
    with Llm.load(path, backend="reference") as llm, open_gguf(path) as file:
        assert "tokenizer.ggml.merges" in file.metadata
        assert "tokenizer.ggml.merges" not in llm.file.metadata
        assert list(llm.tokenizer.vocabulary.merges) == []
        assert llm.identity == identify(file)


def test_quantised_model_equals_one_of_its_decoded_weights(tmp_path: Path):
    """Q4_K and Q6_K weights, and the same weights decoded by the `gguf` package into a float32 file."""
    shape = tiny_qwen2.Shape(hidden=256, heads=4, ffn=256)
    tensors = tiny_qwen2.random_tensors(shape)
    values = tiny_qwen2.metadata(shape)
    mixed = tiny_qwen2.write_gguf(tmp_path / "q4.gguf", tensors, values, type_of=tiny_qwen2.q4_k_m)
    decoded = {
        tensor.name: gguf.dequantize(tensor.data, tensor.tensor_type) for tensor in gguf.GGUFReader(mixed).tensors
    }
    full = tiny_qwen2.write_gguf(tmp_path / "f32.gguf", decoded, values)
    with Llm.load(full, backend="reference") as one, Llm.load(mixed, backend="reference") as other:
        assert other.identity.tensor_types.keys() == {"F32", "Q4_K", "Q6_K"}
        a, b = (model.logits([5, 6, 7, 8, 9]) for model in (one, other))
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-4)
    assert np.abs(a).max() > 1


@pytest.mark.parametrize("prompt", ["", "  \n", []], ids=["empty", "blank", "no messages"])
def test_empty_prompt_is_refused(llm: Llm, prompt):
    with pytest.raises(ContextError, match="prompt is empty"):
        llm.generate(prompt)


def test_empty_raw_prompt_is_refused(llm: Llm):
    with pytest.raises(ContextError, match="prompt is empty"):
        llm.generate("", raw=True)


def test_too_long_prompt_is_refused(llm: Llm):
    with pytest.raises(ContextError, match=r"prompt has \d+ tokens, the context holds 128"):
        llm.generate("word " * 200)


def test_no_tokens_are_refused(llm: Llm):
    with pytest.raises(SamplingError, match="max-tokens is 0, must be >= 1"):
        llm.generate("hello", max_tokens=0)


def test_conversation_cannot_be_raw(llm: Llm):
    with pytest.raises(TemplateError, match="a conversation needs the chat template"):
        llm.generate([{"role": "user", "content": "x"}], raw=True)


def test_model_without_template_says_what_to_do(tmp_path: Path):
    path = tiny_qwen2.write_tiny(tmp_path / "plain.gguf", tokenizer__chat_template=None)
    with Llm.load(path, backend="reference") as llm:
        assert llm.generate("hello", raw=True, max_tokens=2).token_ids
        with pytest.raises(
            TemplateError, match=r"plain\.gguf: no chat template in the file; use a raw prompt \(--raw\)"
        ):
            llm.generate("hello")


def test_backend_that_does_not_exist_is_refused(path: Path):
    with pytest.raises(BackendError, match="backend 'tpu' is not in this version; available: cpu, cuda, reference"):
        Llm.load(path, backend="tpu")


def test_m15_changed_model_is_refused(tmp_path: Path):
    path = tiny_qwen2.write_tiny(tmp_path / "t.gguf")
    with Llm.load(path, backend="reference") as llm:
        other = tiny_qwen2.write_tiny(tmp_path / "new.gguf", seed=1)
        other.replace(path)
        with pytest.raises(GgufError, match="GGUF-M15: the model file changed while in use"):
            llm.generate("hello")


def test_installation_without_teacher_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(llm_module, "__file__", str(tmp_path / "llm.py"))
    with pytest.raises(ModelError, match=r"teacher\.gguf: the bundled model is not part of this installation"):
        teacher_path()


def test_precisions_are_those_that_the_backends_have():
    from engine.ops.cpu import precisions

    assert set(PRECISIONS["cpu"]) == set(precisions.PRECISIONS)
    assert PRECISIONS.keys() == BACKENDS.keys() == DEFAULT_PRECISION.keys()
    assert all(DEFAULT_PRECISION[backend] in names for backend, names in PRECISIONS.items())


def test_precision_that_the_backend_lacks_is_refused(path: Path):
    with pytest.raises(BackendError, match="precision 'q8' is not one that backend 'reference' has; available: f32"):
        Llm.load(path, backend="reference", precision="q8")


def test_a_model_in_8_bits_is_another_one(path: Path):
    """The logits differ from those of float32 by the rounding of activations, and the record says why."""
    with Llm.load(path) as exact, Llm.load(path, precision="q8") as rounded:
        ids = exact.prompt_ids("hello")
        a, b = exact.logits(ids), rounded.logits(ids)
        assert 0 <= np.linalg.norm(a - b) <= 0.1 * np.linalg.norm(a)
        assert (exact.run_facts()["precision_mode"], rounded.run_facts()["precision_mode"]) == ("f32", "q8")
