from __future__ import annotations

from pv.lint.rule import LoaderRule


class YamlSyntax(LoaderRule):
    """A file is not YAML.

    ## What it does
    Reports the place at which the YAML parser gave up.

    ## Why is this bad?
    Nothing in the file was checked. A tool that skips such a file turns a typing error into a green report.

    ## Example
    ```yaml
    title: Rope: rotary embedding
    ```

    ## Use instead
    ```yaml
    title: "Rope: rotary embedding"
    ```

    ## References
    - https://yaml.org/spec/1.2.2/
    """

    name = "yaml-syntax"
    fix = "look for a missing quote, a colon inside a text, or a wrong indentation"
