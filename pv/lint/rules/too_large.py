from __future__ import annotations

from pv.lint.rule import LoaderRule


class TooLarge(LoaderRule):
    """A file, a key or a number of values is beyond what a contract ever needs.

    ## What it does
    Refuses files over 1 MiB before they are parsed, and keys and counts that no contract has.

    ## Why is this bad?
    A contract is read by people. Data of that size belongs into a test's own files.

    ## Example
    A contract with a recorded tensor pasted into its description.

    ## Use instead
    A test that reads the tensor from `tests/data/` and a contract that says what must hold.

    ## References
    - https://cwe.mitre.org/data/definitions/400.html
    """

    name = "too-large"
    fix = "split it into several contracts, and keep data in files of the tests"
