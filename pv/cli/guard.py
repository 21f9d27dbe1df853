"""From whatever a command ends with to an exit code and at most one line on stderr.

0 clean   1 findings or FALSIFIED   2 usage or configuration   3 nothing to check
4 cannot decide   5 internal error   130 interrupted   141 the reader of the output went away
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import Final

import typer

from pv.errors import PvError
from pv.suggest import did_you_mean

INTERNAL: Final = 5
INTERRUPTED: Final = 130
OUTPUT_CLOSED: Final = 141  # 128 + SIGPIPE, what a shell reports for a program in the middle of a pipe

TRACEBACK: Final = "PV_TRACEBACK"
"""Environment variable: anything but empty or 0 shows the traceback of an internal error."""

# Typer carries click inside and exports only this one of its exception classes:
# ClickException > UsageError > BadParameter.
_ArgumentError: Final[type[Exception]] = typer.BadParameter.__mro__[2]


class OutputClosed(Exception):  # noqa: N818 - an outcome, not a failure
    """Nobody reads stdout any more, as after `pv lint | head`."""


class Interrupted(Exception):  # noqa: N818 - an outcome, not a failure
    """Ctrl-C."""


def guarded(run: Callable[[], object]) -> int:
    """Run a command line and give its exit code; only `SystemExit` passes through.

    Args:
        run: gives None or an exit code.
    """
    try:
        code = run()
        sys.stdout.flush()
    except (OutputClosed, BrokenPipeError):
        _silence_stdout()
        return OUTPUT_CLOSED
    except (Interrupted, KeyboardInterrupt):
        _say("interrupted")
        return INTERRUPTED
    except PvError as err:
        _flush()
        _say(str(err))
        return err.exit_code
    except _ArgumentError as err:
        _say(_argument_error(err))
        return 2
    except OSError as err:
        # A disk, a permission, a limit: nothing that a report to us would mend.
        _flush()
        _show_traceback()
        _say(f"{_relative(err.filename)}: {err.strerror or err}")
        return 2
    except Exception as err:  # the last line of defence: nobody sees a traceback unasked
        _flush()
        _show_traceback()
        detail = " ".join(str(err).split())[:300]
        _say(f"internal error: {type(err).__name__}: {detail}; set {TRACEBACK}=1 to see where, and please report it")
        return INTERNAL
    return code if isinstance(code, int) else 0


def _show_traceback() -> None:
    if os.environ.get(TRACEBACK, "0") not in ("", "0"):
        traceback.print_exc()


def _relative(path: object) -> str:
    """A path as the user would write it; outside the working directory it stays as it is."""
    if not isinstance(path, str) or not path:
        return "a file cannot be used"
    near = os.path.relpath(path)
    return path if near.startswith("..") else near


def _argument_error(err: Exception) -> str:
    context = getattr(err, "ctx", None)
    place = f"{context.command_path}: " if context is not None else ""
    if not hasattr(err, "format_message"):
        return f"{place}{err}"
    message: str = err.format_message()
    if "\n" in message:
        return message  # the help page, for a command without arguments
    option = getattr(err, "option_name", None)
    if isinstance(option, str) and message.startswith("No such option"):
        known = (
            [name for parameter in context.command.get_params(context) for name in parameter.opts] if context else []
        )
        message = f"no such option {option!r}{did_you_mean(option, known)}"
    else:
        message = message.replace("Value error, ", "").rstrip(".")
        message = message[:1].lower() + message[1:]
    see = f" (see {context.command_path} --help)" if context is not None else ""
    return f"{place}{message}{see}"


def _say(message: str) -> None:
    try:
        named = "\n" in message or message.startswith(("pv ", "pv:", "pv-contracts"))
        print(message if named else f"pv: {message}", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        pass  # stderr is closed as well; the exit code is all that is left


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
