from __future__ import annotations

from pv.lint.rule import LoaderRule


class MergeKey(LoaderRule):
    """A mapping uses a merge key.

    ## What it does
    Refuses `<<`.

    ## Why is this bad?
    A merge key pulls in keys from elsewhere, so what a claim says is not where the claim stands. YAML 1.2 does not
    have it, and readers disagree.

    ## Example
    ```yaml
    <<: *defaults
    id: rope
    ```

    ## Use instead
    ```yaml
    id: rope
    version: 1.0.0
    ```

    ## References
    - https://yaml.org/type/merge.html
    """

    name = "merge-key"
    fix = "write the keys out"
