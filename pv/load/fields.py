"""What a schema model says about a key path: its known keys, and its patterns in words."""

from __future__ import annotations

import types
import typing
from functools import cache
from typing import Any, Final

from pydantic import BaseModel, StringConstraints

from pv.load.nodes import KeyPath
from pv.schema import base, verdict


def fields_at(model: type[BaseModel], path: KeyPath) -> tuple[str, ...]:
    """Keys, as written in YAML, of the model at `path`; nothing where no model stands."""
    annotation: Any = model
    for part in path:
        annotation = _step(annotation, part)
    found = _model(annotation)
    if found is None:
        return ()
    return tuple(field.alias or name for name, field in found.model_fields.items())


def _step(annotation: Any, part: str | int) -> Any:
    found = _model(annotation)
    if found is not None:
        for name, field in found.model_fields.items():
            if part in (name, field.alias):
                return field.annotation
        return None
    for candidate in _unwrap(annotation):
        origin, arguments = typing.get_origin(candidate), typing.get_args(candidate)
        if origin in (tuple, list) and isinstance(part, int):
            return arguments[0]
        if origin is dict:
            return arguments[1]
    return None


def _model(annotation: Any) -> type[BaseModel] | None:
    for candidate in _unwrap(annotation):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _unwrap(annotation: Any) -> list[Any]:
    """Without Annotated, each member of a union."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _unwrap(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [member for argument in typing.get_args(annotation) for member in _unwrap(argument)]
    return [annotation]


_WORDS: Final = (
    (base.SlugId, "lower-case words joined by one of - _ . /, such as 'q4k-dequant'"),
    (base.FalsifierId, "words joined by one of - _ . /, such as 'FALSIFY-Q4K-001'"),
    (base.SemVer, "a version of three numbers such as '1.0.0'"),
    (base.FaultRef, "a fault such as 'package.module:function'"),
    (base.Digest, "a digest such as 'sha256:...' with 64 hexadecimal digits"),
    (verdict.Target, "one of cpu, cpu-oracle, cuda, cuda:sm_90, cuda-interpreted, cuda-compiled"),
)


@cache
def _patterns() -> dict[str, str]:
    words: dict[str, str] = {}
    for annotated, meaning in _WORDS:
        for metadata in typing.get_args(annotated):
            if isinstance(metadata, StringConstraints) and isinstance(metadata.pattern, str):
                words[metadata.pattern] = meaning
    return words


def in_words(error: Any) -> str | None:
    """What a pattern error expects."""
    if error["type"] == "value_error":
        return str(error["ctx"]["error"]).removeprefix("expected ")
    if error["type"] == "string_too_long":
        return f"at most {error['ctx']['max_length']} characters"
    pattern = (error.get("ctx") or {}).get("pattern")
    return _patterns().get(pattern, f"text that matches {pattern}") if pattern else None
