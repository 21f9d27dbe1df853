from __future__ import annotations

from pv.lint.rule import LoaderRule


class KeyNotText(LoaderRule):
    """A key is not a word.

    ## What it does
    Refuses keys that are empty, lists or mappings.

    ## Why is this bad?
    No key of a contract looks like that. Usually a bracket or a colon is in the wrong place, and the rest of the line
    is read as something that nobody wrote.

    ## Example
    ```yaml
    ? [cpu, cuda]
    : 120
    ```

    ## Use instead
    ```yaml
    targets: [cpu, cuda]
    timeout_s: 120
    ```

    ## References
    - https://yaml.org/spec/1.2.2/#82-block-collection-styles
    """

    name = "key-not-text"
    fix = "write a plain word as key"
