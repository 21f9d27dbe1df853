"""`q4k bench`: how fast a model runs here, beside what the machine can do."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from engine.cli import options
from engine.cli.outcomes import UsageError, guarded, say

if TYPE_CHECKING:
    from engine.bench.peer import Peer
    from engine.bench.process import StartUp
    from engine.bench.report import Report, Settings
    from engine.bench.subject import Subject
    from engine.gguf.reader import GgufFile

PRECISIONS: Final = {"cpu": ("f32", "q8", "q16"), "reference": ("f32",), "cuda": ("q8", "f32")}
"""Of each backend; the first is its default."""
_EXACT: Final = "exact"
"""Another name of f32, where that is not the default."""
_LARGEST: Final = 1 << 20
_FOLDER: Final = Path("build")


@guarded
def command(
    model: options.Model = None,
    teacher: options.Teacher = False,
    synthetic: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Random weights: qwen2.5-7b, qwen2.5-1.5b, qwen2.5-0.5b, tiny."),
    ] = None,
    backend: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="cpu (default), cuda or reference; repeatable.")
    ] = None,
    precision: Annotated[
        list[str] | None,
        typer.Option(metavar="P", help="cpu: f32 (default), q8, q16; cuda: q8 (default), f32 or exact; repeatable."),
    ] = None,
    threads: Annotated[int | None, typer.Option(metavar="N", help="Of the CPU; default one per core.")] = None,
    prompt_tokens: Annotated[str, typer.Option(metavar="N,N", help="Prefill of so many tokens.")] = "128,512,2048,4096",
    context: Annotated[str, typer.Option(metavar="N,N", help="Decode behind so many tokens.")] = "0,512,4096",
    new_tokens: Annotated[int, typer.Option(metavar="N", help="Tokens that decode makes.")] = 64,
    repeats: Annotated[int, typer.Option(metavar="N", help="Rounds that count.")] = 5,
    eager: Annotated[bool, typer.Option("--eager", help="On cuda without a graph.")] = False,
    start_up: Annotated[
        bool, typer.Option("--start-up", help="Processes of their own too: first token, peak.")
    ] = False,
    peer: Annotated[
        str | None, typer.Option(metavar="PYTHON", help="An interpreter with llama_cpp, measured in the same rounds.")
    ] = None,
    processor_time: Annotated[
        bool, typer.Option("--processor-time", help="Instead of the clock on the wall; with --threads 1.")
    ] = False,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it: .png, .svg or .pdf.")] = None,
    json: options.Json = False,
) -> None:
    """Measure prefill and decode, and where the time goes.

    Tokens per second with every sample, bytes per second, the share of a read bandwidth measured in the same run.
    A model's file, or --synthetic: for the CPU a file in build/, kept for the next run; for cuda made on the device.
    """
    asked = _asked(backend or ["cpu"], precision or [])
    on_device = any(name == "cuda" for name, _ in asked)
    if processor_time and (threads != 1 or on_device):
        raise UsageError("--processor-time needs --threads 1 and no cuda: waiting threads would be counted too")
    if (peer or start_up) and all(name == "cuda" for name, _ in asked):
        raise UsageError(f"{'--peer' if peer else '--start-up'} is for the CPU; add --backend cpu")
    if threads is not None:
        options.check_threads(threads, "cpu" if any(name == "cpu" for name, _ in asked) else asked[0][0])
    if eager and not on_device:
        raise UsageError("--eager is for --backend cuda")
    if (synthetic is not None) + teacher + (model is not None) != 1:
        raise UsageError("give one of the path of a model, --teacher and --synthetic")
    from engine.bench.report import Settings

    settings = Settings(
        _counts("--prompt-tokens", prompt_tokens, least=1),
        _counts("--context", context, least=0),
        _count("--new-tokens", new_tokens),
        _count("--repeats", repeats),
    )
    if not settings.figures:
        raise UsageError("nothing to measure: --prompt-tokens and --context are empty")
    if plot is not None:
        from engine.bench import plot as picture

        picture.check(plot)
    with ExitStack() as held:
        only_device = all(name == "cuda" for name, _ in asked)
        file = held.enter_context(_opened(model, teacher, synthetic, sparse=only_device))
        report = _measured(
            held, file, asked, settings,
            synthetic=synthetic is not None, threads=threads, eager=eager, start_up=start_up, peer=peer,
            processor_time=processor_time,
        )  # fmt: skip
    _print(report, json=json)
    if plot is not None:
        picture.draw(report, plot)
        say(f"{plot} written")


def _asked(backends: Sequence[str], precisions: Sequence[str]) -> list[tuple[str, str]]:
    """Backends with each of the precisions that they have."""
    precisions = ["f32" if name == _EXACT else name for name in precisions]
    found = []
    for backend in dict.fromkeys(backends):
        if backend not in PRECISIONS:
            raise UsageError(f"no such backend {backend!r}; available: {', '.join(sorted(PRECISIONS))}")
        has = PRECISIONS[backend]
        chosen = [name for name in dict.fromkeys(precisions) if name in has] if precisions else has[:1]
        if not chosen:
            raise UsageError(f"{backend} has no precision {precisions[0]!r}; available: {', '.join(has)}")
        found += [(backend, name) for name in chosen]
    known = {name for backend in backends for name in PRECISIONS[backend]}
    if unknown := [name for name in precisions if name not in known]:
        raise UsageError(f"no such precision {unknown[0]!r}; available: {', '.join(sorted(known))}")
    return found


def _counts(option: str, text: str, *, least: int) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    if not all(
        part.isascii() and part.isdigit() and len(part) <= 7 and least <= int(part) <= _LARGEST for part in parts
    ):
        raise UsageError(f"{option} is {text!r}, must be numbers in {least}..{_LARGEST} with commas between")
    return tuple(dict.fromkeys(int(part) for part in parts))


def _count(option: str, number: int) -> int:
    if not 1 <= number <= _LARGEST:
        raise UsageError(f"{option} is {number}, must be in 1..{_LARGEST}")
    return number


@contextmanager
def _opened(model: Path | None, teacher: bool, synthetic: str | None, *, sparse: bool) -> Iterator[GgufFile]:
    from engine import synthetic as shapes
    from engine.gguf.reader import open_gguf

    if synthetic is None:
        path = options.model_path(model, teacher)
    elif sparse:
        with shapes.shapes_only(synthetic) as file:
            yield file
        return
    else:
        path = _FOLDER / f"{shapes.known(synthetic)}.gguf"
        if not path.exists():
            say(f"writing {path}, random weights, kept for the next run")
            try:
                path.parent.mkdir(exist_ok=True)
                shapes.write(synthetic, path)
            except OSError as err:
                raise UsageError(f"{path}: cannot write it: {(err.strerror or str(err)).lower()}") from err
    with open_gguf(path) as file:
        yield file


def _measured(
    held: ExitStack,
    file: GgufFile,
    asked: Sequence[tuple[str, str]],
    settings: Settings,
    *,
    synthetic: bool,
    threads: int | None,
    eager: bool,
    start_up: bool,
    peer: str | None,
    processor_time: bool,
) -> Report:
    import time

    from engine.bench import host, session
    from engine.bench.process import start_up as start
    from engine.bench.timer import HostTimer

    clock = time.process_time if processor_time else time.perf_counter
    on_host = [(name, precision) for name, precision in asked if name != "cuda"]
    tested: list[Subject] = [*host.subjects(file, on_host, threads, HostTimer(clock))]
    for _, precision in (pair for pair in asked if pair[0] == "cuda"):
        from engine.bench.device import DeviceSubject

        subject = DeviceSubject(file, precision, made_there=synthetic, eager=eager)
        held.callback(subject.release)
        tested.append(subject)
    beside: Peer | None = None
    if peer is not None:
        from engine.bench.peer import Peer

        count = max(subject.ops.threads() for subject in tested if isinstance(subject, host.HostSubject))
        room = max((figure.positions(settings.new_tokens) for figure in settings.figures), default=0) + 8
        beside = Peer(peer, file.path, threads=count, context=room, clock=clock)
        held.callback(beside.close)
    prompt = min(settings.prompt_tokens, default=1)
    starts: list[StartUp] = []
    if start_up:
        starts = [
            start(file.path, name, precision, threads, prompt=prompt, rounds=min(settings.repeats, 5))
            for name, precision in on_host
        ]
    return session.run(file, tested, settings, peer=beside, start_ups=starts, synthetic=synthetic, say=_progress)


def _progress(text: str) -> None:
    """What is measured now, on a line that the next one takes; only on a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _print(report: Report, *, json: bool) -> None:
    from engine.bench.peer import Peer

    _progress("")
    if json:
        import json as encoder

        from engine.bench.report import as_json

        print(encoder.dumps(as_json(report, Peer.name), indent=2))
        return
    from engine.bench.text import lines

    for line in lines(report, Peer.name):
        print(line)
