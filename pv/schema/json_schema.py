"""The JSON Schema of contract files, for editors; draft 2020-12.

It accepts what `pv.load` accepts as far as a JSON Schema can say it: a field of text also takes the numbers and flags
that an editor's YAML reader makes of unquoted text such as `unit: 1`.
"""

from __future__ import annotations

import ast
import inspect
import sys
from functools import cache
from typing import Any, Final

from pydantic import BaseModel

from pv.schema.contract import Contract

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_ID: Final = "urn:pv-contracts:contract:1"
"""The number rises when a file that was valid stops being so."""

# pydantic writes these two, which are Python's, where a constraint stands outside a validator.
_LIMITS: Final = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}

_NAMES: Final = ("properties", "$defs", "patternProperties")
"""Keywords whose keys are names, not keywords."""


def contract_schema() -> dict[str, Any]:
    schema = Contract.model_json_schema(mode="validation")
    definitions = schema.pop("$defs")
    for name, definition in {"Contract": schema, **definitions}.items():
        _describe(name, definition)
    body = {**schema, "$defs": dict(sorted(definitions.items()))}
    return {"$schema": DIALECT, "$id": SCHEMA_ID, **_tidy(body), "title": "pv contract"}


def _describe(name: str, definition: dict[str, Any]) -> None:
    model = getattr(sys.modules[Contract.__module__], name, None)
    if isinstance(model, type) and issubclass(model, BaseModel):
        for field, text in _field_docs(model).items():
            definition["properties"][field]["description"] = text


@cache
def _field_docs(model: type[BaseModel]) -> dict[str, str]:
    """The string below each field, which Python itself does not keep."""
    body = ast.parse(inspect.getsource(model)).body[0]
    assert isinstance(body, ast.ClassDef)
    docs: dict[str, str] = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            docs[field.target.id] = inspect.cleandoc(below.value.value)
    return docs


def _tidy(node: Any, parent: str = "") -> Any:
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    if parent in _NAMES:
        return {key: _tidy(value) for key, value in node.items()}
    # Titles repeat the key; a null default or type says no more than that the key may be left out.
    kept = {key: value for key, value in node.items() if key != "title" and not (key == "default" and value is None)}
    if _is_optional(kept):
        kept = {**kept.pop("anyOf")[0], **kept}
    tidy = {_LIMITS.get(key, key): _tidy(value, key) for key, value in kept.items()}
    if "patternProperties" in tidy:
        tidy["additionalProperties"] = False
    if tidy.get("type") == "string" and not tidy.keys() & {"pattern", "enum", "const", "format"}:
        tidy |= {"type": ["string", "number", "boolean"], "pattern": r"\S"}
    return tidy


def _is_optional(node: dict[str, Any]) -> bool:
    return len(node.get("anyOf", ())) == 2 and node["anyOf"][1] == {"type": "null"}
