from __future__ import annotations

from pv.lint.rule import LoaderRule


class MissingKey(LoaderRule):
    """A required key is missing.

    ## What it does
    Checks that every mapping of a contract has the keys that the schema asks for. There are no defaults for what a
    claim means: kind, type, refutes, targets.

    ## Why is this bad?
    An assumed value is a claim that nobody made.

    ## Example
    ```yaml
    falsifiers:
      - id: FALSIFY-ROPE-001
        test: falsifiers/test_rope.py::test_keeps_norm
    ```

    ## Use instead
    ```yaml
    falsifiers:
      - id: FALSIFY-ROPE-001
        refutes: [keeps-norm]
        prediction: rotation keeps the norm of every pair
        test: falsifiers/test_rope.py::test_keeps_norm
        targets: [cpu]
        if_fails: look at the pairing of dimensions first
    ```

    ## References
    - `pv schema` prints the keys of a contract
    """

    name = "missing-key"
    fix = "add the key"
