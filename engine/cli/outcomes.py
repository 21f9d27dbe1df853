"""From whatever a command ends with to an exit code and at most one line on stderr.

0 done, or two sides agree   1 two sides differ   2 usage, or the input is refused
3 void: the self-check of `q4k eval` failed, nothing was measured
4 cannot: the backend asked for is not available, generated code cannot be isolated, or two sides cannot be decided on
5 internal error   130 interrupted   141 the reader of the output went away
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final, ParamSpec

import typer

DIFFER: Final = 1
REFUSED: Final = 2
VOID: Final = 3
CANNOT: Final = 4
INTERNAL: Final = 5
INTERRUPTED: Final = 130
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
OUTPUT_CLOSED: Final = 141  # 128 + SIGPIPE, what a shell reports for a program in the middle of a pipe

TRACEBACK: Final = "Q4K_TRACEBACK"
"""Environment variable: anything but empty or 0 shows the traceback of an internal error."""

_P = ParamSpec("_P")


class UsageError(Exception):
    """Flags that contradict each other, or none where one is needed."""


def open_closed_streams() -> None:
    """Python has None where a stream is closed (`q4k ... >&-`); then nothing is read, and output is dropped."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - never closed


def say(message: str) -> None:
    """One line on stderr, whatever the message holds; a closed stderr is not an error."""
    line = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in message)
    with contextlib.suppress(OSError, ValueError):
        print(f"q4k: {line}", file=sys.stderr, flush=True)


def guarded(command: Callable[_P, int | None]) -> Callable[_P, None]:
    """Wrap a command so that it always ends with one of this module's exit codes; one that gives none is done."""

    @functools.wraps(command)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> None:
        raise typer.Exit(exit_code(lambda: command(*args, **kwargs)))

    return run


def exit_code(run: Callable[[], object]) -> int:
    """Run and say what went wrong, if anything; what it gives is the code, if it is a number."""
    try:
        code = run()
        sys.stdout.flush()
    except BrokenPipeError:
        _silence_stdout()
        return OUTPUT_CLOSED
    except OSError as err:
        if err.errno not in _NO_ROOM:
            _flush()
            return _of_error(err)
        _silence_stdout()
        say(f"output cannot be written: {(err.strerror or str(err)).lower()}")
        return REFUSED
    except KeyboardInterrupt:
        _flush()
        say("interrupted")
        return INTERRUPTED
    except UsageError as err:
        say(str(err))
        return REFUSED
    except Exception as err:
        _flush()
        return _of_error(err)
    return code if isinstance(code, int) else 0


def _of_error(err: Exception) -> int:
    from engine.errors import BackendError, BoxError, EngineError, VoidError

    if isinstance(err, EngineError):
        say(str(err))
        if isinstance(err, VoidError):
            return VOID
        return CANNOT if isinstance(err, BackendError | BoxError) else REFUSED
    if os.environ.get(TRACEBACK, "0") not in ("", "0"):
        traceback.print_exception(err)
    detail = " ".join(str(err).split())[:300]
    say(f"internal error: {type(err).__name__}: {detail}; set {TRACEBACK}=1 to see where, and please report it")
    return INTERNAL


def _flush() -> None:
    """What was printed comes before the message about what went wrong."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        _silence_stdout()


def _silence_stdout() -> None:
    """Python flushes stdout once more when it ends, and would complain about the closed pipe."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
    except (OSError, ValueError):
        pass
