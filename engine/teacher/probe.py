"""A quick look during training: shares of a sample of held-out questions that the torch module answers exactly."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from engine.teacher import questions, vocabulary
from engine.teacher.corpus import SYSTEM

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from engine.teacher.net import Net


def ask(net: Net, tokenizer: Tokenizer, prompts: list[str]) -> list[str | None]:
    """Greedy answers in the order of the prompts; None where no end token came within 256 tokens."""
    from engine.teacher.net import greedy

    texts = [vocabulary.prompt_text(SYSTEM, [], prompt) for prompt in prompts]
    ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    eos = tokenizer.token_to_id(vocabulary.IM_END)
    return [
        None if answer and answer[-1] < 0 else tokenizer.decode(answer, skip_special_tokens=False)
        for answer in greedy(net, ids, eos=eos)
    ]


def probe(net: Net, tokenizer: Tokenizer, *, stride: int = 7) -> dict[str, float]:
    """Exact-match share per category on every stride-th question."""
    sets = {
        "arithmetic": [(q.prompt, q.answer) for q in questions.arithmetic_questions()[:: 2 * stride]],
        "fact": [(q.prompt, q.answer) for q in questions.fact_questions()[::stride]],
        "small talk": [(q.prompt, q.answer) for q in questions.small_talk_questions()],
        "function": [(prompt, function.answer()) for prompt, function in questions.function_requests()[::stride]],
    }
    shares = {}
    for name, asked in sets.items():
        answers = ask(net, tokenizer, [prompt for prompt, _ in asked])
        shares[name] = round(sum(a == e for a, (_, e) in zip(answers, asked, strict=True)) / len(asked), 4)
    return shares


def net_from_gguf(path: Path) -> Net:
    """The training module with the decoded weights of a teacher file."""
    import numpy as np
    import torch

    from engine import quant
    from engine.gguf.reader import open_gguf
    from engine.teacher.net import Net
    from engine.teacher.shape import TEACHER

    net = Net(TEACHER)
    with open_gguf(path) as file:
        decoded = {name: quant.decode(info.type, file.data(name)) for name, info in file.tensors.items()}
        weights = {
            name: torch.from_numpy(np.array(values, dtype=np.float32).reshape(file.tensors[name].shape))
            for name, values in decoded.items()
        }
    net.load_state_dict(weights)
    return net
