from __future__ import annotations

import gguf
import jinja2
import numpy as np
import pytest

from engine.gguf.types import GgmlType
from engine.teacher import vocabulary
from engine.teacher.corpus import SYSTEM
from engine.teacher.export import CHAT_TEMPLATE, more_bits, quantise, tensor_type, write_gguf
from engine.teacher.shape import TeacherShape

SMALL = TeacherShape(num_layers=1, vocab_size=512)


@pytest.mark.parametrize(
    ("layers", "chosen"),
    [(6, [2, 5]), (8, [0, 3, 6, 7]), (28, [0, 1, 2, 5, 8, 11, 14, 17, 20, 23, 24, 25, 26, 27])],
    ids=["teacher", "8 layers", "28 layers"],
)
def test_layers_with_more_bits(layers: int, chosen: list[int]):
    """By hand from the rule: first eighth, last eighth, every third between, counted from the end of the first."""
    assert [i for i in range(layers) if more_bits(i, layers)] == chosen


def test_types_of_the_mix():
    assert tensor_type("token_embd.weight", 6) == GgmlType.Q4_K
    assert tensor_type("output.weight", 6) == GgmlType.Q6_K
    assert tensor_type("output_norm.weight", 6) == GgmlType.F32
    assert tensor_type("blk.2.attn_v.weight", 6) == GgmlType.Q6_K
    assert tensor_type("blk.2.ffn_down.weight", 6) == GgmlType.Q6_K
    assert tensor_type("blk.1.attn_v.weight", 6) == GgmlType.Q4_K
    assert tensor_type("blk.2.attn_q.weight", 6) == GgmlType.Q4_K
    assert tensor_type("blk.2.attn_q.bias", 6) == GgmlType.F32


def rendered(messages: list[dict[str, str]], *, generate: bool) -> str:
    template = jinja2.Environment(autoescape=False).from_string(CHAT_TEMPLATE)
    return template.render(messages=messages, add_generation_prompt=generate)


def test_template_renders_the_text_of_training():
    messages = [{"role": "user", "content": "Hello!"}]
    assert rendered(messages, generate=True) == vocabulary.prompt_text(SYSTEM, [], "Hello!")


def test_template_keeps_a_given_system_message_and_all_turns():
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    assert rendered(messages, generate=True) == vocabulary.prompt_text("Be brief.", [("a", "b")], "c")


def test_written_file_reads_back_with_another_reader(tmp_path):
    """The gguf package decodes the quantised tensors; the encoder is ours."""
    rng = np.random.default_rng(4)
    weights = {
        "token_embd.weight": rng.normal(size=(512, 256)).astype(np.float32),
        "blk.0.attn_q.bias": rng.normal(size=256).astype(np.float32),
        "output.weight": rng.normal(size=(512, 256)).astype(np.float32),
    }
    tokenizer = vocabulary.train_vocabulary(4, vocab_size=512, sample=200)
    path = tmp_path / "small.gguf"
    write_gguf(path, weights, tokenizer, SMALL)

    reader = gguf.GGUFReader(path)
    tensors = {t.name: t for t in reader.tensors}
    assert {n: t.tensor_type.name for n, t in tensors.items()} == {
        "token_embd.weight": "Q4_K",
        "blk.0.attn_q.bias": "F32",
        "output.weight": "Q6_K",
    }
    for name in ("token_embd.weight", "output.weight"):
        stored = tensors[name]
        seen = gguf.quants.dequantize(stored.data, stored.tensor_type)
        np.testing.assert_array_equal(seen, quantise(weights[name], tensor_type(name, 1)).decoded)
    np.testing.assert_array_equal(tensors["blk.0.attn_q.bias"].data, weights["blk.0.attn_q.bias"])
    fields = {key: field.contents() for key, field in reader.fields.items()}
    assert fields["general.architecture"] == "qwen2"
    assert fields["tokenizer.ggml.model"] == "gpt2"
    assert fields["tokenizer.ggml.pre"] == "qwen2"
    assert len(fields["tokenizer.ggml.tokens"]) == 512
    assert fields["tokenizer.ggml.tokens"][fields["tokenizer.ggml.eos_token_id"]] == "<|im_end|>"
    assert fields["tokenizer.ggml.token_type"][-3:] == [3, 3, 3]
    assert not path.with_name("small.gguf.partial").exists()
