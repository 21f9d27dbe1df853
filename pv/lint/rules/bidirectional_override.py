from __future__ import annotations

from pv.lint.rule import LoaderRule
from pv.schema.finding import Severity


class BidirectionalOverride(LoaderRule):
    """A text contains a Unicode control that changes its direction.

    ## What it does
    Reports U+202A to U+202E and U+2066 to U+2069 anywhere in a file.

    ## Why is this bad?
    The line reads differently on screen from what is stored: a reviewer sees another limit than the one that is
    checked.

    ## Example
    A `limit` or `property` with U+202E (right-to-left override) in front of its digits.

    ## Use instead
    The same text without the control character.

    ## References
    - https://trojansource.codes
    """

    name = "bidirectional-override"
    severity = Severity.WARNING
    fix = "remove it, or say in words what stands there"
