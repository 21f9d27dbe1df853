"""Running both sides, and the golden forward, into a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.bisect.free import golden
from engine.bisect.places import Place, plan_of
from engine.bisect.session import GOLDEN, SIDES, Session, Side
from engine.bisect.store import Store
from engine.errors import ContextError, ParityError
from engine.gguf.identity import identify, tensors_sha256
from engine.gguf.reader import GgufFile
from engine.models.protocol import Model
from engine.parity.saved import Saved, layer_tensor
from engine.parity.sides import Live, Name, load


def folder_for(path: Path) -> Path:
    """A new or empty folder.

    Raises:
        ParityError: something is in the way.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        taken = any(path.iterdir())
    except OSError as err:
        raise ParityError(f"{path}: {err.strerror}; give a new folder") from err
    if taken:
        raise ParityError(f"{path}: not empty; give a new folder")
    return path


def record(
    folder: Path,
    file: GgufFile,
    model: Model,
    names: Mapping[str, Name],
    token_ids: Sequence[int],
    *,
    decode: int,
    threads: int | None = None,
) -> Session:
    """Run both sides, one after the other, and the golden forward.

    Args:
        folder: empty.
        model: of `file`, for the golden forward; its operations are put back.
        names: of sides 'a' and 'b'.
        token_ids: what both sides run; those that a saved side has run.
        decode: how many of the last tokens come one by one, fewer than all.

    Raises:
        EngineError: a side cannot run, or a saved one is of another model or other tokens.
    """
    sides = {}
    for key in SIDES:
        store = Store(folder / key, len(token_ids))
        if names[key].path is not None:
            sides[key] = copy_saved(names[key], file, model, token_ids, store)
            continue
        with load(names[key], file.path, threads=threads) as side:
            sides[key] = run(side, token_ids, decode, store)
    return complete(folder, file, model, sides, token_ids, decode)


def complete(
    folder: Path, file: GgufFile, model: Model, sides: Mapping[str, Side], token_ids: Sequence[int], decode: int
) -> Session:
    """Add the golden forward, and write down what the folder holds."""
    session = Session(folder, file.path.name, tensors_sha256(file), tuple(token_ids), decode, sides)
    golden(model, token_ids, session.store(GOLDEN))
    session.write()
    return session


def run(side: Live, token_ids: Sequence[int], decode: int, store: Store) -> Side:
    """Run the production forward of a side and keep its taps: a prompt, and the last tokens one by one.

    Raises:
        ContextError: no token is left for the prompt, or there are more than the context holds.
    """
    prompt = len(token_ids) - decode
    if prompt < 1:
        raise ContextError(f"{len(token_ids)} tokens, {decode} of them one by one; at least one must come before those")
    context = side.context(len(token_ids))
    for part in (token_ids[:prompt], *([token] for token in token_ids[prompt:])):
        for _ in context.chunks(part, tap=store):
            pass
    return Side(side.name.text, side.facts())


def saved_ids(name: Name) -> tuple[tuple[int, ...], int]:
    """Tokens of a saved side, and how many of the last ones came one by one.

    Raises:
        ParityError: it is not a trace of one prompt.
    """
    with Saved(name) as saved:
        if len(saved.prompts) != 1:
            saved.file.refuse(f"has {len(saved.prompts)} prompts, expected a trace of one; q4k trace --save writes it")
        prompt = saved.prompts[0]
        return prompt.token_ids, len(prompt.token_ids) - prompt.prompt_tokens


def copy_saved(name: Name, file: GgufFile, model: Model, token_ids: Sequence[int], store: Store) -> Side:
    """Take the taps of a saved side, one place at a time.

    Raises:
        ParityError: it is of another model or other tokens.
    """
    if saved_ids(name)[0] != tuple(token_ids):
        raise ParityError(f"{name.text}: saved for other tokens than the other side's; save both with one prompt")
    places = plan_of(model).places
    with Saved(name) as saved:
        saved.require_model(identify(file).file_sha256 or "")
        for place in places:
            _copy(saved, place, store)
        about = saved.about
    facts = {"backend": about.backend, "precision_mode": about.precision, "kv_cache": about.kv_cache}
    return Side(name.text, facts)


def _copy(saved: Saved, place: Place, store: Store) -> None:
    tensor = layer_tensor(place.name, place.layer)
    if tensor in saved.file.tensors:
        store(place.name, place.layer, saved.file.rows(tensor, 0, store.tokens))
