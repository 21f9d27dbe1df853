from __future__ import annotations

from pv.lint.rule import LoaderRule


class SeveralDocuments(LoaderRule):
    """A file holds several YAML documents.

    ## What it does
    Refuses a second document after `---`.

    ## Why is this bad?
    One file is one contract. Most readers take the first document only, and the rest would be a promise nobody checks.

    ## Example
    ```yaml
    id: rope
    ---
    id: rms-norm
    ```

    ## Use instead
    Two files, one contract in each.

    ## References
    - https://yaml.org/spec/1.2.2/#92-streams
    """

    name = "several-documents"
    fix = "put each contract into a file of its own"
