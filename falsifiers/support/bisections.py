"""Two sides of a few layers of the model under test, recorded and bisected."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

from engine.bisect import record
from engine.bisect.bisection import Bisection
from engine.bisect.store import Store
from engine.gguf import reader
from engine.models import load_model
from engine.parity import sides
from falsifiers.support import engines, model_cut, prompts

TOKENS = 8
CONTEXT = 16
DECODE = 2

Side = tuple[str, str | None]
"""Name, and what keys and values are stored as; None is the precision's own."""


@contextmanager
def bisected(
    model: Path, a: Side, b: Side, fault: AbstractContextManager[None] | None = None
) -> Iterator[tuple[Bisection, Path]]:
    """Both sides on the same tokens, the last ones one by one, b under the fault; and the file of the model."""
    with (
        TemporaryDirectory() as temporary,
        model_cut.few_layers(model, CONTEXT) as path,
        reader.open_gguf(path) as file,
    ):
        folder, ran = Path(temporary), {}
        for key, (name, kv_cache), context in (("a", a, nullcontext()), ("b", b, fault or nullcontext())):
            with context, sides.load(sides.parse(name), path, kv_cache=kv_cache) as side:
                ids = prompts.long_ids(side.llm, TOKENS)
                ran[key] = record.run(side, ids, DECODE, Store(folder / key, TOKENS))
        reference = load_model(file, engines.ops("reference"))
        yield Bisection(reference, record.complete(folder, file, reference, ran, ids, DECODE)), path
