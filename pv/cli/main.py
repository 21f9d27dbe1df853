"""`pv`: the application, its global options, and where every command ends."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Annotated, NoReturn

import typer

from pv.cli.group import SETTINGS, LazyGroup
from pv.cli.guard import guarded

# \b keeps the lines as they are.
EPILOG = """\b
Exit codes:
  0  clean                    4    cannot decide: missing, stale, wrong target
  1  findings, or FALSIFIED   5    internal error
  2  usage or configuration   130  interrupted
  3  nothing to check
"""

app = typer.Typer(
    name="pv",
    cls=LazyGroup,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings=SETTINGS,
    epilog=EPILOG,
)


def _print_version(asked: bool) -> None:
    if asked:
        import platform

        from pv import __version__

        print(f"pv {__version__} (python {platform.python_version()})")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Contracts about quantised models, checked by running code."""


def run(arguments: Sequence[str], name: str = "pv") -> int:
    """One command line; its exit code.

    Args:
        arguments: without the program's name.
        name: of the program, as messages show it.
    """
    return guarded(lambda: app(args=list(arguments), prog_name=name, standalone_mode=False))


def main() -> NoReturn:
    """Entry point of `pv` and `python -m pv`."""
    # A catalog is a million objects without cycles; looking for cycles at the usual pace is a third of a long lint.
    gc.set_threshold(200_000, 30, 30)
    # Plugins of pydantic would watch or change how contracts are read, and looking for one opens every distribution's
    # metadata. Tests of the project run in processes of their own, which do not see this.
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    for stream in (sys.stdout, sys.stderr):
        # A terminal without UTF-8 shows an escape instead of ending the run.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # `pv` is also a pipe viewer on many machines, hence the second name.
    name = "pv-contracts" if sys.argv[0].endswith("pv-contracts") else "pv"
    sys.exit(run(sys.argv[1:], name))
