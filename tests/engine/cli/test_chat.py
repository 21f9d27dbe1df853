"""`q4k chat` from outside, lines on stdin."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from engine.llm import Llm
from support import tiny_qwen2
from support.q4k import q4k, start, write_endless

HELP = "q4k: /reset forgets the conversation, /exit or end of input ends, Ctrl-C stops an answer"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen2.write_tiny(tmp_path_factory.mktemp("chat") / "tiny.gguf", tiny_qwen2.Shape(context=256))


def test_conversation_has_a_memory_until_reset(tiny: Path):
    """The same question: with its history another prompt, after /reset the first answer again."""
    ended = q4k(
        "chat", tiny, "--backend", "reference", "--max-tokens", "6", stdin="hi\n\nhi\n/reset\nhi\n/exit\nnever read\n"
    )
    with Llm.load(tiny, backend="reference") as llm:
        messages = [{"role": "user", "content": "hi"}]
        first = llm.generate(messages, max_tokens=6).text
        messages += [{"role": "assistant", "content": first}, {"role": "user", "content": "hi"}]
        second = llm.generate(messages, max_tokens=6).text
    assert first != second
    assert ended.stdout == f"{first}\n{second}\n{first}\n"
    assert ended.stderr.splitlines()[1:] == [HELP, "q4k: conversation forgotten"]
    assert ended.code == 0


def test_end_of_input_ends(tiny: Path):
    ended = q4k("chat", tiny, "--backend", "reference", stdin="")
    assert (ended.stdout, ended.code) == ("", 0)


def test_unknown_command_is_not_sent_to_the_model(tiny: Path):
    ended = q4k("chat", tiny, "--backend", "reference", stdin="/rest now\n/help\n")
    assert ended.stdout == ""
    assert ended.stderr.splitlines()[2:] == [f"q4k: no such command '/rest'; {HELP.removeprefix('q4k: ')}", HELP]


def test_conversation_longer_than_the_context_can_be_reset(tiny: Path):
    ended = q4k("chat", tiny, "--backend", "reference", "--max-tokens", "2", stdin=f"{'x ' * 300}\nhi\n")
    assert ended.stderr.splitlines()[2] == "q4k: prompt has 610 tokens, the context holds 256; /reset starts anew"
    assert len(ended.stdout.splitlines()) >= 1, "the next question is answered"
    assert ended.code == 0


def test_ctrl_c_stops_the_answer_and_not_the_program(tmp_path: Path):
    process = start("chat", write_endless(tmp_path / "e.gguf"), "--backend", "reference", "--max-tokens", "29000")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"hi\n")
    process.stdin.flush()
    process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(b"/help\n/exit\n", timeout=30)
    assert stderr.decode().splitlines()[2:] == ["q4k: stopped", HELP]
    assert process.returncode == 0
