"""`pv schema`: the JSON Schema of contract files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def command(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to a file instead of stdout.")
    ] = None,
) -> None:
    """Print the JSON Schema of contract files, for editors.

    With the YAML language server, put this line at the top of a contract:
    # yaml-language-server: $schema=path/to/contract.schema.json
    """
    import json

    from pv.errors import UsageError
    from pv.schema.json_schema import contract_schema

    text = json.dumps(contract_schema(), indent=2, ensure_ascii=False) + "\n"
    if output is None:
        sys.stdout.write(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as err:
        raise UsageError(f"{output}: cannot write the schema: {(err.strerror or str(err)).lower()}") from err
