"""`q4k inspect`: what a model file is, before it is run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli import options
from engine.cli.outcomes import UsageError, guarded

if TYPE_CHECKING:
    from engine.gguf.reader import GgufFile


@guarded
def command(
    model: options.Model = None,
    teacher: options.Teacher = False,
    tensors: Annotated[bool, typer.Option("--tensors", help="List the tensors.")] = False,
    stats: Annotated[
        str | None,
        typer.Option(metavar="PATTERN", help="Statistics and first values of tensors, such as 'blk.0.*'."),
    ] = None,
    sha256: Annotated[bool, typer.Option("--sha256", help="Digest the whole file too, at about 1 GB/s.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse bytes that belong to no tensor.")] = False,
    json: options.Json = False,
) -> None:
    """Show what a model file is: digests, types, sizes."""
    from engine.gguf.reader import open_gguf
    from engine.gguf.types import GgmlType

    with open_gguf(options.model_path(model, teacher), strict=strict, types=frozenset(GgmlType)) as file:
        facts = describe(file, contents=sha256)
        if tensors:
            facts["tensors"] = [_tensor(file, name) for name in file.tensors]
        if stats is not None:
            facts["stats"] = [statistics(file, name) for name in _matching(file, stats)]
    if json:
        import json as encoder

        print(encoder.dumps({"schema": "q4k.inspect/1", **facts}, indent=2))
    else:
        _print(facts)


def describe(file: GgufFile, *, contents: bool = False) -> dict[str, Any]:
    """Everything about a file that needs no look into the weights.

    Args:
        contents: read them all the same, for the digest of the file.
    """
    from dataclasses import asdict

    from engine.gguf.identity import identify

    architecture = file.get("general.architecture", str)
    prefix = f"{architecture}."
    return {
        "file": file.path.name,
        "gguf_version": file.version,
        "name": file.metadata.get("general.name"),
        "architecture": architecture,
        "hyperparameters": {
            key.removeprefix(prefix): value
            for key, value in file.metadata.items()
            if key.startswith(prefix) and isinstance(value, int | float | str)
        },
        "qkv": _qkv(file),
        "output": "own" if "output.weight" in file.tensors else "tied to the embedding",
        "tokenizer": {
            key: file.metadata.get(f"tokenizer.ggml.{key}")
            for key in ("model", "pre", "bos_token_id", "eos_token_id", "eot_token_id")
        },
        "identity": asdict(identify(file, contents=contents)),
        "warnings": list(file.warnings),
    }


def statistics(file: GgufFile, name: str) -> dict[str, Any]:
    """Minimum, maximum, mean, standard deviation, zeros, values that are not finite, and the first five values.

    Raises:
        QuantError: the tensor has a type this engine cannot decode.
    """
    import numpy as np

    from engine import quant

    info = file.tensors[name]
    raw = file.data(name)
    rows = raw.reshape(-1, raw.shape[-1])
    step = max(1, (1 << 20) // info.shape[-1])
    count = zeros = not_finite = 0
    total = squares = 0.0
    smallest, largest = np.inf, -np.inf
    first: list[float] = []
    for start in range(0, len(rows), step):
        values = quant.decode(info.type, rows[start : start + step]).astype(np.float64).ravel()
        if not first:
            first = values[:5].tolist()
        finite = values[np.isfinite(values)]
        count, not_finite = count + values.size, not_finite + values.size - finite.size
        zeros += values.size - int(np.count_nonzero(values))
        total, squares = total + finite.sum(), squares + np.square(finite).sum()
        smallest, largest = min(smallest, finite.min(initial=np.inf)), max(largest, finite.max(initial=-np.inf))
    finite_count = count - not_finite
    mean = total / finite_count if finite_count else 0.0
    return {
        **_tensor(file, name),
        "min": float(smallest) if finite_count else None,
        "max": float(largest) if finite_count else None,
        "mean": float(mean),
        "std": float(max(squares / finite_count - mean * mean, 0.0) ** 0.5) if finite_count else 0.0,
        "zeros": zeros,
        "not_finite": not_finite,
        "first": [value if np.isfinite(value) else str(value) for value in first],
    }


def _qkv(file: GgufFile) -> str:
    fused = any(name.endswith("attn_qkv.weight") for name in file.tensors)
    split = any(name.endswith("attn_q.weight") for name in file.tensors)
    return {(True, True): "mixed", (True, False): "fused", (False, True): "split"}.get((fused, split), "none")


def _tensor(file: GgufFile, name: str) -> dict[str, Any]:
    info = file.tensors[name]
    return {
        "name": name,
        "type": info.type.name,
        "shape": list(info.shape),
        "offset": info.offset,
        "size_bytes": info.size_bytes,
    }


def _matching(file: GgufFile, pattern: str) -> list[str]:
    from fnmatch import fnmatchcase

    names = [name for name in file.tensors if fnmatchcase(name, pattern)]
    if not names:
        raise UsageError(f"{Path(file.path).name}: no tensor matches {pattern!r}; --tensors lists them")
    return names


def _print(facts: dict[str, Any]) -> None:
    from engine.gguf.display import escape

    identity = facts["identity"]

    def line(label: str, value: object) -> None:
        print(f"{label:<14}{escape(str(value)) if isinstance(value, str) else value}")

    line("file", f"{facts['file']}, {identity['size_bytes']:,} bytes, GGUF v{facts['gguf_version']}")
    line("name", facts["name"] or "-")
    line("architecture", facts["architecture"])
    for key, value in facts["hyperparameters"].items():
        line("", f"{key} = {value}")
    line("qkv", facts["qkv"])
    line("output", facts["output"])
    for kind, count in identity["tensor_types"].items():
        line("tensors", f"{kind:<8}{count:>6} tensors{identity['tensor_bytes'][kind]:>16,} bytes")
    line("tokenizer", ", ".join(f"{key} {value}" for key, value in facts["tokenizer"].items() if value is not None))
    line("sha256", identity["file_sha256"] or "not computed; --sha256 reads the whole file")
    for label, key in (
        ("  tensors", "tensors_sha256"),
        ("  tokenizer", "tokenizer_sha256"),
        ("  template", "template_sha256"),
    ):
        line(label, identity[key] or "none")
    for warning in facts["warnings"]:
        line("warning", warning)
    for tensor in facts.get("tensors", ()):
        shape = " x ".join(map(str, tensor["shape"]))
        print(f"{tensor['name']:<32} {tensor['type']:<6} {shape:>16} {tensor['size_bytes']:>14,} @ {tensor['offset']}")
    for tensor in facts.get("stats", ()):
        print(
            f"{tensor['name']}: {tensor['type']} min {tensor['min']:.6g} max {tensor['max']:.6g} "
            f"mean {tensor['mean']:.6g} std {tensor['std']:.6g} zeros {tensor['zeros']} "
            f"not finite {tensor['not_finite']} first {' '.join(_short(value) for value in tensor['first'])}"
        )


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"
