"""Jinja2 templates of this package: pages escape everything, source text is rendered strictly.

Loaded when something is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "templates"


def text(name: str, values: Mapping[str, Any]) -> str:
    """Render one template; a name that it uses and `values` lacks is an error of ours."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        # the others are Python and YAML, whose templates quote every value themselves
        autoescape=name.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name).render(values)
