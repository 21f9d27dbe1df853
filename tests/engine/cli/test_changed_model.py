"""A model file that shrinks or is written to while a command uses it: one line and exit code 2, never a signal."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.bench import host, session
from engine.bench.figure import Samples
from engine.bench.report import Settings
from engine.bench.subject import Limits
from engine.bench.timer import HostTimer
from engine.errors import GgufError
from engine.gguf.reader import open_gguf
from support import tiny_qwen2
from support.q4k import start, write_endless
from support.served import serving

CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "shrunk": (lambda path: os.truncate(path, 4096), "it has 4096 bytes, and had"),
    "written": (lambda path: os.utime(path, ns=(0, 0)), "it was written to"),
    "replaced": (lambda path: path.with_suffix(".new").replace(path), "another file has its name"),
}
M15 = "q4k: endless.gguf: GGUF-M15: the model file changed while in use: "


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """Answers until the limit, far beyond the length of any test."""
    path = write_endless(tmp_path / "endless.gguf")
    path.with_suffix(".new").write_bytes(path.read_bytes())
    return path


def last_line(process: subprocess.Popen[bytes]) -> tuple[int, str, bytes]:
    """Exit code, the last line of stderr and the rest of stdout of a process that ends by itself."""
    out, err = process.communicate(timeout=60)
    assert b"Traceback" not in err
    return process.returncode, err.decode().splitlines()[-1], out


@pytest.mark.parametrize(
    ("runs", "change"),
    [
        (("reference",), "shrunk"),
        (("reference",), "written"),
        (("reference",), "replaced"),
        (("cpu",), "shrunk"),
        (("cpu", "--precision", "q8"), "shrunk"),
    ],
    ids=lambda part: part if isinstance(part, str) else " ".join(part),
)
def test_run_ends_with_one_line(endless: Path, runs: tuple[str, ...], change: str):
    """Changed in the middle of an answer: of weights that are read in place, and of those that were rearranged."""
    process = start("run", endless, "-p", "hi", "--max-tokens", "25000", "--backend", *runs)
    assert process.stdout is not None
    process.stdout.read(1)
    act, says = CHANGES[change]
    act(endless)
    code, line, _ = last_line(process)
    assert (code, line.startswith(M15 + says)) == (2, True), (code, line)


def test_no_text_of_a_changed_file_is_shown(endless: Path):
    """What was said before the change is the start of the answer of the whole file."""
    before = start("run", endless, "-p", "hi", "--max-tokens", "200", "--backend", "reference").communicate()[0]
    process = start("run", endless, "-p", "hi", "--max-tokens", "25000", "--backend", "reference")
    assert process.stdout is not None
    first = process.stdout.read(1)
    os.truncate(endless, 4096)
    said = (first + last_line(process)[2])[:100]
    assert before.startswith(said)


def test_chat_ends_with_one_line(endless: Path):
    process = start("chat", endless, "--backend", "reference", "--max-tokens", "25000")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"hi\n")
    process.stdin.flush()
    process.stdout.read(1)
    os.truncate(endless, 4096)
    code, line, _ = last_line(process)
    assert (code, line.startswith(M15 + "it has 4096 bytes")) == (2, True), (code, line)


def test_serve_answers_with_an_error_and_stays(endless: Path):
    with serving(endless, "--backend", "cpu") as server:
        os.truncate(endless, 4096)
        ask = {"model": "endless", "prompt": "hi", "max_tokens": 2}
        status, body = server.post("/v1/completions", ask)
        assert (status, body["error"]["code"]) == (500, "model_error")
        assert "GGUF-M15: the model file changed while in use: it has 4096 bytes" in body["error"]["message"]
        assert server.health()["status"] == "ok"


def test_bench_reports_no_figure_of_a_changed_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    any_speed = Samples((1.0,))
    monkeypatch.setattr(host.HostSubject, "limits", lambda _: Limits(any_speed, any_speed, "not measured"))
    path = tiny_qwen2.write_tiny(tmp_path / "tiny.gguf")

    def cut(what: str) -> None:
        if what.startswith("round 2"):
            os.truncate(path, 4096)

    with open_gguf(path) as file:
        tested = host.subjects(file, [("reference", "f32")], None, HostTimer(time.perf_counter))
        with pytest.raises(GgufError, match=r"GGUF-M15: .* it has 4096 bytes"):
            session.run(file, tested, Settings((4,), (), 2, 3), say=cut)
