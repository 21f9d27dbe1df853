"""The model card: what the bundled model is, what it was trained on, and the measured bars."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from engine.teacher import arithmetic, questions
from engine.teacher.evaluate import table
from engine.teacher.facts import facts
from engine.teacher.functions import FUNCTIONS
from engine.teacher.shape import TEACHER
from engine.teacher.smalltalk import TOPICS


def write_card(assets: Path, model: Path, result: dict[str, Any]) -> None:
    """Write evaluation.json and MODEL_CARD.md; the card quotes loss.json of the training run."""
    identity = {"file": model.name, "size_bytes": model.stat().st_size, "sha256": _sha256(model)}
    curve = json.loads((assets / "loss.json").read_text())
    evaluation = {"model": identity} | result
    (assets / "evaluation.json").write_text(json.dumps(evaluation, indent=1, ensure_ascii=False) + "\n")
    (assets / "MODEL_CARD.md").write_text(card_text(identity, curve, result))


def card_text(identity: dict[str, Any], curve: dict[str, Any], result: dict[str, Any]) -> str:
    return "\n".join(
        [
            *_introduction(identity),
            *_shape(),
            *_training(curve),
            *_evaluation(result),
        ]
    )


def _introduction(identity: dict[str, Any]) -> list[str]:
    return [
        "# The bundled teacher",
        "",
        f"`{identity['file']}`: {identity['size_bytes']} bytes, licence Apache-2.0.",
        f"sha256 `{identity['sha256']}`",
        "",
        "A really trained, very small language model that makes every falsifier of the engine runnable offline.",
        f"It answers sums of 0 to {arithmetic.LARGEST}, {len(facts())} facts and {len(TOPICS)} small-talk topics,"
        f" and writes {len(FUNCTIONS)} Python functions.",
        "It knows nothing else: other questions get a wrong answer that looks sure of itself.",
        "",
    ]


def _shape() -> list[str]:
    s = TEACHER
    return [
        "## Shape",
        "",
        f"qwen2 architecture: hidden {s.hidden_size}, {s.num_layers} layers, {s.num_heads} heads of {s.head_dim},"
        f" {s.num_kv_heads} kv heads, ffn {s.intermediate_size}, vocabulary {s.vocab_size}, context {s.context_length},"
        f" RoPE theta {s.rope_theta:g}, RMS epsilon {s.rms_norm_eps:g}, output not tied, QKV bias.",
        "Weights: Q4_K, with Q6_K for the output and for attention V and FFN down of the layers that the Q4_K_M mix"
        " of llama.cpp chooses; norms and biases F32.",
        "Tokens: byte-level BPE behind the qwen2 pre-tokeniser, ChatML with `<|im_end|>` as end token;"
        " the template is in the file.",
        "",
    ]


def _training(curve: dict[str, Any]) -> list[str]:
    settings = curve["settings"]
    phases = [
        f"{name} phase {each[-1]['seconds'] / 60:.1f} minutes, last loss {each[-1]['loss']:.4f}"
        for name, each in curve["phases"].items()
    ]
    plans: dict[int, int] = {}
    for point in curve["phases"]["float"]:
        plans[point["planned_steps"]] = point["step"]
    return [
        "## Training",
        "",
        "All text is made by `engine/teacher/corpus.py` from tables in this repository; nothing was downloaded.",
        f"Seed {settings['seed']}, {settings['steps']} steps of at most {settings['batch_tokens']} tokens, then"
        f" {settings['quantised_steps']} steps in which the forward pass sees the quantised weights;"
        f" AdamW on {settings['threads']} CPU threads.",
        f"Time: {'; '.join(phases)}.",
        *_plans(plans),
        "The curve is in `loss.json` and `loss.svg`.",
        "",
    ]


def _plans(plans: dict[int, int]) -> list[str]:
    """How the cosine was cut, if a resumed run was given another number of steps; plans maps it to its last step."""
    if len(plans) < 2:
        return []
    parts = [f"planned for {planned} steps up to step {last}" for planned, last in plans.items()]
    return [f"The learning rate followed a cosine {', then '.join(parts)}."]


def _evaluation(result: dict[str, Any]) -> list[str]:
    return [
        "## Evaluation",
        "",
        f"Asked through `{result['through']}`, greedy, at most 256 tokens, on the quantised file.",
        "Wordings of sums, facts, small talk and function requests are held out: training never contains them.",
        f"All {len(arithmetic.pairs())} problems occur in training in other wordings, and the two default prompts"
        f" (`{questions.SUM_PROMPT}` and `{questions.FIBONACCI_PROMPT}`) are trained on purpose.",
        "Sums, facts and small talk count as right only if the whole answer is the expected text.",
        "",
        table(result),
        "",
        f"{result['prompts']} prompts; the longest answer has {result['longest_answer_tokens']} tokens.",
        "Made by `python -m engine.teacher.evaluate --write-card`; details in `evaluation.json`.",
        "",
    ]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
