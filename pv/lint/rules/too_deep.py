from __future__ import annotations

from pv.lint.rule import LoaderRule


class TooDeep(LoaderRule):
    """A file nests collections deeper than a contract ever needs.

    ## What it does
    Refuses deep nesting before a parser sees it.

    ## Why is this bad?
    Thirty thousand brackets fit into 30 KB and crash common YAML parsers, some of them without a message.

    ## Example
    A value of several hundred opening brackets.

    ## Use instead
    The mapping or list that the schema asks for; a contract needs about five levels.

    ## References
    - https://cwe.mitre.org/data/definitions/674.html
    """

    name = "too-deep"
    fix = "write the structure that 'pv schema' prints"
