"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum


class FindingFormat(StrEnum):
    """Names as in ruff; `pv.report.REPORTERS` has one renderer for each."""

    FULL = "full"
    CONCISE = "concise"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"
