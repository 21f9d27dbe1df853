from __future__ import annotations

from pv.lint.rule import LoaderRule


class WrongType(LoaderRule):
    """A value is a text, list or mapping where another of the three is expected.

    ## What it does
    Compares the shape of every value with the contract schema.

    ## Why is this bad?
    `targets: cpu` read as a list of three letters, or a list read as one text, would be a different claim.

    ## Example
    ```yaml
    targets: cpu
    ```

    ## Use instead
    ```yaml
    targets: [cpu]
    ```

    ## References
    - `pv schema` prints what every key expects
    """

    name = "wrong-type"
    fix = "write it as the schema expects; 'pv schema' prints it"
