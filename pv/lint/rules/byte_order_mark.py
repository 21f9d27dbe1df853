from __future__ import annotations

from pv.lint.rule import LoaderRule
from pv.schema.finding import Severity


class ByteOrderMark(LoaderRule):
    """A file starts with a byte order mark.

    ## What it does
    Reports U+FEFF at the very beginning; the rest of the file is read as if it were not there.

    ## Why is this bad?
    UTF-8 has one byte order, so the mark says nothing, and tools that compare bytes see two different files.

    ## Example
    A file that begins with the bytes `EF BB BF`.

    ## Use instead
    A file that begins with its first key.

    ## References
    - https://www.unicode.org/faq/utf_bom.html
    """

    name = "byte-order-mark"
    severity = Severity.WARNING
    fix = "save the file without the mark"
