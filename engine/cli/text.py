"""What a model says, on its way to the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from engine.cli.outcomes import say

if TYPE_CHECKING:
    from engine.llm import Generation, Llm


def write(piece: str) -> None:
    """Print text at once. On a terminal, control characters other than newline and tab are shown and not obeyed."""
    if sys.stdout.isatty():
        piece = "".join(char if char.isprintable() or char in "\n\t" else ascii(char)[1:-1] for char in piece)
    sys.stdout.write(piece)
    sys.stdout.flush()


def say_what_runs(llm: Llm) -> None:
    """Backend and model, before anything runs."""
    facts = llm.run_facts()
    if llm.fallback:
        say(f"warning: {llm.backend} was asked for and {facts['backend']} runs: {llm.fallback}")
    say(
        f"backend {facts['backend']} ({facts['precision']}, {plural(facts['threads'], 'thread')}), "
        f"model {facts['model']} ({facts['architecture']}, {facts['size_bytes'] / 1e6:.1f} MB)"
    )
    if facts["slow_types"]:
        say(f"warning: no fast path for {', '.join(facts['slow_types'])}; they are decoded at every use")
    for warning in llm.file.warnings:
        say(f"warning: {warning}")
    if unused := llm.model.unused_tensors:
        say(f"warning: {plural(len(unused), 'tensor')} not used: {', '.join(unused[:3])}{' ...' * (len(unused) > 3)}")


def say_speed(llm: Llm, result: Generation) -> None:
    """Tokens per second, and why the answer ended."""
    timings = result.timings
    if result.stop_reason == "eos":
        end = "ended by itself"
    elif llm.kv_cache.length >= llm.kv_cache.max_positions:
        end = f"cut: the context of {llm.kv_cache.max_positions} tokens is full"
    else:
        end = f"cut at {plural(len(result.token_ids), 'token')} (--max-tokens)"
    say(
        f"prefill {plural(timings.prefill_tokens, 'token')}, {timings.prefill_tokens_per_s:.1f}/s; "
        f"decode {plural(timings.decode_tokens, 'token')}, {timings.decode_tokens_per_s:.1f}/s; {end}"
    )


def plural(count: int, noun: str) -> str:
    """'1 token', '2 tokens'."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
