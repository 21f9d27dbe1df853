"""`q4k run`: one prompt, one answer."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from engine.cli import options
from engine.cli.outcomes import UsageError, guarded


@guarded
def command(
    prompt: Annotated[str, typer.Option("--prompt", "-p", metavar="TEXT", help="What to ask; - reads stdin.")],
    model: options.Model = None,
    teacher: options.Teacher = False,
    system: options.System = None,
    max_tokens: options.MaxTokens = 256,
    temperature: options.Temperature = 0.0,
    top_k: options.TopK = 0,
    top_p: options.TopP = 1.0,
    min_p: options.MinP = 0.0,
    seed: options.Seed = None,
    raw: Annotated[bool, typer.Option("--raw", help="The prompt as it is, without the chat template.")] = False,
    gpu: options.Gpu = None,
    backend: options.Backend = None,
    precision: options.Precision = None,
    threads: options.Threads = None,
    kv_cache: options.KvCache = None,
    allow_fallback: options.AllowFallback = False,
    json: options.Json = False,
) -> None:
    """Answer one prompt. Text goes to stdout; the backend that ran and the speed go to stderr."""
    from engine.cli.text import say_speed, say_what_runs, write

    options.check_at_least("--max-tokens", max_tokens, 1)
    params = options.sampling(temperature, top_k, top_p, min_p, seed)
    if raw and system is not None:
        raise UsageError("--raw and --system contradict each other: a system message needs the chat template")
    if prompt == "-":
        prompt = sys.stdin.read()
    with options.load(model, teacher, backend, gpu, precision, allow_fallback, threads, kv_cache) as llm:
        say_what_runs(llm)
        conversation: list[dict[str, str | None]] = [
            {"role": "system", "content": system},
            {"role": "user", "content": prompt},
        ]
        result = llm.generate(
            prompt if system is None or not prompt.strip() else conversation,
            raw=raw,
            max_tokens=max_tokens,
            sampling=params,
            on_text=None if json else write,
        )
        if json:
            _print_json(result)
        elif not result.text.endswith("\n"):
            write("\n")
        say_speed(llm, result)


def _print_json(result: object) -> None:
    import dataclasses
    import json

    assert dataclasses.is_dataclass(result)
    assert not isinstance(result, type)
    print(json.dumps({"schema": "q4k.run/1", **dataclasses.asdict(result)}, indent=2))
