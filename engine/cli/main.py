"""`q4k`: the application and its global options.

Commands import what they need when they run, so that `q4k --help` stays fast.
"""

from __future__ import annotations

import sys
from typing import Annotated, Final, NoReturn

import typer

from engine.cli import bench, bisect, chat, eval, inspect, parity, run, serve, trace  # noqa: A004 - commands are named as users type them
from engine.cli.outcomes import REFUSED, exit_code, open_closed_streams, say

SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

# \b keeps the lines as they are.
EPILOG = """\b
Exit codes:
  0  done, or two sides agree              4    cannot: no such backend, no verdict
  1  two sides differ                      5    internal error
  2  usage, or the input is refused        130  interrupted
  3  void: a self-check failed
"""

# Typer carries click inside and exports only this one of its exception classes:
# ClickException > UsageError > BadParameter.
_ArgumentError: Final[type[Exception]] = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="q4k",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    context_settings=SETTINGS,
    epilog=EPILOG,
)
for _module in (run, chat, serve, inspect, trace, parity, bisect, bench, eval):
    app.command(_module.__name__.rpartition(".")[2])(_module.command)


def _print_version(asked: bool) -> None:
    if asked:
        import platform
        from importlib.metadata import version

        print(f"q4k {version('pv-contracts')} (python {platform.python_version()})")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Run quantised GGUF models."""


def main() -> NoReturn:
    """Entry point of `q4k`."""
    open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        # A terminal without UTF-8 shows an escape instead of ending the run.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    code = 0

    def run_app() -> None:
        nonlocal code
        try:
            code = app(prog_name="q4k", standalone_mode=False) or 0
        except _ArgumentError as err:
            _say_argument_error(err)
            code = REFUSED

    sys.exit(exit_code(run_app) or code)


def _say_argument_error(err: Exception) -> None:
    message: str = err.format_message() if hasattr(err, "format_message") else str(err)
    if "\n" in message:
        print(message, file=sys.stderr)  # the help page, for a command line without arguments
        return
    context = getattr(err, "ctx", None)
    see = f" (see {context.command_path} --help)" if context is not None else ""
    say(f"{message[:1].lower()}{message[1:].rstrip('.')}{see}")
