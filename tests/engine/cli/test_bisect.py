"""`q4k bisect` as a command: what it prints, and the exit code of each verdict."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest
from typer.testing import CliRunner

from engine.cli.main import app
from support import q4k, tiny_qwen2

WITHIN = """\
a        cpu (f32 activations, f32 keys and values)
b        reference (f32 activations, f32 keys and values)
golden   none; a is the reference
tokens   TOKENS, the last 4 one by one
compared 43 of 43 taps at TOKENS of TOKENS positions (4 one by one); 39 of 39 operations judged by themselves
floor    3 times the largest distance of right computations in a side's precision
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen2.write_tiny(tmp_path_factory.mktemp("cli") / "tiny.gguf")


def bisect(*args: str | Path) -> tuple[int, str]:
    """In this process, so that a fault can be put into a backend."""
    done = CliRunner().invoke(app, ["bisect", *map(str, args)])
    return done.exit_code, done.output


def half(gate: object, up: object) -> object:
    from engine.ops import reference

    return reference.swiglu(gate, up) / 2  # type: ignore[arg-type]


def test_two_sides_that_agree(path: Path):
    """The command itself, whole: exit code 0, nothing on stderr, coverage and floor first, the verdict last."""
    done = q4k.q4k("bisect", path, "--prompt", "What is 2+2?")
    tokens = done.stdout.split("tokens   ")[1].partition(",")[0]
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.startswith(WITHIN.replace("TOKENS", tokens))
    assert done.stdout.endswith("both are within the floor\n  a and b part nowhere beyond the floor\n")


def test_a_wrong_side_is_named_kept_judged_again_and_shown(path: Path, tmp_path: Path):
    kept, page, test = tmp_path / "kept", tmp_path / "page.html", tmp_path / "test_found.py"
    with mock.patch("engine.ops.cpu.swiglu", half):
        code, text = bisect(
            path, "--a", "reference", "--b", "cpu", "--golden", "fp64", "--graft", "--save", kept, "--html", page,
            "--emit-falsifier", test,
        )  # fmt: skip
    assert code == 1
    assert "\nb is wrong\n  b: layer 0 swiglu, position 0 (prompt), channel " in text
    assert "graft: alone, on the input of the golden forward, b at layer 0 swiglu is wrong as well" in text
    assert page.read_text().count("<table>") == 3
    assert "pytest.mark.falsifies" in test.read_text()
    assert (tmp_path / "cpu-layer-0-swiglu-v1.yaml").is_file()
    code, again = bisect(path, "--rejudge", kept, "--golden", kept)
    assert (code, "\nb is wrong\n  b: layer 0 swiglu" in again) == (1, True)
    assert bisect(path, "--rejudge", kept, "--margin", "1e9")[0] == 0


def test_a_noisy_reference_cannot_decide(path: Path):
    with mock.patch("engine.ops.cpu.swiglu", half):
        code, text = bisect(path, "--a", "cpu", "--b", "reference")
    assert code == 4
    assert "\nthe reference is too noisy to decide\n  layer 0 swiglu, position 0 (prompt), channel " in text
    assert text.endswith("  --golden fp64 judges both beside a forward in float64\n")


def test_a_saved_side_is_compared_on_its_own_tokens(path: Path, tmp_path: Path):
    saved = tmp_path / "side.safetensors"
    assert q4k.q4k("trace", path, "--prompt", "Hi", "--raw", "--steps", "2", "--save", saved).code == 0
    code, text = bisect(path, "--a", saved, "--b", "reference", "--golden", "fp64")
    assert (code, "the last 2 one by one" in text) == (0, True)
    code, text = bisect(path, "--a", saved, "--b", "reference", "--prompt", "Hi")
    assert (code, "says which tokens were run; leave out --prompt and --decode" in text) == (2, True)


def test_the_self_test_prints_each_fault(path: Path):
    code, text = bisect(path, "--self-test", "--prompt", "Hi", "--raw", "--decode", "1")
    assert (code, text.count("named "), text.splitlines()[-1]) == (0, 8, "self-test: 8 of 8 faults named")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--a", "tpu"], "no such side 'tpu'; available: cpu, cpu-q16,"),
        (["--margin", "0"], "--margin is 0.0, must be > 0"),
        (["--margin", "nan"], "--margin is nan, must be > 0"),
        (["--decode", "-1"], "--decode is -1, must be >= 0"),
        (["--rejudge", "x", "--prompt", "Hi"], "--rejudge runs no side: it goes without --save, --prompt"),
        (["--rejudge", "nowhere"], "expected a folder written by q4k bisect --save"),
        (["--golden", "nowhere"], "expected a folder written by q4k bisect --save"),
        (["--html", "nowhere/page.html"], "cannot be written: its folder must exist"),
        (["--emit-falsifier", "found.py"], "must be the name of a test_*.py file"),
        (["--prompt", ""], "prompt is empty"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_asked_for_is_refused(path: Path, args: list[str], said: str):
    code, text = bisect(path, *args)
    assert code == 2
    assert said in text
