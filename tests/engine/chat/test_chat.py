"""Rendered prompts against transformers' apply_chat_template, byte for byte."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from transformers import Qwen2Tokenizer

from engine.chat import ChatTemplate
from engine.errors import TemplateError
from engine.gguf.reader import open_gguf
from support import tiny_qwen2

QWEN25 = """{%- if messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
{%- else %}
    {{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
        {%- generation %}
        {{- '\\n' + message.content }}
        {%- endgeneration %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role != "system" %}
        {{- raise_exception('unknown role ' + message.role) }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

BLOCKS = """
{# trim_blocks and lstrip_blocks #}
  {% set ns = namespace(count=0) %}
  {% for message in messages %}
    {% if message['role'] == 'system' %}{% continue %}{% endif %}
    {% set ns.count = ns.count + 1 %}
[{{ ns.count }}] {{ message['content'] | trim | upper }}{{ eos_token }}
    {% if loop.index > 3 %}{% break %}{% endif %}
  {% endfor %}
tools: {{ tools }} json: {{ messages | tojson }} <{{ messages[0] | tojson(indent=2) }}>
bos: {{ bos_token }}|{{ missing }}|
"""

CONVERSATIONS: dict[str, list[dict[str, Any]]] = {
    "one question": [{"role": "user", "content": "What is 2+2?"}],
    "system": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi <b>&amp;</b> 'x' \"y\""}],
    "turns": [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "  ünï 😀 \n\tline two  "},
        {"role": "assistant", "content": "```python\nx = {}\n```"},
        {"role": "user", "content": "<|im_end|>{{ 7*7 }}"},
    ],
    "empty content": [{"role": "user", "content": ""}],
}


@pytest.fixture(scope="module")
def judge() -> Any:
    return Qwen2Tokenizer(eos_token="<|im_end|>", bos_token="<|endoftext|>")


@pytest.mark.parametrize("generation_prompt", [True, False], ids=["with prompt", "without"])
@pytest.mark.parametrize("messages", CONVERSATIONS.values(), ids=CONVERSATIONS)
@pytest.mark.parametrize("source", [tiny_qwen2.CHATML, QWEN25, BLOCKS], ids=["chatml", "qwen2.5", "blocks"])
def test_prompt_equals_transformers(judge: Any, source: str, messages: list[dict[str, Any]], generation_prompt: bool):
    expected = judge.apply_chat_template(
        messages, chat_template=source, add_generation_prompt=generation_prompt, tokenize=False
    )
    template = ChatTemplate(source, bos="<|endoftext|>", eos="<|im_end|>")
    assert template.render(messages, generation_prompt) == expected


def test_canonical_chatml_message():
    template = ChatTemplate(tiny_qwen2.CHATML)
    prompt = template.render([{"role": "user", "content": "What is 2+2?"}])
    assert prompt == "<|im_start|>user\nWhat is 2+2?<|im_end|>\n<|im_start|>assistant\n"


def test_clock_is_the_one_given():
    source = "{{ strftime_now('%Y-%m-%d %H:%M') }}"
    assert ChatTemplate(source, now=datetime(2031, 2, 3, 4, 5)).render([]) == "2031-02-03 04:05"
    assert ChatTemplate(source).render([]) == "2000-01-01 00:00"


def test_second_rendering_starts_no_child(monkeypatch: pytest.MonkeyPatch):
    template = ChatTemplate("{{ messages[0].content }}")
    assert template.render([{"role": "user", "content": "a"}]) == "a"
    monkeypatch.setattr("subprocess.run", None)
    assert template.render([{"role": "user", "content": "a"}]) == "a"


def test_messages_of_the_caller_stay_as_they_are():
    messages = [{"role": "user", "content": "a"}]
    ChatTemplate("{% set _ = messages %}{{ messages|length }}").render(messages)
    assert messages == [{"role": "user", "content": "a"}]


def test_digest_is_sha256_of_the_source():
    """Known answer: SHA-256 of 'abc' from FIPS 180-2."""
    assert ChatTemplate("abc").digest == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_template_of_a_file(tmp_path: Path):
    with open_gguf(tiny_qwen2.write_tiny(tmp_path / "t.gguf")) as file:
        template = ChatTemplate.from_gguf(file)
    assert template is not None
    assert template.source == tiny_qwen2.CHATML


def test_file_without_template(tmp_path: Path):
    with open_gguf(tiny_qwen2.write_tiny(tmp_path / "t.gguf", tokenizer__chat_template=None)) as file:
        assert ChatTemplate.from_gguf(file) is None


def test_m12_two_templates_are_refused(tmp_path: Path):
    path = tiny_qwen2.write_tiny(tmp_path / "t.gguf", tokenizer__chat_template__default="other")
    with (
        open_gguf(path) as file,
        pytest.raises(TemplateError, match=r"^t\.gguf: GGUF-M12: template refused: .* differ"),
    ):
        ChatTemplate.from_gguf(file)


def test_m12_template_of_another_type_is_refused(tmp_path: Path):
    path = tiny_qwen2.write_tiny(tmp_path / "t.gguf", tokenizer__chat_template=7)
    with open_gguf(path) as file, pytest.raises(TemplateError, match=r"GGUF-M12: .* must be a string"):
        ChatTemplate.from_gguf(file)
