"""pydantic's errors as findings: place, key path, and words people use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from pv.load.fields import fields_at, in_words
from pv.load.nodes import KeyPath, Mapping, Node, Scalar, Sequence, SourceMap, dotted
from pv.load.sink import Sink
from pv.load.text import shorten
from pv.suggest import closest, did_you_mean

ModelT = TypeVar("ModelT", bound=BaseModel)

# pydantic's error type -> what the key wants
_SHAPES: Final = {
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dataclass_type": "a mapping",
    "string_type": "text",
}

_LIMITS: Final = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


def validate(model: type[ModelT], root: Node, data: Any, sink: Sink) -> ModelT | None:
    """The typed file, or None after findings for everything that is wrong with it.

    Args:
        data: `root` as dict, list, str and None.
    """
    try:
        return model.model_validate(data)
    except ValidationError as err:
        errors: list[Any] = err.errors(include_url=False)
    translator = _Translator(model, root, SourceMap(sink.path, lambda: root), sink)
    for number, error in enumerate(errors):
        if sink.full:
            sink.hide(len(errors) - number)
            break
        translator.add(error, errors)
    return None


class _Translator:
    def __init__(self, model: type[BaseModel], root: Node, places: SourceMap, sink: Sink) -> None:
        self._model = model
        self._root = root
        self._places = places
        self._sink = sink
        self._misspelt: set[KeyPath] | None = None

    def add(self, error: Any, errors: Iterable[Any]) -> None:
        loc: KeyPath = tuple(error["loc"])
        kind: str = error["type"]
        if kind == "missing":
            self._missing(loc, errors)
        elif kind == "extra_forbidden":
            self._unknown(loc)
        elif loc and loc[-1] == "[key]":
            key = loc[-2]
            wanted = in_words(error) or error["msg"].lower()
            self._report("invalid-value", loc[:-1], f"expected {wanted} as key, got {shorten(str(key))!r}", on_key=True)
        else:
            self._value(loc, kind, error)

    def _missing(self, loc: KeyPath, errors: Iterable[Any]) -> None:
        if self._misspelt is None:
            self._misspelt = {path for error in errors if (path := self._meant(error)) is not None}
        if loc in self._misspelt:
            return  # the unknown key beside it says so already
        parent = loc[:-1]
        where = f" in {dotted(parent)}" if parent else ""
        self._report("missing-key", loc, f"key {loc[-1]!r} is missing{where}", at=parent)

    def _meant(self, error: Any) -> KeyPath | None:
        if error["type"] != "extra_forbidden":
            return None
        loc: KeyPath = tuple(error["loc"])
        match = closest(str(loc[-1]), fields_at(self._model, loc[:-1]))
        return (*loc[:-1], match) if match is not None else None

    def _unknown(self, loc: KeyPath) -> None:
        key = str(loc[-1])
        options = fields_at(self._model, loc[:-1])
        # A key that is there already cannot be meant.
        free = [name for name in options if (*loc[:-1], name) not in self._places]
        suggestion = did_you_mean(key, free) or did_you_mean(key, options)
        match = closest(key, free) or closest(key, options)
        self._report(
            "unknown-key",
            loc,
            f"unknown key {shorten(key)!r}{suggestion}",
            on_key=True,
            fix=f"rename it to {match!r}" if match else f"known keys here: {', '.join(options)}",
        )

    def _value(self, loc: KeyPath, kind: str, error: Any) -> None:
        node = self._node(loc)
        got = _describe(node)
        context = error.get("ctx") or {}
        if kind in _SHAPES:
            wanted = _SHAPES[kind]
            fix = ""
            if wanted == "a list" and isinstance(node, Scalar):
                fix = f"write [{shorten(node.text)}]" if node.text else "write [] or remove the key"
            self._report("wrong-type", loc, f"expected {wanted}, got {got}", fix=fix)
        elif kind == "value_error":
            self._value_error(loc, str(context.get("error", error["msg"])), node, got)
        elif kind in ("enum", "literal_error"):
            options = _options(str(context.get("expected", "")))
            text = node.text if isinstance(node, Scalar) and node.text else ""
            hint = did_you_mean(text, options)
            self._report("invalid-value", loc, f"expected one of {', '.join(options)}; got {got}{hint}")
        elif kind in _LIMITS:
            word, name = _LIMITS[kind]
            self._report("invalid-value", loc, f"expected {word} {context[name]:g}, got {got}")
        elif kind == "too_short":
            if isinstance(node, Sequence) and len(node.items) >= context["min_length"]:
                return  # the entries are there but wrong, which has findings of its own
            self._report("invalid-value", loc, f"expected at least {context['min_length']} entry, got none")
        elif kind == "string_too_long":
            self._report("invalid-value", loc, f"expected at most {context['max_length']} characters, got {got}")
        else:
            wanted = in_words(error) or ""
            message = f"expected {wanted}, got {got}" if wanted else shorten(str(error["msg"]).lower(), 160)
            self._report("invalid-value", loc, message)

    def _value_error(self, loc: KeyPath, message: str, node: Node, got: str) -> None:
        scalar = isinstance(node, Scalar) and node.text is not None
        expected = message.split(", got ")[0]
        rule = "invalid-value" if scalar else "wrong-type"
        self._report(rule, loc, f"{expected}, got {got}" if expected.startswith("expected ") else shorten(message, 160))

    def _report(
        self, rule: str, loc: KeyPath, message: str, *, fix: str = "", on_key: bool = False, at: KeyPath | None = None
    ) -> None:
        if rule == "missing-key":
            span = self._places.key_span(at or ())
            key = dotted(loc)
        else:
            span = self._places.key_span(loc) if on_key else self._places.value_span(loc)
            key = dotted(self._places.known(loc))
        self._sink.add(rule, message, span, fix=fix, key=key, subject=self._subject(loc))

    def _node(self, loc: KeyPath) -> Node:
        node = self._root
        for part in loc:
            if isinstance(node, Mapping) and isinstance(part, str) and part in node.entries:
                node = node.entries[part][1]
            elif isinstance(node, Sequence) and isinstance(part, int):
                node = node.items[part]
            else:
                break
        return node

    def _subject(self, loc: KeyPath) -> str:
        """The id nearest above `loc`."""
        for depth in range(len(loc), -1, -1):
            node = self._node(loc[:depth])
            if isinstance(node, Mapping) and "id" in node.entries:
                value = node.entries["id"][1]
                if isinstance(value, Scalar) and value.text:
                    return shorten(value.text, 128)
        return ""


def _describe(node: Node) -> str:
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    if node.text is None:
        return "nothing"
    return repr(shorten(node.text))


def _options(expected: str) -> list[str]:
    """`'a', 'b' or 'c'`, as pydantic writes it."""
    return [part.strip().strip("'") for part in expected.replace(" or ", ", ").split(",") if part.strip()]
