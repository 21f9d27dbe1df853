from __future__ import annotations

from pv.lint.rule import LoaderRule
from pv.schema.finding import Severity


class MoreFindings(LoaderRule):
    """A file has more findings than are shown.

    ## What it does
    Counts what was left out after the first hundred findings of one file.

    ## Why is this bad?
    It is not; the note only keeps the report honest about its length.

    ## Example
    A file with a thousand unknown keys.

    ## Use instead
    Repair the first findings and run the command again; many of the others usually have the same cause.

    ## References
    - `pv explain unknown-key`
    """

    name = "more-findings"
    severity = Severity.INFO
    fix = "repair the findings that are shown and run the command again"
