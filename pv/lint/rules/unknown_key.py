from __future__ import annotations

from pv.lint.rule import LoaderRule


class UnknownKey(LoaderRule):
    """A key does not exist.

    ## What it does
    Refuses every key that the schema does not have, at every level, and names the nearest one that it has.

    ## Why is this bad?
    A misspelt key that is ignored is a claim that silently disappears: `tolerence` would leave the obligation without
    any limit.

    ## Example
    ```yaml
    tolerence: {metric: relative_error, limit: 1.0e-6, unit: "1", reason: ...}
    ```

    ## Use instead
    ```yaml
    tolerance: {metric: relative_error, limit: 1.0e-6, unit: "1", reason: ...}
    ```

    ## References
    - `pv schema` prints the keys of a contract
    """

    name = "unknown-key"
    fix = "correct the key, or remove it"
