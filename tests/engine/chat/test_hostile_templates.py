"""Templates that want code, time or memory: each is refused with one line, and soon."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from engine import chat_child
from engine.chat import ChatTemplate, Limits
from engine.errors import TemplateError

MESSAGES = [{"role": "user", "content": "x"}]

ESCAPES = {
    "class": ("{{ ().__class__.__base__.__subclasses__() }}", "SecurityError: access to attribute '__class__'"),
    "globals": ("{{ raise_exception.__globals__ }}", "SecurityError: access to attribute '__globals__'"),
    "lipsum": ("{{ lipsum.__globals__['os'].popen('id').read() }}", "UndefinedError: 'lipsum' is undefined"),
    "cycler": ("{{ cycler.__init__.__globals__ }}", "SecurityError: access to attribute '__init__'"),
    "namespace": ("{{ namespace.__init__.__globals__ }}", "SecurityError: access to attribute '__init__'"),
    "strftime": ("{{ strftime_now.__self__ }}", "SecurityError: access to attribute '__self__'"),
    "attr filter": ("{{ ('{0.__class__}'|attr('format'))(1) }}", "SecurityError: access to attribute '__class__'"),
    "format": ("{{ '{0.__class__.__mro__}'.format(1) }}", "SecurityError: access to attribute '__class__'"),
    "format_map": ("{{ '{a.__class__}'.format_map({'a': 1}) }}", "SecurityError: access to attribute '__class__'"),
    "self": (
        "{{ self._TemplateReference__context }}",
        "SecurityError: access to attribute '_TemplateReference__context'",
    ),
    "mutation": ("{{ messages.append({'role': 'system'}) }}", "SecurityError: access to attribute 'append'"),
    "include": ("{% include '/etc/passwd' %}", "no loader"),
    "import": ("{% import 'os' as os %}{{ os }}", "no loader"),
    "extends": ("{% extends '/etc/passwd' %}", "no loader"),
    "random": ("{{ [1, 2]|random }}", "line 1: TemplateAssertionError: No filter named 'random'"),
    "called lipsum": ("{{ lipsum(n=100000) }}", "'lipsum' is undefined"),
    "joiner": ("{{ joiner() }}", "'joiner' is undefined"),
    "debug": ("{% debug %}", "line 1: TemplateSyntaxError"),
}

MEMORY = {
    "string": "{{ 'a' * 10**10 }}",
    "list": "{{ [0] * 10**10 }}",
    "center": "{{ 'a'.center(10**10) }}",
    "ljust": "{{ 'a'.ljust(10**10) }}",
    "percent": "{{ '%9999999999d' % 1 }}",
    "format width": "{{ '{:>9999999999}'.format(1) }}",
    "replace": "{{ ('a' * 10**5).replace('a', 'b' * 10**5) }}",
}

TOO_MUCH = {
    "range": ("{{ range(10**9)|list }}", "Range too big"),
    "parentheses": ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "nested too deeply"),
    "not": ("{{ " + "not " * 20_000 + "1 }}", "nested too deeply"),
    "if": ("{% if 1 %}" * 300 + "{% endif %}" * 300, "nested"),
    "sum": ("{{ 1" + "+1" * 2000 + " }}", "syntax nested more than 100 deep"),
    "macro": ("{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}", "nested too deeply"),
    "nodes": ("{{ a.b }}" * 26_000, "more than 50000 syntax nodes"),
    "output": ("{% for i in range(99999) %}{{ 'a' * 1000 }}{% endfor %}", "output is longer than 1048576 bytes"),
    "one output": ("{{ 'é' * 600000 }}", "output is longer than 1048576 bytes"),
    "source": ("{# " + "a" * 300_000 + " #}", "source is 300006 characters, at most 262144 bytes are allowed"),
    "wide source": ("{# " + "é" * 140_000 + " #}", "source is 280006 bytes, at most 262144 are allowed"),
}

ENDLESS = {
    "loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "power": "{{ 10 ** (10 ** 9) }}",
    "shift by power": "{{ 2 ** (2 ** 34) }}",
}

MISTAKES = {
    "syntax": ("line one\n{{ x", "line 2: TemplateSyntaxError: unexpected end of template"),
    "own refusal": ("{{ raise_exception('roles\n must \x1b[31malternate') }}", r"TemplateError: roles must \\x1b\[31m"),
    "undefined attribute": ("{{ nothing.attribute }}", "UndefinedError: 'nothing' is undefined"),
    "division": ("{{ 1 / 0 }}", "ZeroDivisionError"),
    "unknown filter": ("{{ 1|nonsense }}", "No filter named 'nonsense'"),
}


def refusal(source: str, limits: Limits | None = None) -> str:
    with pytest.raises(TemplateError) as caught:
        ChatTemplate(source, limits=limits).render(MESSAGES)
    message = str(caught.value)
    assert message.startswith("chat template refused: ")
    assert message.isprintable(), "one line without control characters"
    assert len(message) < 500
    return message


@pytest.mark.parametrize(("source", "reason"), {**ESCAPES, **TOO_MUCH}.values(), ids=[*ESCAPES, *TOO_MUCH])
def test_refused_with_its_reason(source: str, reason: str):
    assert reason in refusal(source)


@pytest.mark.parametrize(("source", "reason"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_of_the_author_is_one_line(source: str, reason: str):
    assert re.search(reason, refusal(source))


@pytest.mark.parametrize("source", MEMORY.values(), ids=MEMORY)
def test_memory_is_bounded(source: str):
    assert "needs more than 512 MiB of memory" in refusal(source)


@pytest.mark.parametrize("source", ENDLESS.values(), ids=ENDLESS)
def test_time_is_bounded(source: str):
    """With a limit of 1 s; processor time of the child is what counts, so a busy machine does not matter."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "needs more than 1 s of processor time" in refusal(source, Limits(cpu_s=1))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2


def test_default_limit_of_time_is_two_seconds():
    assert Limits().cpu_s == 2


def test_child_cannot_open_files(tmp_path: Path):
    """Were the sandbox to fail, the process still could not read or write anything: tried without the sandbox."""
    code = (
        f"import sys; sys.path[:0] = [{str(Path(chat_child.__file__).parent)!r}]\n"
        "import chat_child; del sys.path[0]\n"
        f"sys.path.extend({sys.path!r})\n"
        "chat_child.limit(2, 512 << 20); chat_child.forbid_opening()\n"
        f"open({str(tmp_path / 'canary')!r}, 'w')\n"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "OSError: [Errno 24] Too many open files" in child.stderr
    assert list(tmp_path.iterdir()) == []


def test_control_a_harmless_template_renders():
    """The cases above must fail for their own reasons and not because nothing ever renders."""
    assert ChatTemplate("{{ messages[0].content }}", limits=Limits(cpu_s=1)).render(MESSAGES) == "x"
