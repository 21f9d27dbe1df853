from __future__ import annotations

from pv.lint.rule import LoaderRule


class EmptyFile(LoaderRule):
    """A contract file is empty.

    ## What it does
    Refuses files of nothing but blanks and comments.

    ## Why is this bad?
    A file in the contracts' folder looks like a promise. Empty is never green.

    ## Example
    ```yaml
    # contract goes here
    ```

    ## Use instead
    A contract, or no file.

    ## References
    - `pv schema` prints the keys of a contract
    """

    name = "empty-file"
    fix = "write the contract, or delete the file"
