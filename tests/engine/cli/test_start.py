"""What `q4k` imports and answers before it does anything: speed by counting modules, not by timing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from support import tiny_qwen2
from support.q4k import environment, q4k

HEAVY = {"numpy", "tokenizers", "jinja2", "numba", "torch", "triton", "rich", "yaml", "gguf", "starlette", "uvicorn"}
ENGINE_ALLOWED = {"engine", "engine.cli"}

HELP = """\
Usage: q4k [OPTIONS] COMMAND [ARGS]...

  Run quantised GGUF models.

Options:
  --version   Show the version and exit.
  -h, --help  Show this message and exit.

Commands:
  run      Answer one prompt.
  chat     Talk with a model; it sees the whole conversation.
  serve    Serve a model over HTTP, in the form of OpenAI's API.
  inspect  Show what a model file is: digests, types, sizes.
  trace    Show what flows through a model, place by place.
  parity   Do two sides of a model agree on the same tokens?
  bisect   Where do two sides of a model part, and which of them is wrong?
  bench    Measure prefill and decode, and where the time goes.
  eval     Measure pass@1: the model writes functions, and tests run them.

  Exit codes:
    0  done, or two sides agree              4    cannot: no such backend, no verdict
    1  two sides differ                      5    internal error
    2  usage, or the input is refused        130  interrupted
    3  void: a self-check failed
"""


def modules_after(*args: str | Path) -> set[str]:
    """Names in sys.modules after a command line."""
    code = (
        "import sys\n"
        "from engine.cli.main import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "print('MODULES', *sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, args)], capture_output=True, text=True, env=environment(), check=True
    )
    return set(done.stdout.split("MODULES ")[1].split())


@pytest.mark.parametrize(
    "args",
    [
        ["--help"],
        ["run", "--help"],
        ["chat", "-h"],
        ["inspect", "-h"],
        ["bench", "-h"],
        ["serve", "-h"],
        ["eval", "-h"],
        ["trace", "-h"],
        ["parity", "-h"],
        ["bisect", "-h"],
        ["--version"],
    ],
    ids=" ".join,
)
def test_help_and_version_import_nothing_heavy(args: list[str]):
    modules = modules_after(*args)
    assert not modules & HEAVY
    engine = {name for name in modules if name.split(".")[0] == "engine"}
    assert {".".join(name.split(".")[:2]) for name in engine} <= ENGINE_ALLOWED


def test_no_gpu_never_imports_a_gpu_library(tmp_path: Path):
    path = tiny_qwen2.write_tiny(tmp_path / "tiny.gguf")
    modules = modules_after("run", path, "-p", "hi", "--no-gpu", "--backend", "reference", "--max-tokens", "2")
    assert "engine.ops.reference" in modules
    assert not modules & {"torch", "triton", "cupy", "numba"}


def test_help_page():
    ended = q4k("--help")
    assert (ended.stdout, ended.stderr, ended.code) == (HELP, "", 0)


def test_version():
    ended = q4k("--version")
    assert re.fullmatch(r"q4k \d+\.\d+\.\d+ \(python 3\.\d+\.\d+\)\n", ended.stdout)
    assert ended.code == 0


def test_no_command_shows_the_help_page_and_is_exit_2():
    ended = q4k()
    assert ended.code == 2
    assert (ended.stdout, ended.stderr.strip()) == ("", HELP.strip())


def test_mistyped_command():
    ended = q4k("rnu")
    assert ended.stderr == "q4k: no such command 'rnu'. Did you mean 'run'? (see q4k --help)\n"
    assert (ended.stdout, ended.code) == ("", 2)
