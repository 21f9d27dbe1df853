from __future__ import annotations

from pv.lint.rule import LoaderRule


class Directive(LoaderRule):
    """A file starts with a YAML directive.

    ## What it does
    Refuses `%YAML`, `%TAG` and every other line that starts with a percent sign before the first document.

    ## Why is this bad?
    A directive changes how the rest is read. All contracts are read by one fixed set of rules.

    ## Example
    ```yaml
    %YAML 1.1
    ---
    id: rope
    ```

    ## Use instead
    ```yaml
    id: rope
    ```

    ## References
    - https://yaml.org/spec/1.2.2/#68-directives
    """

    name = "directive"
    fix = "remove the line"
