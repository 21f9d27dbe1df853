"""`q4k serve`: one model behind an OpenAI-compatible HTTP server."""

from __future__ import annotations

from typing import Annotated

import typer

from engine.cli import options
from engine.cli.outcomes import UsageError, guarded, say


@guarded
def command(
    model: options.Model = None,
    teacher: options.Teacher = False,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; other machines: 0.0.0.0.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", help="TCP port; 0: any free one.")] = 8080,
    max_queue: Annotated[int, typer.Option(metavar="N", help="Requests that may wait; more get 503.")] = 16,
    max_tokens: Annotated[int, typer.Option(metavar="N", help="New tokens of one answer at most.")] = 2048,
    gpu: options.Gpu = None,
    backend: options.Backend = None,
    precision: options.Precision = None,
    threads: options.Threads = None,
    kv_cache: options.KvCache = None,
    allow_fallback: options.AllowFallback = False,
) -> None:
    """Serve a model over HTTP, in the form of OpenAI's API.

    Paths: /v1/chat/completions and /v1/completions, whole or streamed; /v1/models; /health.
    Ctrl-C ends it, with what still runs, and exit code 130.
    """
    if not 0 <= port <= 65535:
        raise UsageError(f"--port is {port}, must be between 0 and 65535")
    options.check_at_least("--max-queue", max_queue, 0)
    options.check_at_least("--max-tokens", max_tokens, 1)
    _require_extra()
    from engine.cli.text import say_what_runs
    from engine.serve.run import Settings, serve

    with options.load(model, teacher, backend, gpu, precision, allow_fallback, threads, kv_cache) as llm:
        say_what_runs(llm)
        serve(llm, Settings(host, port, max_queue, max_tokens), say=say)


def _require_extra() -> None:
    """Say what to install, before a model is loaded."""
    from engine.errors import ServeError

    try:
        import starlette  # noqa: F401 - only whether they are there
        import uvicorn  # noqa: F401
    except ImportError as err:
        raise ServeError(
            f"q4k serve needs starlette and uvicorn ({err}); install them: pip install 'pv-contracts[serve]'"
        ) from err
