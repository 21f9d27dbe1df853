"""One prompt through one side, every place summarised and, if asked for, saved."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from engine.parity.saved import About, Prompt, metadata, metadata_bytes
from engine.parity.sides import Live
from engine.parity.statistics import Summary
from engine.parity.taps import Choice, Place, Saver, Several, Summaries
from engine.parity.writer import TensorWriter
from engine.trace import Tap


@dataclass(frozen=True, slots=True)
class Trace:
    """What was seen."""

    prompt: Prompt
    """Its token ids: the prompt's, then those that were chosen."""
    places: tuple[tuple[Place, Summary], ...]
    not_finite: int
    """Saved values that no comparison will accept."""


def run(side: Live, prompt_ids: Sequence[int], choice: Choice, *, steps: int = 0, save: Path | None = None) -> Trace:
    """Run a prompt, and then the most probable token `steps` times.

    Raises:
        ContextError: the prompt is empty, or with the steps longer than the context.
        ParityError: the file cannot be written; nothing is left of it.
    """
    tokens = len(prompt_ids) + steps
    context = side.context(max(1, tokens))
    summaries = Summaries(choice)
    taps: list[Tap] = [summaries]
    with ExitStack() as held:
        if save is not None:
            size = metadata_bytes([tokens])
            writer = held.enter_context(TensorWriter(save, tensors=choice.places, metadata_bytes=size))
            saver = Saver(choice, writer, tokens)
            taps.append(saver)
        tap = Several(taps)
        ids = list(prompt_ids)
        for logits in context.chunks(ids, tap=tap):
            last = logits[-1].copy()
            del logits  # before the next chunk's: with a large vocabulary they are the largest array
        for _ in range(steps):
            ids.append(int(last.argmax()))
            last = context.feed(ids[-1:], tap=tap)[-1]
        prompt = Prompt(tuple(ids), len(prompt_ids), 0)
        if save is not None:
            writer.commit(metadata(About.of(side), [prompt]))
    return Trace(prompt, tuple(summaries), saver.not_finite if save is not None else 0)
