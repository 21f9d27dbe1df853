from __future__ import annotations

from pv.lint.rule import LoaderRule


class InvalidValue(LoaderRule):
    """A value is not one that its key allows.

    ## What it does
    Checks every value against the contract schema: ids, versions, numbers, dates, targets and closed vocabularies. The
    key decides how its text is read, so `1e-3` is a number where a number is asked for and `no` is text elsewhere.

    ## Why is this bad?
    A value that is read as something else changes the claim, and one that is ignored weakens it.

    ## Example
    ```yaml
    kind: kernels
    version: 1.2
    ```

    ## Use instead
    ```yaml
    kind: kernel
    version: 1.2.0
    ```

    ## References
    - `pv schema` prints what every key allows
    """

    name = "invalid-value"
    fix = "write a value that the schema allows; 'pv schema' prints it"
