"""Request bodies: every field is checked, and one that would change the answer is obeyed or refused.

Fields that do nothing at their neutral value (`n: 1`, `logprobs: null`, `tools: []`) are accepted at that value only.
`top_k` and `min_p` are additions to OpenAI's; everything else means what it means there, defaults included.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn

from engine.sampling import Sampling
from engine.serve.errors import ApiError

ROLES: Final = ("system", "developer", "user", "assistant")
MAX_STOPS: Final = 4
MAX_MESSAGES: Final = 10_000
COMPLETION_TOKENS: Final = 16
"""New tokens of a plain completion that does not say how many."""

Kind = Literal["chat", "completion"]

_NEUTRAL: Final[Mapping[str, tuple[Any, ...]]] = {
    "n": (1,),
    "best_of": (1,),
    "echo": (False,),
    "suffix": ("",),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "response_format": ({"type": "text"},),
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none",),
    "function_call": ("none",),
    "parallel_tool_calls": (),
    "modalities": (["text"],),
    "store": (False,),
    "metadata": ({},),
    "service_tier": ("auto", "default"),
    "reasoning_effort": (),
    "audio": (),
    "prediction": (),
    "web_search_options": (),
}
# They name the caller, and change nothing in an answer.
_IDLE: Final = frozenset({"user", "safety_identifier", "prompt_cache_key"})
_COMMON: Final = frozenset(
    {"model", "stream", "stream_options", "max_tokens", "temperature", "top_p", "top_k", "min_p", "seed", "stop"}
)
_OWN: Final[Mapping[Kind, frozenset[str]]] = {
    "chat": frozenset({"messages", "max_completion_tokens"}),
    "completion": frozenset({"prompt"}),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that can be done."""

    kind: Kind
    prompt: str | list[dict[str, str]]
    max_tokens: int
    sampling: Sampling
    stops: tuple[str, ...]
    stream: bool
    stream_usage: bool
    """A last chunk states the tokens."""


