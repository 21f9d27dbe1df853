from __future__ import annotations

from pv.lint.rule import LoaderRule


class ForbiddenCharacter(LoaderRule):
    """A file contains a control character or a hidden line break.

    ## What it does
    Refuses control characters other than tab and line feed, lone carriage returns, next line (U+0085), line and
    paragraph separators (U+2028, U+2029), U+FEFF inside a file, noncharacters, and halves of surrogate pairs.

    ## Why is this bad?
    Editors show one line where some readers see two, so a key can hide behind another value. A control character can
    rewrite a terminal.

    ## Example
    A value with U+0085 in it: `standing: PARTIAL<U+0085>title: another`.

    ## Use instead
    An ordinary line break, or an escape such as `"\\x1b"` in double quotes where the character itself is meant.

    ## References
    - https://yaml.org/spec/1.2.2/#51-character-set
    """

    name = "forbidden-character"
    fix = "remove it, or write it as an escape in double quotes"
