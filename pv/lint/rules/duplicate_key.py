from __future__ import annotations

from pv.lint.rule import LoaderRule


class DuplicateKey(LoaderRule):
    """A mapping has the same key twice.

    ## What it does
    Compares the keys of every mapping after quotes and escapes are resolved.

    ## Why is this bad?
    Common YAML readers keep the last value and say nothing. A limit that a reviewer reads may not be the one that is
    checked.

    ## Example
    ```yaml
    tolerance:
      limit: 1.0e-3
      limit: 1.0e-1
    ```

    ## Use instead
    ```yaml
    tolerance:
      limit: 1.0e-3
    ```

    ## References
    - https://yaml.org/spec/1.2.2/#3213-node-comparison
    """

    name = "duplicate-key"
    fix = "keep one of the two"
