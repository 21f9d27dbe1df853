"""Two sides of a small model, recorded for a bisection."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from engine.bisect import record
from engine.bisect.bisection import Bisection
from engine.bisect.session import Session
from engine.bisect.store import Store
from engine.gguf.reader import open_gguf
from engine.models import load_model
from engine.ops import load_ops
from engine.parity import sides

IDS = (5, 17, 300, 42, 42, 7, 111, 250, 3)


def recorded(
    folder: Path,
    path: Path,
    a: str = "reference",
    b: str = "cpu",
    *,
    fault: AbstractContextManager[None] | None = None,
    kv_cache: tuple[str | None, str | None] = (None, None),
    ids: Sequence[int] = IDS,
    decode: int = 3,
) -> Session:
    """Both sides and the golden forward; b runs under the fault."""
    ran = {}
    for key, name, kind, context in (
        ("a", a, kv_cache[0], nullcontext()),
        ("b", b, kv_cache[1], fault or nullcontext()),
    ):
        with context, sides.load(sides.parse(name), path, kv_cache=kind) as side:
            ran[key] = record.run(side, ids, decode, Store(folder / key, len(ids)))
    file = open_gguf(path)
    return record.complete(folder, file, load_model(file, load_ops("reference")), ran, ids, decode)


def bisection(session: Session, path: Path) -> Bisection:
    """Of a recorded session."""
    return Bisection(load_model(open_gguf(path), load_ops("reference")), session)
