from __future__ import annotations

from pv.lint.rule import LoaderRule


class NotAMapping(LoaderRule):
    """A file holds a list or a single value.

    ## What it does
    Expects keys and values at the top of a contract file.

    ## Why is this bad?
    The file says nothing that could be checked. Often a dash stands in front of the first key.

    ## Example
    ```yaml
    - id: rope
      version: 1.0.0
    ```

    ## Use instead
    ```yaml
    id: rope
    version: 1.0.0
    ```

    ## References
    - `pv schema` prints the keys of a contract
    """

    name = "not-a-mapping"
    fix = "write keys and values at the top of the file"
