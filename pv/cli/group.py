"""Commands that are imported when they are called, so that `pv --help` stays fast."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup

from pv.cli.guard import Interrupted, OutputClosed
from pv.suggest import did_you_mean

SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@dataclass(frozen=True, slots=True)
class Entry:
    """One command: the function `command`, or the group `app`, in `pv.cli.<name>`."""

    name: str
    section: str
    summary: str
    """One line for `pv --help`, where the command's own module is not imported."""


COMMANDS: Final = (
    Entry("validate", "Check", "Check contracts against the format and each other."),
    Entry("lint", "Check", "Validate, plus every rule and every binding to a test."),
    Entry("diff", "Check", "Classify changes of contracts, and check their versions."),
    Entry("discharge", "Prove", "Run falsifiers, challenge them, record evidence."),
    Entry("challenge", "Prove", "Seed faults, and see which falsifier notices."),
    Entry("status", "Decide", "Show where every claim stands, and what is missing."),
    Entry("evidence", "Decide", "Verify, show, list, merge and export evidence."),
    Entry("gate", "Decide", "Answer a release question: YES, NO or CANNOT DECIDE."),
    Entry("explain", "Understand", "Explain a rule, a standing or the exit codes."),
    Entry("rules", "Understand", "List the rules."),
    Entry("schema", "Understand", "Print the JSON Schema of contract files."),
)


class LazyGroup(TyperGroup):
    """The `pv` command."""

    _entries: Final = {entry.name: entry for entry in COMMANDS}

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - click's signature
        return list(self._entries)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        if cmd_name not in self._entries:
            return None
        module = import_module(f"pv.cli.{cmd_name}")
        if hasattr(module, "app"):
            group = typer.main.get_command(module.app)
            group.name = cmd_name
            return group
        app = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings=SETTINGS)
        app.command(cmd_name)(module.command)
        return typer.main.get_command(app)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if name not in self._entries and not name.startswith("-") and not ctx.resilient_parsing:
            ctx.fail(f"no such command {name!r}{did_you_mean(name, self._entries)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        for section in dict.fromkeys(entry.section for entry in COMMANDS):
            with formatter.section(section):
                # Equal first columns over all sections.
                width = max(len(entry.name) for entry in COMMANDS)
                formatter.write_dl(
                    [(entry.name.ljust(width), entry.summary) for entry in COMMANDS if entry.section == section]
                )

    def invoke(self, ctx: Any) -> Any:
        # Typer would turn these two into its own exit codes.
        try:
            return super().invoke(ctx)
        except BrokenPipeError as err:
            raise OutputClosed from err
        except KeyboardInterrupt as err:
            raise Interrupted from err
