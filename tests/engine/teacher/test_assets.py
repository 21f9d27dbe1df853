"""What is bundled: the file, its card and its two default answers."""

from __future__ import annotations

import hashlib
import json
from collections import Counter

import pytest

from engine.gguf.reader import open_gguf
from engine.llm import Llm, teacher_path
from engine.teacher import codecheck, questions
from engine.teacher.functions import FUNCTIONS

CARD = teacher_path().parent


@pytest.fixture(scope="module")
def llm():
    with Llm.load() as loaded:
        yield loaded


def test_model_is_at_most_12_megabytes():
    assert teacher_path().stat().st_size <= 12_000_000


def test_tensor_types_are_the_mix_of_q4_k_m():
    """6 layers: 7 matrices, 3 biases and 2 norms each, and 3 tensors around them; Q6_K for output and for
    attn_v and ffn_down of layers 2 and 5."""
    with open_gguf(teacher_path(), strict=True) as file:
        kinds = Counter(info.type.name for info in file.tensors.values())
    assert kinds == {"F32": 6 * 5 + 1, "Q6_K": 1 + 2 * 2, "Q4_K": 1 + 6 * 7 - 2 * 2}


def test_card_and_evaluation_speak_of_this_file():
    digest = hashlib.sha256(teacher_path().read_bytes()).hexdigest()
    evaluation = json.loads((CARD / "evaluation.json").read_text())
    assert evaluation["model"]["sha256"] == digest
    assert evaluation["reached"] is True
    assert digest in (CARD / "MODEL_CARD.md").read_text()


def test_default_sum(llm: Llm):
    answer = llm.generate(questions.SUM_PROMPT)
    assert (answer.text, answer.stop_reason) == ("2 + 2 equals 4.", "eos")


def test_default_fibonacci_computes_right_values(llm: Llm):
    answer = llm.generate(questions.FIBONACCI_PROMPT)
    blocks = codecheck.python_blocks(answer.text)
    fibonacci = next(f for f in FUNCTIONS if f.name == "fibonacci")
    assert len(blocks) == 1
    assert codecheck.check_function(blocks[0], fibonacci.cases).outcome == "right"
    assert answer.stop_reason == "eos"
