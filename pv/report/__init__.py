"""Renderers: from findings and standings alone to text; nothing here reads a file or prints."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from pv.report.findings import FindingReport


def _renderer(module: str, function: str) -> Callable[[FindingReport], str]:
    """Imported when it is called: a command prints in one format."""

    def render(report: FindingReport) -> str:
        rendered: str = getattr(import_module(f"pv.report.{module}"), function)(report)
        return rendered

    return render


REPORTERS: dict[str, Callable[[FindingReport], str]] = {
    "full": _renderer("text", "full"),
    "concise": _renderer("text", "concise"),
    "json": _renderer("json", "findings"),
    "sarif": _renderer("sarif", "findings"),
    "github": _renderer("github", "findings"),
}
"""Output formats of `pv lint` and `pv validate` by the name on the command line."""