def parse_json(body: bytes) -> dict[str, Any]:
    """The object in a request body.

    Raises:
        ApiError: it is none, or gives a name twice.
    """
    try:
        fields = json.loads(body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError as err:
        raise ApiError(f"request body is not UTF-8 (byte {err.start})") from err
    except json.JSONDecodeError as err:
        raise ApiError(f"request body is not JSON: {err.msg} (line {err.lineno}, column {err.colno})") from err
    except (ValueError, RecursionError) as err:
        raise ApiError("request body is JSON that is too deep or has too long a number") from err
    if not isinstance(fields, dict):
        raise ApiError("request body must be a JSON object")
    return fields


def parse(kind: Kind, fields: Mapping[str, Any], *, model: str, max_tokens: int) -> Asked:
    """Check every field.

    Args:
        model: the name that this server answers to.
        max_tokens: new tokens that it gives at most.

    Raises:
        ApiError: naming the field.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    for name, value in given.items():
        _check_name(kind, name, value)
    _check_model(given.get("model"), model)
    stream = _boolean(given, "stream")
    options = _object(given, "stream_options", ("include_usage", "include_obfuscation"))
    if options and not stream:
        _refuse("stream_options", "is only for stream: true")
    prompt = _messages(given.get("messages")) if kind == "chat" else _prompt(given.get("prompt"))
    default = max_tokens if kind == "chat" else min(max_tokens, COMPLETION_TOKENS)
    return Asked(
        kind=kind,
        prompt=prompt,
        max_tokens=_max_tokens(given, default, max_tokens),
        sampling=Sampling(
            temperature=_number(given, "temperature", 1.0, "between 0 and 2", lambda value: 0 <= value <= 2),
            top_p=_number(given, "top_p", 1.0, "above 0 and at most 1", lambda value: 0 < value <= 1),
            min_p=_number(given, "min_p", 0.0, "between 0 and 1", lambda value: 0 <= value <= 1),
            top_k=_integer(given, "top_k", 0, 0, 2**31 - 1),
            seed=_integer(given, "seed", 0, 0, 2**63 - 1) if "seed" in given else None,
        ),
        stops=_stops(given.get("stop", [])),
        stream=stream,
        stream_usage=_boolean(options, "include_usage"),
    )


def _check_name(kind: Kind, name: str, value: Any) -> None:
    if name in _COMMON or name in _OWN[kind]:
        return
    if name in _IDLE:
        _text(name, value)
    elif name not in _NEUTRAL:
        message = f"unknown field {_shown(name)}"
        raise ApiError(message, param=name[:100] if name.isprintable() else None, code="unknown_parameter")
    elif not any(type(value) is type(neutral) and value == neutral for neutral in _numbers(_NEUTRAL[name])):
        allowed = " or ".join(json.dumps(neutral) for neutral in (*_NEUTRAL[name], None))
        raise ApiError(f"{name} is not supported here; leave it out, or give {allowed}", param=name, code="unsupported")


def _numbers(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """0 may be written 0.0."""
    return (*values, *(float(value) for value in values if type(value) is int))


def _check_model(given: Any, model: str) -> None:
    if given is None:
        _refuse("model", f"is missing; this server has {model!r}")
    if _text("model", given) != model:
        message = f"the model {_shown(given)} does not exist; this server has {model!r}"
        raise ApiError(message, status=404, param="model", code="model_not_found")


def _messages(value: Any) -> list[dict[str, str]]:
    if not isinstance(value, list) or not value:
        _refuse("messages", "must be a list of at least one message")
    if len(value) > MAX_MESSAGES:
        _refuse("messages", f"has {len(value)} entries, at most {MAX_MESSAGES} are allowed")
    return [_message(f"messages[{index}]", message) for index, message in enumerate(value)]


def _message(where: str, message: Any) -> dict[str, str]:
    if not isinstance(message, dict):
        _refuse(where, "must be an object with role and content")
    for name, value in message.items():
        if name not in ("role", "content") and value not in (None, []):
            _refuse(where, f"has the field {_shown(name)}, which is not supported")
    role = message.get("role")
    if role not in ROLES:
        _refuse(f"{where}.role", f"must be one of {', '.join(ROLES)}")
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(_part(f"{where}.content[{index}]", part) for index, part in enumerate(content))
    # 'developer' is the newer name of the same role.
    return {"role": "system" if role == "developer" else role, "content": _text(f"{where}.content", content)}


def _part(where: str, part: Any) -> str:
    if not isinstance(part, dict) or part.get("type") != "text" or set(part) != {"type", "text"}:
        _refuse(where, "must be {'type': 'text', 'text': ...}; other kinds of content are not supported")
    return _text(f"{where}.text", part["text"])


def _prompt(value: Any) -> str:
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        value = value[0]
    if not isinstance(value, str):
        _refuse("prompt", "must be one string; several prompts, or token ids, are not supported")
    if not value:
        _refuse("prompt", "is empty")
    return _text("prompt", value)


def _max_tokens(given: Mapping[str, Any], default: int, limit: int) -> int:
    names = [name for name in ("max_completion_tokens", "max_tokens") if name in given]
    if len(names) == 2:
        _refuse("max_tokens", "and max_completion_tokens are the same; give one of them")
    if not names:
        return default
    asked = _integer(given, names[0], default, 1, 2**63 - 1)
    if asked > limit:
        _refuse(names[0], f"is {asked}; this server gives at most {limit}")
    return asked


def _stops(value: Any) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        _refuse("stop", "must be a string or a list of strings, none of them empty")
    if len(texts) > MAX_STOPS:
        _refuse("stop", f"has {len(texts)} strings, at most {MAX_STOPS} are allowed")
    return tuple(_text("stop", text) for text in texts)


def _boolean(given: Mapping[str, Any], name: str) -> bool:
    value = given.get(name, False)
    if not isinstance(value, bool):
        _refuse(name, "must be true or false")
    return value


def _object(given: Mapping[str, Any], name: str, known: tuple[str, ...]) -> dict[str, Any]:
    value = given.get(name, {})
    if not isinstance(value, dict) or not set(value) <= set(known):
        _refuse(name, f"must be an object with no other fields than {', '.join(known)}")
    return {key: item for key, item in value.items() if item is not None}


def _number(given: Mapping[str, Any], name: str, default: float, rule: str, ok: Callable[[float], bool]) -> float:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(name, f"must be a number {rule}")
    if not math.isfinite(value) or not ok(value):
        _refuse(name, f"must be {rule}")
    return float(value)


def _integer(given: Mapping[str, Any], name: str, default: int, low: int, high: int) -> int:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        _refuse(name, "must be an integer")
    if not low <= value <= high:
        _refuse(name, f"must be between {low} and {high}")
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        _refuse(name, "must be a string")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        _refuse(name, "holds half of a surrogate pair")
    return value


def _refuse(name: str, problem: str) -> NoReturn:
    raise ApiError(f"{name} {problem}", param=name, code="invalid_value")


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 80 else text[:80] + "...")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ApiError(f"request body has the field {_shown(twice)} twice")
    return fields


def _no_constant(name: str) -> NoReturn:
    raise ApiError(f"request body is not JSON: {name} is no JSON number")
