"""Both sides on the same tokens, step by step; nothing of a step is kept but its figures.

Two live sides are fed the tokens that a chooses. Where a side is a saved one its tokens are fed, all of them, and
nothing is cut to fit: other prompts, another number of steps or another model is a refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from engine.errors import ParityError
from engine.ops.protocol import F32
from engine.parity import measure
from engine.parity.measure import Step
from engine.parity.saved import LOGITS, About, Prompt, Saved, metadata, metadata_bytes
from engine.parity.sides import Live
from engine.parity.writer import TensorWriter

Side = Live | Saved

STEPS = 16
PROMPTS: tuple[str, ...] = (
    "What is 2+2?",
    "What is the capital of France?",
    "Hello! How are you?",
    "Which day comes after Monday?",
    "What is the opposite of hot?",
    "Write a Python function to compute the nth Fibonacci number.",
)
"""Of every kind that the bundled model knows, and short enough for any context."""


@dataclass(slots=True)
class Plan:
    """Tokens to feed; they may still grow, by what a chooses."""

    token_ids: list[int]
    prompt_tokens: int
    first: int
    length: int
    """Tokens once it is full grown."""

    @classmethod
    def greedy(cls, prompt_ids: Sequence[int], steps: int) -> Plan:
        """A prompt and the choice after it count as the first step."""
        return cls(list(prompt_ids), len(prompt_ids), len(prompt_ids) - 1, len(prompt_ids) + steps - 1)

    @classmethod
    def of(cls, prompt: Prompt) -> Plan:
        return cls(list(prompt.token_ids), prompt.prompt_tokens, prompt.first, len(prompt.token_ids))

    @property
    def rows(self) -> int:
        """Positions whose logits count."""
        return self.length - self.first

    def prompt(self) -> Prompt:
        """What was run, once it is full grown."""
        assert len(self.token_ids) == self.length
        return Prompt(tuple(self.token_ids), self.prompt_tokens, self.first)


@dataclass(slots=True)
class Measured:
    """What was measured after each prompt."""

    plans: list[Plan]
    steps: list[list[Step]] = field(default_factory=list)
    samples: dict[str, int] = field(default_factory=lambda: {"a": 0, "b": 0})
    """Positions at which each side gave logits."""
    broken: tuple[str, ...] = ()
    """Sides whose logits were not finite; the measurement ends there."""

    def add(self, number: int, plan: Plan, a: F32, b: F32) -> bool:
        """Count one more position; whether the measurement can go on."""
        self.samples["a"] += 1
        self.samples["b"] += 1
        self.broken = tuple(side for side, logits in (("a", a), ("b", b)) if not np.isfinite(logits).all())
        if not self.broken:
            self.steps[number].append(measure.step(plan.first + len(self.steps[number]), a, b))
        return not self.broken


def plan(a: Side, b: Side, prompt_ids: Sequence[Sequence[int]] | None, steps: int | None) -> list[Plan]:
    """What to feed.

    Args:
        prompt_ids: what was asked for; None takes those of a saved side, and is not for two live ones.
        steps: per prompt; default `STEPS`, or those of a saved side.

    Raises:
        ParityError: a saved side holds other tokens than the other side, or than what is asked for.
    """
    saved = [side for side in (a, b) if isinstance(side, Saved)]
    if not saved:
        assert prompt_ids is not None
        return [Plan.greedy(ids, STEPS if steps is None else steps) for ids in prompt_ids]
    held = saved[0].prompts
    if len(saved) == 2 and saved[1].prompts != held:
        raise ParityError(
            f"the two files hold other tokens: a {_shape(held)}, b {_shape(saved[1].prompts)}; nothing is cut to fit"
        )
    if prompt_ids is not None:
        mine = [prompt.token_ids[: prompt.prompt_tokens] for prompt in held]
        if mine != [tuple(ids) for ids in prompt_ids]:
            saved[0].file.refuse(
                f"holds other prompts: {len(mine)} of {_tokens(mine)} tokens, asked for are {len(prompt_ids)} of "
                f"{_tokens(prompt_ids)}; leave --prompt and --prompts out to take the file's"
            )
    if steps is not None and any(prompt.rows != steps for prompt in held):
        saved[0].file.refuse(f"holds {_shape(held)}, asked for are {steps} steps; leave --steps out to take the file's")
    return [Plan.of(prompt) for prompt in held]


def measured(a: Side, b: Side, plans: list[Plan], *, on_logits: Callable[[F32], None] | None = None) -> Measured:
    """Feed both sides and compare.

    Args:
        on_logits: called with a's logits (V,) of each step, before they are forgotten.

    Raises:
        ContextError: a prompt and its steps do not fit the context.
        ParityError: a value of a saved side is not finite.
    """
    found = Measured(plans)
    for number, plan in enumerate(plans):
        found.steps.append([])
        ours, theirs = (_rows(side, number, plan) for side in (a, b))
        for _ in range(plan.rows):
            logits = next(ours)
            goes_on = found.add(number, plan, logits, next(theirs))
            if on_logits:
                on_logits(logits)
            if not goes_on:
                return found
            if len(plan.token_ids) < plan.length:
                plan.token_ids.append(int(logits.argmax()))
    return found


def measured_and_saved(a: Live, b: Side, plans: list[Plan], path: Path) -> Measured:
    """`measured`, with a's logits and tokens in a file; nothing is written where some were not finite.

    Raises:
        ContextError, ParityError: as `measured`; there are no steps to save, or the file cannot be written.
    """
    rows = sum(plan.rows for plan in plans)
    if not rows:
        raise ParityError(f"{path.name!r} would hold nothing: there are no prompts, or no steps")
    written = 0
    with TensorWriter(path, tensors=1, metadata_bytes=metadata_bytes(plan.length for plan in plans)) as writer:
        writer.add(LOGITS, (rows, a.llm.model.config.vocab_size))

        def keep(logits: F32) -> None:
            nonlocal written
            writer.write(LOGITS, written, logits[None])
            written += 1

        found = measured(a, b, plans, on_logits=keep)
        if not found.broken:
            writer.commit(metadata(About.of(a), [plan.prompt() for plan in plans]))
    return found


def _rows(side: Side, number: int, plan: Plan) -> Iterator[F32]:
    """Logits (V,) at each position that counts; a token after the prompt is read when its turn comes."""
    if isinstance(side, Saved):
        yield from (side.logits(number, row) for row in range(plan.rows))
        return
    context = side.context(plan.length)
    prompt = plan.token_ids[: plan.prompt_tokens]
    if plan.first == plan.prompt_tokens - 1:
        yield context.feed(prompt, last_only=True)[-1]
    else:
        at = 0
        for logits in context.chunks(prompt):
            yield from logits[max(0, plan.first - at) :]
            at += len(logits)
    for position in range(plan.prompt_tokens, plan.length):
        yield context.feed([plan.token_ids[position]])[-1]


def _shape(prompts: Sequence[Prompt]) -> str:
    steps = "+".join(str(rows) for rows in sorted({prompt.rows for prompt in prompts})) or "0"
    same = "" if not prompts else f" of {_tokens([prompt.token_ids for prompt in prompts])} tokens"
    return f"{len(prompts)} prompts{same}, {steps} steps each"


def _tokens(prompts: Sequence[Sequence[int]]) -> str:
    shown = [str(len(ids)) for ids in prompts[:6]]
    return ", ".join(shown) + (", ..." if len(prompts) > 6 else "")
