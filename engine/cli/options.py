"""Flags that several commands share, and what they mean together."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.outcomes import UsageError, say

if TYPE_CHECKING:
    from engine.llm import Llm
    from engine.sampling import Sampling

Model = Annotated[Path | None, typer.Argument(metavar="MODEL", help="A GGUF file.", show_default=False)]
Teacher = Annotated[bool, typer.Option("--teacher", help="Use the bundled model.")]
System = Annotated[str | None, typer.Option(metavar="TEXT", help="A system message.", show_default=False)]
MaxTokens = Annotated[int, typer.Option(metavar="N", help="New tokens at most.")]
Temperature = Annotated[float, typer.Option(metavar="T", help="0 takes the most probable token.")]
TopK = Annotated[int, typer.Option(metavar="K", help="Choose among the K most probable tokens; 0: all.")]
TopP = Annotated[float, typer.Option(metavar="P", help="Choose among tokens that sum to P; 1: all.")]
MinP = Annotated[float, typer.Option(metavar="P", help="Drop tokens below P times the most probable; 0: none.")]
Seed = Annotated[int | None, typer.Option(metavar="N", help="Repeat the same draws.", show_default=False)]
Gpu = Annotated[
    bool | None, typer.Option("--gpu/--no-gpu", help="Demand a GPU, or never touch one.", show_default=False)
]
Backend = Annotated[
    str | None, typer.Option(metavar="NAME", help="cpu, cuda or reference; the default is cpu.", show_default=False)
]
Precision = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Activations in products: f32 (default), q16 or q8 on cpu; q8 (default) or f32 on cuda.",
        show_default=False,
    ),
]
Threads = Annotated[
    int | None, typer.Option(metavar="N", help="Threads of the CPU; default one per core.", show_default=False)
]
KvCache = Annotated[
    str | None,
    typer.Option(
        "--kv-cache",
        metavar="TYPE",
        help="Keys and values as f16 (default of q8 and of cuda) or f32 (default of f32 and q16).",
        show_default=False,
    ),
]
AllowFallback = Annotated[
    bool, typer.Option("--allow-fallback", help="Run on the CPU, and say so, where the backend cannot.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def model_path(model: Path | None, teacher: bool) -> Path:
    """The file that MODEL or --teacher name.

    Raises:
        UsageError: neither or both are given.
        ModelError: the bundled model is missing.
    """
    if (model is None) != teacher:
        raise UsageError("give either the path of a model or --teacher")
    if model is not None:
        return model
    from engine.llm import teacher_path

    return teacher_path()


def backend_name(backend: str | None, gpu: bool | None) -> str:
    """The backend to run; it runs or the command fails, nothing else is tried.

    Raises:
        UsageError: the flags contradict each other, or there is no such backend.
    """
    from engine.ops import BACKENDS

    available = ", ".join(sorted(BACKENDS))
    if gpu is False and backend == "cuda":
        raise UsageError("--no-gpu and --backend cuda contradict each other")
    if gpu and backend not in (None, "cuda"):
        raise UsageError(f"--gpu and --backend {backend} contradict each other")
    if backend is not None and backend not in BACKENDS:
        raise UsageError(f"no such backend {backend!r}; available: {available}")
    return "cuda" if gpu else backend or "cpu"


def load(
    model: Path | None,
    teacher: bool,
    backend: str | None,
    gpu: bool | None,
    precision: str | None,
    allow_fallback: bool,
    threads: int | None = None,
    kv_cache: str | None = None,
) -> Llm:
    """The model that the flags name, loaded.

    Raises:
        UsageError: as `model_path` and `what_runs`.
        EngineError: as `Llm.load`.
    """
    from engine.llm import Llm

    name, _ = what_runs(backend, gpu, precision, threads, kv_cache)
    if name == "cpu" and sys.stderr.isatty():
        _announce_kernels()
    return Llm.load(
        model_path(model, teacher),
        backend=name,
        precision=precision,
        threads=threads,
        kv_cache=kv_cache,
        allow_fallback=allow_fallback,
    )


def _announce_kernels() -> None:
    """Say why a first start takes seconds."""
    from engine.ops.cpu import maker

    maker.announce = lambda count: say(f"compiling {count} kernels for this processor; later starts find them")


def what_runs(
    backend: str | None, gpu: bool | None, precision: str | None, threads: int | None, kv_cache: str | None
) -> tuple[str, str]:
    """The backend and the precision that the flags name.

    Raises:
        UsageError: as `backend_name`, or the backend has no such precision, threads or cache.
    """
    from engine.errors import BackendError
    from engine.models import DEFAULT_PRECISION, PRECISIONS, kv_type

    name = backend_name(backend, gpu)
    if precision is not None and precision not in PRECISIONS[name]:
        have = ", ".join(PRECISIONS[name])
        raise UsageError(f"backend {name} has no precision {precision!r}; available: {have}")
    check_threads(threads, name)
    precision = precision or DEFAULT_PRECISION[name]
    try:
        kv_type(name, precision, kv_cache)
    except BackendError as err:
        raise UsageError(f"--kv-cache: {err}") from err
    return name, precision


def check_threads(threads: int | None, backend: str) -> None:
    """Refuse a number of threads that the backend cannot have.

    Raises:
        UsageError: it is not one of 1 to the number of cores, or the backend is not the CPU.
    """
    if threads is None:
        return
    if backend != "cpu":
        raise UsageError(f"--threads is for --backend cpu; the backend is {backend}")
    from engine.ops.cpu.isa import cores

    most = cores()
    if not 1 <= threads <= most:
        raise UsageError(f"--threads is {threads}, must be in 1..{most}, the cores that this process may use")


def check_at_least(option: str, number: int, least: int) -> None:
    """Refuse a number that is too small, before a model is loaded.

    Raises:
        UsageError: it is.
    """
    if number < least:
        raise UsageError(f"{option} is {number}, must be >= {least}")


def sampling(temperature: float, top_k: int, top_p: float, min_p: float, seed: int | None) -> Sampling:
    """The sampling parameters; says so where a filter has no effect.

    Raises:
        SamplingError: a value is out of its range.
    """
    from engine.sampling import Sampling

    params = Sampling(temperature, top_k, top_p, min_p, seed)
    if params.greedy and params != Sampling(seed=seed):
        say("warning: --top-k, --top-p and --min-p have no effect at temperature 0")
    return params
