"""`q4k serve` before it listens: flags and what is missing. The running server is tested in tests/engine/serve."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support.q4k import environment, q4k


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--port", "70000"], "--port is 70000, must be between 0 and 65535"),
        (["--port", "-1"], "--port is -1, must be between 0 and 65535"),
        (["--max-queue", "-1"], "--max-queue is -1, must be >= 0"),
        (["--max-tokens", "0"], "--max-tokens is 0, must be >= 1"),
        (["--precision", "q7"], "backend cpu has no precision 'q7'; available: f32, q16, q8"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_flags_are_one_line(args: list[str], message: str):
    ended = q4k("serve", "--teacher", *args)
    assert (ended.stdout, ended.stderr, ended.code) == ("", f"q4k: {message}\n", 2)


def test_model_is_needed():
    ended = q4k("serve")
    assert ended.stderr == "q4k: give either the path of a model or --teacher\n"
    assert ended.code == 2


def test_name_that_is_no_address():
    ended = q4k("serve", "--teacher", "--backend", "reference", "--host", "no.such.host.invalid")
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("q4k: --host no.such.host.invalid --port 8080: cannot listen: ")
    assert ended.code == 2


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_without_the_extra_it_says_what_to_install(missing: str):
    code = (
        "import sys\n"
        f"sys.modules[{missing!r}] = None\n"
        "sys.argv = ['q4k', 'serve', '--teacher']\n"
        "from engine.cli.main import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(), timeout=60, check=False
    )
    assert done.stdout == ""
    assert done.stderr.startswith("q4k: q4k serve needs starlette and uvicorn (")
    assert done.stderr.endswith("); install them: pip install 'pv-contracts[serve]'\n")
    assert done.stderr.count("\n") == 1
    assert done.returncode == 2
