"""`q4k eval`: pass@1 on problems in HumanEval's format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli import options
from engine.cli.outcomes import UsageError, guarded, say

if TYPE_CHECKING:
    from engine.evaluate.run import Report, Result


@guarded
def command(
    model: options.Model = None,
    teacher: options.Teacher = False,
    humaneval: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Problems as JSON lines; default the bundled ones.", show_default=False),
    ] = None,
    problems: Annotated[int | None, typer.Option(metavar="N", help="Only the first N.", show_default=False)] = None,
    style: Annotated[
        str, typer.Option(metavar="STYLE", help="How to ask: code, docstring, or raw without the chat template.")
    ] = "code",
    max_tokens: options.MaxTokens = 512,
    backend: options.Backend = None,
    gpu: options.Gpu = None,
    precision: options.Precision = None,
    threads: options.Threads = None,
    kv_cache: options.KvCache = None,
    allow_fallback: options.AllowFallback = False,
    allow_code_execution: Annotated[
        bool, typer.Option("--allow-code-execution", help="Run what the model writes, in a box; needed.")
    ] = False,
    unsafe: Annotated[
        bool,
        typer.Option("--unsafe", help="Where namespaces are missing, run with limits alone; the report says so."),
    ] = False,
    json: options.Json = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the JSON report here too.", show_default=False)
    ] = None,
) -> None:
    """Measure pass@1: the model writes functions, and tests run them.

    Code that nobody has read runs in a process without network, files and privileges, under limits.
    Known right and wrong answers are judged first; if one comes out wrong, the run is void (exit code 3).
    """
    if not allow_code_execution:
        raise UsageError("the model's code is run to judge it; say --allow-code-execution if you want that")
    if problems is not None:
        options.check_at_least("--problems", problems, 1)
    options.check_at_least("--max-tokens", max_tokens, 1)
    from engine.evaluate import problems as files
    from engine.evaluate.completion import STYLES
    from engine.evaluate.run import evaluate

    known = [name for name in STYLES if name == style]
    if not known:
        raise UsageError(f"no such style {style!r}; available: {', '.join(STYLES)}")
    if out is not None and (out.is_dir() or not out.parent.is_dir()):
        raise UsageError(f"--out {str(out)!r}: {'a folder, give a file' if out.is_dir() else 'no such folder'}")
    path = humaneval or files.bundled_path()
    asked = files.load(path)[:problems]
    from engine.cli.text import say_what_runs

    with options.load(model, teacher, backend, gpu, precision, allow_fallback, threads, kv_cache) as llm:
        say_what_runs(llm)
        report = evaluate(
            llm,
            asked,
            style=known[0],
            max_tokens=max_tokens,
            unsafe=unsafe,
            hidden=(str(path.resolve().parent),),
            on_result=None if json else _show,
        )
    if not report.isolated:
        say("warning: no namespaces here; only limits stood between the model's code and this machine")
    _write(report, _dataset(path, len(asked)), json, out)


def _show(result: Result) -> None:
    detail = f"  {result.verdict.detail}" if result.verdict.detail else ""
    line = f"{result.task_id}  {result.verdict.outcome}{detail}"
    print("".join(char if char.isprintable() else ascii(char)[1:-1] for char in line), flush=True)


def _dataset(path: Path, asked: int) -> dict[str, Any]:
    import hashlib

    return {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "asked": asked}


def _write(report: Report, dataset: dict[str, Any], as_json: bool, out: Path | None) -> None:
    import json

    from engine.errors import EvaluationError

    text = json.dumps(report.as_json(dataset), indent=2)
    if out is not None:
        try:
            out.write_text(text + "\n", encoding="utf-8")
        except OSError as err:
            raise EvaluationError(f"{out.name}: cannot be written: {err.strerror}") from err
    if as_json:
        print(text)
        return
    counts = report.counts()
    total = len(report.results)
    print(
        f"pass@1 {report.passed / total:.1%} ({report.passed} of {total}); "
        f"failed {counts['failed']}, timeout {counts['timeout']}, over a limit {counts['limit']}, void 0; "
        f"self-check {report.self_check.good} right and {report.self_check.bad} wrong answers told apart"
        f"{'' if report.isolated else '; NOT ISOLATED'}"
    )
