"""`q4k bisect`: where two sides of one model part, and which of them is wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from engine.cli import options
from engine.cli.outcomes import CANNOT, DIFFER, VOID, UsageError, guarded, say

if TYPE_CHECKING:
    from engine.bisect.bisection import Bisection
    from engine.bisect.judge import Judgement
    from engine.bisect.session import Session
    from engine.bisect.store import Store
    from engine.gguf.reader import GgufFile
    from engine.parity.sides import Name

_SIDES: Final = "cpu, cpu-q8, cpu-q16, reference, cuda, cuda-f32 or a saved FILE.safetensors"
PROMPT: Final = "What is 2+2?"
DECODE: Final = 4


@guarded
def command(
    model: options.Model = None,
    teacher: options.Teacher = False,
    a: Annotated[str, typer.Option("--a", metavar="SIDE", help=f"The reference: {_SIDES}.")] = "cpu",
    b: Annotated[str, typer.Option("--b", metavar="SIDE", help="What is judged by it.")] = "reference",
    golden: Annotated[
        str | None,
        typer.Option(metavar="fp64|DIR", help="Judge both by a forward in float64, of here or of a saved folder."),
    ] = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", "-p", metavar="TEXT", help=f"What to run; default {PROMPT!r}.")
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="The prompt as it is, without the chat template.")] = False,
    decode: Annotated[
        int | None, typer.Option(metavar="N", help="Of the tokens, the last N come one by one; default 4.")
    ] = None,
    graft: Annotated[
        bool, typer.Option("--graft", help="Run the suspect operation alone, on the reference's input.")
    ] = False,
    margin: Annotated[
        float | None, typer.Option(metavar="X", help="A floor is X times what right computations differ; default 3.")
    ] = None,
    save: Annotated[Path | None, typer.Option(metavar="DIR", help="Keep the taps of both sides.")] = None,
    rejudge: Annotated[Path | None, typer.Option(metavar="DIR", help="Judge kept taps; runs no side.")] = None,
    emit_falsifier: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the first fault as test_*.py, and a contract beside it.")
    ] = None,
    self_test: Annotated[
        bool, typer.Option("--self-test", help="Put known faults into b, one by one: are they named?")
    ] = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with a map of all taps.")] = None,
    threads: options.Threads = None,
) -> int:
    """Where do two sides of a model part, and which of them is wrong?

    Every operation of both sides is held to float64 on the input that it had, and to a floor: what right computations
    in its precision differ by, measured on this model and prompt. Names layer, tap, position and channel of the first
    one beyond its floor. Exit code 0: within the floor; 1: a side is wrong; 3: the self-test failed; 4: cannot decide.
    """
    from engine.bisect import record
    from engine.bisect.bisection import Bisection
    from engine.bisect.distance import MARGIN
    from engine.bisect.session import open_session
    from engine.gguf.reader import open_gguf
    from engine.models import load_model
    from engine.ops import load_ops
    from engine.parity import sides

    names = {"a": sides.parse(a), "b": sides.parse(b)}
    if rejudge is not None and (self_test or (save, prompt, decode) != (None, None, None)):
        raise UsageError("--rejudge runs no side: it goes without --save, --prompt, --decode and --self-test")
    if margin is not None and not 0 < margin < float("inf"):
        raise UsageError(f"--margin is {margin}, must be > 0")
    options.check_threads(threads, "cpu" if any(name.backend == "cpu" for name in names.values()) else names["a"].text)
    path = options.model_path(model, teacher)
    asked = _Asked(path, golden, margin or MARGIN, graft, emit_falsifier, html, threads)
    asked.check()
    with open_gguf(path) as file:
        reference = load_model(file, load_ops("reference"))
        if rejudge is not None:
            session = open_session(rejudge)
            session.check_model(file)
            return _judge(Bisection(reference, session), asked, file)
        token_ids, one_by_one = _tokens(path, list(names.values()), prompt, raw, decode)
        with _folder(save) as folder:
            session = record.record(folder, file, reference, names, token_ids, decode=one_by_one, threads=threads)
            bisection = Bisection(reference, session)
            return _self_test(bisection, names["b"], asked) if self_test else _judge(bisection, asked, file)


@dataclass(frozen=True, slots=True)
class _Asked:
    model: Path
    golden: str | None
    margin: float
    graft: bool
    falsifier: Path | None
    html: Path | None
    threads: int | None

    def check(self) -> None:
        """Before the work: can what is asked for be written?"""
        from engine.bisect.reproduce import check

        if self.falsifier is not None:
            check(self.falsifier)
        for target in (self.falsifier, self.html):
            if target is not None and (not target.parent.is_dir() or target.is_dir()):
                raise UsageError(f"{target} cannot be written: its folder must exist, and it be no folder")


def _tokens(
    path: Path, names: Sequence[Name], prompt: str | None, raw: bool, decode: int | None
) -> tuple[list[int], int]:
    """What both sides run, and how many of the last tokens one by one: as a saved side had it, or as the flags say."""
    from engine.bisect.record import saved_ids
    from engine.parity import sides

    for name in names:
        if name.path is not None:
            if (prompt, decode) != (None, None):
                raise UsageError(f"{name.text} says which tokens were run; leave out --prompt and --decode")
            ids, one_by_one = saved_ids(name)
            return list(ids), one_by_one
    if decode is not None and decode < 0:
        raise UsageError(f"--decode is {decode}, must be >= 0")
    text = sys.stdin.read() if prompt == "-" else PROMPT if prompt is None else prompt
    with sides.load(sides.parse("reference"), path) as side:
        token_ids = side.llm.prompt_ids(text, raw=raw)
    return token_ids, min(DECODE, len(token_ids) - 1) if decode is None else decode


@contextmanager
def _folder(save: Path | None) -> Iterator[Path]:
    from tempfile import TemporaryDirectory

    from engine.bisect.record import folder_for

    if save is not None:
        yield folder_for(save)
        say(f"taps kept in {save}")
        return
    with TemporaryDirectory(prefix="q4k-bisect-") as temporary:
        yield Path(temporary)


def _judge(bisection: Bisection, asked: _Asked, file: GgufFile) -> int:
    from engine.bisect import page, text
    from engine.bisect.graft import grafts
    from engine.bisect.judge import Verdict

    golden, elsewhere = _golden(bisection.session, asked.golden, file)
    judgement = bisection.judgement(golden=golden, elsewhere=elsewhere, margin=asked.margin)
    grafted = (
        grafts(bisection, judgement, asked.model, threads=asked.threads, margin=asked.margin) if asked.graft else []
    )
    coverage = bisection.coverage(judgement)
    for line in text.lines(judgement, bisection.session, coverage, grafted):
        print(line)
    if asked.html is not None:
        page.write(asked.html, judgement, bisection.session, coverage, grafted)
        say(f"{asked.html} written")
    if asked.falsifier is not None:
        _emit(judgement, bisection.session, asked.falsifier, asked.margin)
    if judgement.verdict is Verdict.WITHIN:
        return 0
    return DIFFER if judgement.verdict.is_decided else CANNOT


def _golden(session: Session, asked: str | None, file: GgufFile) -> tuple[str, Store | None]:
    """What to call the golden forward, and where it is if not in the session."""
    from engine.bisect.bisection import FP64
    from engine.bisect.session import GOLDEN, open_session
    from engine.errors import ParityError

    if asked is None or asked == FP64:
        return asked or "", None
    other = open_session(Path(asked))
    other.check_model(file)
    if other.token_ids != session.token_ids:
        raise ParityError(f"{asked}: its golden forward is of other tokens; save it with the same prompt")
    return asked, other.store(GOLDEN)


def _emit(judgement: Judgement, session: Session, target: Path, margin: float) -> None:
    from engine.bisect.reproduce import write

    blamed = [first for first in judgement.found if first.side]
    if not blamed:
        say(f"{target} not written: no side is blamed")
        return
    for path in write(blamed[0], session, blamed[0].side, target, margin=margin):
        say(f"{path} written")


def _self_test(bisection: Bisection, name: Name, asked: _Asked) -> int:
    from engine.bisect.selftest import one_of_each, trials
    from engine.parity import sides

    if name.path is not None:
        raise UsageError(f"--self-test puts faults into b, and {name.text} is a file; let b be cpu or reference")
    wanted = one_of_each(bisection.plan)
    right = 0
    with sides.load(name, asked.model, threads=asked.threads) as side:
        for trial in trials(bisection, side, wanted, margin=asked.margin):
            right += trial.is_right
            mark = "named " if trial.is_right else "MISSED"
            print(
                f"{mark} {trial.operation:<10} {trial.wanted.place!s:<24} {trial.wanted.times:g} floors, "
                f"{trial.wanted.shape}{'' if trial.is_right else f': {trial.verdict}, {trial.named}'}"
            )
    print(f"self-test: {right} of {len(wanted)} faults named")
    return 0 if right == len(wanted) else VOID
