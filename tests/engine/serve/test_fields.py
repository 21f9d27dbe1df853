"""What a request may say: every field is obeyed or refused, by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.sampling import Sampling
from engine.serve.errors import ApiError
from engine.serve.fields import Kind, parse, parse_json

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
PLAIN = {"model": "m", "prompt": "hi"}


def asked(fields: dict[str, Any], kind: Kind = "chat") -> Any:
    return parse(kind, fields, model="m", max_tokens=100)


def refused(fields: dict[str, Any], kind: Kind = "chat") -> ApiError:
    with pytest.raises(ApiError) as caught:
        asked(fields, kind)
    assert "\n" not in str(caught.value)
    return caught.value


def test_defaults_are_those_of_the_api():
    chat = asked(CHAT)
    assert chat.sampling == Sampling(temperature=1.0, top_p=1.0)
    assert (chat.max_tokens, chat.stops, chat.stream, chat.stream_usage) == (100, (), False, False)
    assert asked(PLAIN, "completion").max_tokens == 16


def test_every_field_is_obeyed():
    got = asked(
        {
            **CHAT,
            "max_completion_tokens": 7,
            "temperature": 0,
            "top_p": 0.5,
            "top_k": 3,
            "min_p": 0.1,
            "seed": 2**40,
            "stop": ["a", "\n\n"],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    )
    assert got.sampling == Sampling(0.0, 3, 0.5, 0.1, 2**40)
    assert (got.max_tokens, got.stops, got.stream, got.stream_usage) == (7, ("a", "\n\n"), True, True)
    assert asked({**CHAT, "stop": "x"}).stops == ("x",)


def test_messages_may_have_parts_and_the_newer_name_of_a_role():
    messages = [
        {"role": "developer", "content": "be short"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": "c", "refusal": None, "tool_calls": []},
    ]
    assert asked({**CHAT, "messages": messages}).prompt == [
        {"role": "system", "content": "be short"},
        {"role": "user", "content": "ab"},
        {"role": "assistant", "content": "c"},
    ]


@pytest.mark.parametrize(
    "neutral",
    [{"n": 1}, {"logprobs": None}, {"logprobs": False}, {"tools": []}, {"tool_choice": "none"}, {"logit_bias": {}},
     {"presence_penalty": 0}, {"frequency_penalty": 0.0}, {"response_format": {"type": "text"}}, {"user": "someone"},
     {"stop": None}, {"seed": None}, {"temperature": None}, {"max_tokens": None}, {"unheard_of": None}],
    ids=json.dumps,
)  # fmt: skip
def test_neutral_values_change_nothing(neutral: dict[str, Any]):
    assert asked({**CHAT, **neutral}) == asked(CHAT)


@pytest.mark.parametrize(
    ("field", "value"),
    [("n", 2), ("n", True), ("logprobs", True), ("logprobs", 5), ("top_logprobs", 3), ("best_of", 2), ("echo", True),
     ("suffix", "x"), ("logit_bias", {"50256": -100}), ("presence_penalty", 0.5), ("frequency_penalty", -1),
     ("response_format", {"type": "json_object"}), ("tools", [{"type": "function"}]), ("functions", [{}]),
     ("tool_choice", "auto"), ("parallel_tool_calls", True), ("modalities", ["audio"]), ("store", True),
     ("reasoning_effort", "high"), ("prediction", {})],
)  # fmt: skip
def test_what_would_change_the_answer_is_refused(field: str, value: object):
    error = refused({**CHAT, field: value})
    assert (error.status, error.param, error.code) == (400, field, "unsupported")
    assert str(error).startswith(f"{field} is not supported here; leave it out, or give ")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("messages", None, "messages must be a list of at least one message"),
        ("messages", [], "messages must be a list of at least one message"),
        ("messages", "hi", "messages must be a list of at least one message"),
        ("messages", [{}] * 10_001, "messages has 10001 entries, at most 10000 are allowed"),
        ("stream", "yes", "stream must be true or false"),
        ("stream_options", {"include_usage": True}, "stream_options is only for stream: true"),
        ("max_tokens", 0, "max_tokens must be between 1 and 9223372036854775807"),
        ("max_tokens", 101, "max_tokens is 101; this server gives at most 100"),
        ("max_tokens", "5", "max_tokens must be an integer"),
        ("max_tokens", True, "max_tokens must be an integer"),
        ("max_completion_tokens", 1.5, "max_completion_tokens must be an integer"),
        ("temperature", 2.1, "temperature must be between 0 and 2"),
        ("temperature", -1, "temperature must be between 0 and 2"),
        ("temperature", "0", "temperature must be a number between 0 and 2"),
        ("temperature", True, "temperature must be a number between 0 and 2"),
        ("top_p", 0, "top_p must be above 0 and at most 1"),
        ("min_p", 1.5, "min_p must be between 0 and 1"),
        ("top_k", -1, "top_k must be between 0 and 2147483647"),
        ("seed", -1, "seed must be between 0 and 9223372036854775807"),
        ("seed", 1.0, "seed must be an integer"),
        ("stop", "", "stop must be a string or a list of strings, none of them empty"),
        ("stop", [1], "stop must be a string or a list of strings, none of them empty"),
        ("stop", list("abcde"), "stop has 5 strings, at most 4 are allowed"),
        ("stop", {"a": 1}, "stop must be a string or a list of strings, none of them empty"),
        ("user", 5, "user must be a string"),
    ],
)
def test_values_out_of_range_are_named(field: str, value: object, message: str):
    error = refused({**CHAT, field: value})
    assert (str(error), error.param, error.code, error.status) == (message, field, "invalid_value", 400)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (5, "messages[0] must be an object with role and content"),
        ({"role": "tool", "content": "x"}, "messages[0].role must be one of system, developer, user, assistant"),
        ({"role": ["user"], "content": "x"}, "messages[0].role must be one of system, developer, user, assistant"),
        ({"role": "user"}, "messages[0].content must be a string"),
        ({"role": "user", "content": None}, "messages[0].content must be a string"),
        ({"role": "user", "content": "x", "name": "y"}, "messages[0] has the field 'name', which is not supported"),
        ({"role": "user", "content": "\ud800"}, "messages[0].content holds half of a surrogate pair"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {}}]},
         "messages[0].content[0] must be {'type': 'text', 'text': ...}; other kinds of content are not supported"),
    ],
)  # fmt: skip
def test_messages_are_checked(message: object, text: str):
    assert str(refused({**CHAT, "messages": [message]})) == text


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        (None, "prompt must be one string; several prompts, or token ids, are not supported"),
        (["a", "b"], "prompt must be one string; several prompts, or token ids, are not supported"),
        ([1, 2], "prompt must be one string; several prompts, or token ids, are not supported"),
        ("", "prompt is empty"),
    ],
)
def test_prompts_are_checked(prompt: object, text: str):
    assert str(refused({**PLAIN, "prompt": prompt}, "completion")) == text
    assert asked({**PLAIN, "prompt": ["one"]}, "completion").prompt == "one"


def test_unknown_fields_and_models():
    error = refused({**CHAT, "temprature": 1})
    assert (str(error), error.param, error.code) == ("unknown field 'temprature'", "temprature", "unknown_parameter")
    assert refused({**CHAT, "prompt": "x"}).code == "unknown_parameter"
    assert refused({**CHAT, "max_tokens": 1, "max_completion_tokens": 1}).param == "max_tokens"
    error = refused({**CHAT, "model": "gpt"})
    assert (error.status, error.code) == (404, "model_not_found")
    assert str(refused({"messages": CHAT["messages"]})) == "model is missing; this server has 'm'"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "request body is not JSON: Expecting value (line 1, column 1)"),
        (b'{"a": 1,}', "request body is not JSON: "),
        (b"\xff", "request body is not UTF-8 (byte 0)"),
        (b"[1]", "request body must be a JSON object"),
        (b'{"a": NaN}', "request body is not JSON: NaN is no JSON number"),
        (b'{"a": 1, "a": 2}', "request body has the field 'a' twice"),
        (b'{"a":' + b"[" * 100_000, "request body is JSON that is too deep or has too long a number"),
        (b'{"a":' + b"9" * 5_000 + b"}", "request body is JSON that is too deep or has too long a number"),
    ],
    ids=["empty", "comma", "latin-1", "list", "nan", "twice", "deep", "long number"],
)
def test_bodies_that_are_no_object(body: bytes, message: str):
    with pytest.raises(ApiError) as caught:
        parse_json(body)
    assert str(caught.value).startswith(message)
    assert caught.value.status == 400
