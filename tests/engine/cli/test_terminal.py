"""What differs when a person sits in front of it."""

from __future__ import annotations

import io

import pytest

from engine.cli import chat, options, outcomes, text
from engine.ops.cpu import maker


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_terminal_shows_control_characters_and_does_not_obey_them(monkeypatch: pytest.MonkeyPatch):
    r"""A model must not be able to clear the screen or to write backwards; \x1b[2J and U+202E are shown as text."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    text.write("a\x1b[2J\tb\n\u202ec é 😀\r")
    assert terminal.getvalue() == "a\\x1b[2J\tb\n\\u202ec é 😀\\r"


def test_pipe_gets_the_text_as_it_is(monkeypatch: pytest.MonkeyPatch):
    pipe = io.StringIO()
    monkeypatch.setattr("sys.stdout", pipe)
    text.write("a\x1b[2J\r")
    assert pipe.getvalue() == "a\x1b[2J\r"


def test_message_is_one_line_whatever_it_holds(capsys: pytest.CaptureFixture[str]):
    outcomes.say("bad\nname \x1b[31m \u202e é")
    assert capsys.readouterr().err == "q4k: bad\\nname \\x1b[31m \\u202e é\n"


@pytest.mark.parametrize(
    ("typed", "line", "said"),
    [
        ("hello", "hello", ""),
        (EOFError(), None, ""),
        (KeyboardInterrupt(), "", "q4k: use /exit or end of input to leave\n"),
    ],
    ids=["line", "ctrl-d", "ctrl-c"],
)
def test_prompt_survives_ctrl_c_and_ends_at_ctrl_d(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: object, line: str | None, said: str
):
    def read(prompt: str) -> object:
        assert prompt == "> "
        if isinstance(typed, BaseException):
            raise typed
        return typed

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("builtins.input", read)
    assert chat._read_line() == line
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(("count", "words"), [(0, "0 tokens"), (1, "1 token"), (2, "2 tokens")])
def test_plural(count: int, words: str):
    assert text.plural(count, "token") == words


@pytest.mark.parametrize("terminal", [True, False])
def test_a_start_that_compiles_says_so_on_a_terminal(terminal: bool, monkeypatch: pytest.MonkeyPatch):
    seen = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr("sys.stderr", seen)
    monkeypatch.setattr(maker, "announce", maker.announce)
    with options.load(None, True, "cpu", None, None, False):
        maker.announce(23)
    said = "q4k: compiling 23 kernels for this processor; later starts find them\n"
    assert seen.getvalue() == (said if terminal else "")
