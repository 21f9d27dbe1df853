from __future__ import annotations

from pv.lint.rule import LoaderRule


class Alias(LoaderRule):
    """A file uses an anchor or an alias.

    ## What it does
    Refuses `&name` and `*name`.

    ## Why is this bad?
    One place of the file silently stands for another, so an edit here changes a claim there. Nested aliases also let a
    few hundred bytes grow into gigabytes.

    ## Example
    ```yaml
    tolerance: &strict {metric: relative_error, limit: 1.0e-6, unit: "1", reason: ...}
    # further down
    tolerance: *strict
    ```

    ## Use instead
    ```yaml
    tolerance: {metric: relative_error, limit: 1.0e-6, unit: "1", reason: ...}
    ```

    ## References
    - https://yaml.org/spec/1.2.2/#71-alias-nodes
    """

    name = "alias"
    fix = "write the value out; text that starts with & or * needs quotes"
