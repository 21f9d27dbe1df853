from __future__ import annotations

from pv.lint.rule import LoaderRule


class NotUtf8(LoaderRule):
    """A file is not UTF-8.

    ## What it does
    Decodes the file strictly and refuses the first byte that does not fit; UTF-16 is refused by its first two bytes.

    ## Why is this bad?
    Every guess at another encoding changes some texts silently.

    ## Example
    A file saved as Latin-1 with a u-umlaut, the single byte `FC`.

    ## Use instead
    The same file saved as UTF-8.

    ## References
    - https://www.rfc-editor.org/rfc/rfc3629
    """

    name = "not-utf-8"
    fix = "save the file as UTF-8"
