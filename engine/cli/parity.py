"""`q4k parity`: two sides of one model on the same tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from engine.cli import options
from engine.cli.outcomes import CANNOT, DIFFER, UsageError, guarded, say
from engine.cli.trace import check_target

if TYPE_CHECKING:
    from engine.parity.compare import Measured, Plan
    from engine.parity.pair import Pair
    from engine.parity.report import Report
    from engine.parity.verdict import Limits

CODES: Final = {"agree": 0, "differ": DIFFER, "cannot decide": CANNOT}
_PROMPTS_CAP_BYTES: Final = 1 << 20
_SIDES: Final = "cpu, cpu-q8, cpu-q16, reference, cuda, cuda-f32 or a saved FILE.safetensors"


@guarded
def command(
    model: options.Model = None,
    teacher: options.Teacher = False,
    a: Annotated[str, typer.Option("--a", metavar="SIDE", help=f"The oracle: {_SIDES}.")] = "cpu",
    b: Annotated[str, typer.Option("--b", metavar="SIDE", help="What is judged by it.")] = "reference",
    prompt: Annotated[
        list[str] | None, typer.Option("--prompt", "-p", metavar="TEXT", help="Repeatable; default six questions.")
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(metavar="FILE", help="One prompt in a line.", show_default=False)
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Prompts as they are, without the chat template.")] = False,
    steps: Annotated[
        int | None, typer.Option(metavar="N", help="Tokens compared after each prompt; default 16.", show_default=False)
    ] = None,
    near_tie: Annotated[
        float | None, typer.Option(metavar="X", help="Deviations of a's logits that another token may cost.")
    ] = None,
    min_cosine: Annotated[float | None, typer.Option(metavar="X", help="Of the logits, at each step.")] = None,
    max_kl: Annotated[float | None, typer.Option(metavar="X", help="Mean KL(a||b) in nats.")] = None,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a's logits and tokens to a .safetensors file.")
    ] = None,
    threads: options.Threads = None,
    json: options.Json = False,
) -> int:
    """Do two sides of a model agree on the same tokens?

    Both are fed what a chooses after each prompt, or the tokens of a saved side, all of them: nothing is cut to fit.
    Exit code 0: they agree; 1: they differ; 4: that cannot be decided. The limits depend on whether a side rounds to
    8 bits or float16, and are printed. A GPU runs without the gate that it passes before it may answer.
    """
    from engine.parity import compare, pair, sides, verdict
    from engine.parity.report import Report, facts

    names = sides.parse(a), sides.parse(b)
    if steps is not None and steps < 0:
        raise UsageError(f"--steps is {steps}, must be >= 0")
    for flag, value in (("--near-tie", near_tie), ("--min-cosine", min_cosine), ("--max-kl", max_kl)):
        if value is not None and not 0 <= value < float("inf"):
            raise UsageError(f"{flag} is {value}, must be a number >= 0")
    options.check_threads(threads, "cpu" if any(name.backend == "cpu" for name in names) else names[0].text)
    check_target(save)
    if save is not None and names[0].path is not None:
        raise UsageError("--save writes what a computes; a is a file already")
    texts = _texts(prompt, prompts)
    path = options.model_path(model, teacher)
    with pair.opened(*names, path, threads=threads) as both:
        asked = texts if texts is not None else None if _has_file(both) else compare.PROMPTS
        ids = None if asked is None else both.prompt_ids(asked, raw=raw)
        plans = compare.plan(both.a, both.b, ids, steps)
        limits = _limits(both.limits(), near_tie, min_cosine, max_kl)
        found = _measured(both, plans, save)
        report = Report(
            model=path.name,
            sides={"a": facts(both.a), "b": facts(both.b)},
            tokens_from=_tokens_from(both),
            found=found,
            limits=limits,
            verdict=verdict.judge(found.steps, limits, broken=found.broken),
        )
        _print(report, both, json=json)
    if save is not None and not found.broken:
        say(f"{save.name} written")
    return CODES[report.verdict.answer]


def _texts(prompt: Sequence[str] | None, prompts: Path | None) -> list[str] | None:
    if prompts is None:
        return list(prompt) if prompt else None
    if prompt:
        raise UsageError("--prompt and --prompts contradict each other: give one of them")
    try:
        with prompts.open("rb") as stream:
            raw = stream.read(_PROMPTS_CAP_BYTES + 1)
        if len(raw) > _PROMPTS_CAP_BYTES:
            raise UsageError(f"--prompts: {prompts.name} has more than {_PROMPTS_CAP_BYTES} bytes; give fewer prompts")
        return [line.strip() for line in raw.decode("utf-8-sig").splitlines() if line.strip()]
    except OSError as err:
        raise UsageError(f"--prompts: {prompts.name} cannot be read: {(err.strerror or str(err)).lower()}") from err
    except UnicodeDecodeError as err:
        raise UsageError(f"--prompts: {prompts.name} is not UTF-8 at byte {err.start}") from err


def _has_file(both: Pair) -> bool:
    from engine.parity.saved import Saved

    return any(isinstance(side, Saved) for side in (both.a, both.b))


def _tokens_from(both: Pair) -> str:
    from engine.parity.saved import Saved

    for name, side in (("a", both.a), ("b", both.b)):
        if isinstance(side, Saved):
            return f"{name}'s file, fed to both"
    return "a's choices, fed to both"


def _limits(limits: Limits, near_tie: float | None, min_cosine: float | None, max_kl: float | None) -> Limits:
    from engine.parity.verdict import Limits

    return Limits(
        near_tie=limits.near_tie if near_tie is None else near_tie,
        cosine=limits.cosine if min_cosine is None else min_cosine,
        kl=limits.kl if max_kl is None else max_kl,
    )


def _measured(both: Pair, plans: list[Plan], save: Path | None) -> Measured:
    from engine.parity import compare
    from engine.parity.sides import Live

    if save is None:
        return compare.measured(both.a, both.b, plans)
    assert isinstance(both.a, Live)
    return compare.measured_and_saved(both.a, both.b, plans, save)


def _print(report: Report, both: Pair, *, json: bool) -> None:
    from engine.parity.report import as_json
    from engine.parity.text import lines

    if json:
        import json as encoder

        print(encoder.dumps(as_json(report), indent=2, allow_nan=False))
        return
    for line in lines(report, both.tokenizer):
        print(line)
