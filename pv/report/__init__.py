"""Renderers: from findings and standings alone to text; nothing here reads a file or prints."""

from __future__ import annotations

from collections.abc import Callable

from pv.report import github, json, sarif, text
from pv.report.findings import FindingReport

REPORTERS: dict[str, Callable[[FindingReport], str]] = {
    "full": text.full,
    "concise": text.concise,
    "json": json.findings,
    "sarif": sarif.findings,
    "github": github.findings,
}
"""Output formats of `pv lint` and `pv validate` by the name on the command line."""
