from __future__ import annotations

from pv.lint.rule import LoaderRule


class Tag(LoaderRule):
    """A value has a YAML tag.

    ## What it does
    Refuses `!name` and `!!name`.

    ## Why is this bad?
    A tag changes the type of a value, and in some readers it runs code. In a contract the key decides the type.

    ## Example
    ```yaml
    limit: !!float 1
    ```

    ## Use instead
    ```yaml
    limit: 1.0
    ```

    ## References
    - https://yaml.org/spec/1.2.2/#69-node-properties
    """

    name = "tag"
    fix = "remove the tag; text that starts with ! needs quotes"
