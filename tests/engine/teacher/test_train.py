from __future__ import annotations

import dataclasses

import pytest
import torch

from engine.teacher import vocabulary
from engine.teacher.corpus import Conversation, Exchange
from engine.teacher.net import Net, greedy
from engine.teacher.shape import TeacherShape
from engine.teacher.train import Settings, make_optimizer, plan_batches, rate_at, step_once, tensors_of

TINY = TeacherShape(hidden_size=64, num_layers=2, num_heads=2, num_kv_heads=1, head_dim=32, intermediate_size=64,
                    vocab_size=512, context_length=512)  # fmt: skip
SETTINGS = Settings(seed=3, batch_tokens=256)


@pytest.fixture(scope="module")
def tokenizer():
    return vocabulary.train_vocabulary(3, vocab_size=512, sample=200)


@pytest.fixture
def net():
    # One thread: threads that wait for each other on busy cores cost more than these tiny products.
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return Net(TINY)


def test_vocabulary_has_the_asked_size_and_specials_last(tokenizer):
    assert tokenizer.get_vocab_size() == 512
    assert [tokenizer.token_to_id(name) for name in vocabulary.SPECIALS] == [509, 510, 511]


def test_digits_are_single_tokens(tokenizer):
    assert [tokenizer.decode([i]) for i in tokenizer.encode("12+205").ids] == ["1", "2", "+", "2", "0", "5"]


def test_only_answers_and_their_end_count(tokenizer):
    conversation = Conversation("Be kind.", (Exchange("fact", "Who?", "Me."), Exchange("function", "How?", "So.")))
    ids, weights = vocabulary.encode_conversation(tokenizer, conversation)
    assert len(ids) == len(weights)
    counted = [(tokenizer.decode([i], skip_special_tokens=False), w) for i, w in zip(ids, weights, strict=True) if w]
    assert "".join(text for text, _ in counted) == "Me.<|im_end|>So.<|im_end|>"
    assert {w for text, w in counted[:3]} == {1.0}
    assert counted[-1] == ("<|im_end|>", 0.4)


def test_training_text_is_the_prompt_text_of_inference(tokenizer):
    """Pieces are encoded one by one; a different split at a seam would train other ids than inference sees."""
    conversation = Conversation(None, (Exchange("fact", "Who?", "Me."), Exchange("fact", "What?", "12.")))
    ids, _ = vocabulary.encode_conversation(tokenizer, conversation)
    text = vocabulary.prompt_text(None, [("Who?", "Me.")], "What?") + "12." + vocabulary.IM_END
    assert ids == tokenizer.encode(text, add_special_tokens=False).ids


def test_batches_keep_the_token_budget_and_the_seed(tokenizer):
    first, again = (plan_batches(tokenizer, SETTINGS, 40, seed=1) for _ in range(2))
    assert first == again
    assert len(first) == 40
    sizes = [len(batch) * max(len(ids) for ids, _ in batch) for batch in first if len(batch) > 1]
    assert max(sizes) <= SETTINGS.batch_tokens


def test_rate_rises_then_falls_to_its_final_share():
    settings = Settings(steps=1000, warm_up=10, peak_rate=1.0, final_share=0.1)
    assert rate_at(0, settings) == pytest.approx(0.1)
    assert rate_at(10, settings) == pytest.approx(1.0)
    assert rate_at(505, settings) == pytest.approx(0.55)  # half way down: (1 + 0.1) / 2
    assert rate_at(1000, settings) == pytest.approx(0.1)


def test_a_few_steps_lower_the_loss(tokenizer, net):
    batch = plan_batches(tokenizer, SETTINGS, 1, seed=2)[0]
    optimizer = make_optimizer(net, SETTINGS, 3e-3)
    losses = [step_once(net, optimizer, batch, rate=3e-3, clip=1.0) for _ in range(8)]
    assert losses[-1] < 0.8 * losses[0]


def test_padding_does_not_change_the_loss(net):
    short, long = ([5, 6, 7], [0.0, 1.0, 1.0]), ([8, 9, 10, 11, 12], [0.0, 0.0, 1.0, 1.0, 1.0])
    alone = [net.loss(*tensors_of([example])) * sum(example[1][1:]) for example in (short, long)]
    together = net.loss(*tensors_of([short, long]))
    torch.testing.assert_close(together, (alone[0] + alone[1]) / 5)


def test_cached_decoding_equals_the_whole_forward(net):
    ids = torch.randint(0, 500, (2, 9), generator=torch.Generator().manual_seed(1))
    cache: list[tuple[torch.Tensor, torch.Tensor]] = []
    pieces = [net.hidden(ids[:, :6], cache), *(net.hidden(ids[:, t : t + 1], cache) for t in range(6, 9))]
    torch.testing.assert_close(torch.cat(pieces, dim=1), net.hidden(ids), rtol=1e-4, atol=1e-5)


def test_greedy_keeps_the_order_of_prompts_of_unequal_length(net):
    prompts = [[1, 2, 3], [4, 5], [6, 7, 8]]
    together = greedy(net, prompts, eos=511, max_tokens=5)
    assert together == [greedy(net, [prompt], eos=511, max_tokens=5)[0] for prompt in prompts]


def test_greedy_marks_an_answer_that_never_ends(net):
    assert greedy(net, [[1, 2]], eos=-7, max_tokens=3)[0][-1] == -1


def test_shape_is_dataclass_with_multiples_of_256():
    sizes = dataclasses.asdict(TeacherShape())
    assert [sizes[k] % 256 for k in ("hidden_size", "intermediate_size", "vocab_size")] == [0, 0, 0]
