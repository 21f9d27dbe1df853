"""`q4k parity` from outside: page, JSON, file, exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from support import tiny_qwen2
from support.q4k import Ended, q4k

PROMPTS = ["-p", "What is 2+2?", "-p", "Hello"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Path:
    return tiny_qwen2.write_tiny(folder / "tiny.gguf")


@pytest.fixture(scope="module")
def saved(tiny: Path, folder: Path) -> Path:
    """Side a of the first comparison."""
    path = folder / "a.safetensors"
    ended = q4k("parity", tiny, "--a", "reference", *PROMPTS, "--steps", "4", "--save", path)
    assert (ended.stderr, ended.code) == ("q4k: a.safetensors written\n", 0)
    return path


def changed(saved: Path, out: Path, change: dict[tuple[int, int], float]) -> Path:
    """A copy of a saved side with some logits replaced."""
    logits = load_file(saved)["logits"]
    for place, value in change.items():
        logits[place] = value
    with safe_open(saved, "np") as file:
        save_file({"logits": logits}, out, metadata=file.metadata())
    return out


def test_two_backends_agree(tiny: Path):
    ended = q4k("parity", tiny, *PROMPTS, "--steps", "3")
    lines = ended.stdout.splitlines()
    assert lines[:5] == [
        "a             cpu: cpu, float32, f32 cache; 6 samples after 2 of 2 prompts",
        "b             reference: reference, float32, f32 cache; 6 samples after 2 of 2",
        "              prompts",
        "tokens        a's choices, fed to both",
        "",
    ]
    assert lines[5] == "step  same token  95 % interval  largest gap  least cosine  mean KL, nats"
    for number, line in enumerate(lines[6:9], 1):
        assert re.fullmatch(rf" +{number} +2 of 2 +34% to 100% +0 +1\.000000000  \S+ \+- \S+", line)
    # Wilson, all of 6: 1 / (1 + 1.96^2 / 6)
    assert lines[10] == "same token    6 of 6 = 100.0%, 95 % Wilson interval 61.0% to 100.0%; 0 near"
    assert lines[-1] == "AGREE"
    assert max(map(len, lines)) <= 80
    assert (ended.stderr, ended.code) == ("", 0)


def test_a_flip_is_named_with_its_gap(tiny: Path, saved: Path, tmp_path: Path):
    """At the second step after the first prompt b prefers another token by far; the gap is computed here."""
    logits = load_file(saved)["logits"].astype(np.float64)
    worst = int(logits[1].argmin())
    wrong = changed(saved, tmp_path / "wrong.safetensors", {(1, worst): 50.0})
    ended = q4k("parity", tiny, "--a", "reference", "--b", wrong)
    gap = logits[1].max() - logits[1].min()
    flat = " ".join(ended.stdout.split())
    assert re.search(r"DIFFERS prompt 1, step 2: '.+' and '.+'; a loses", flat)
    assert f"a loses {gap:.4g} logits = {gap / logits[1].std():.4g} deviations" in flat
    assert "tokens b's file, fed to both" in flat
    assert "DIFFER: another token at 1 of 8 steps; the worst costs" in flat
    assert (ended.stderr, ended.code) == ("", 1)


def test_a_near_tie_is_printed_and_forgiven(tiny: Path, saved: Path, tmp_path: Path):
    """b's second token is a hair above its first: less than the five ten-thousandths of a deviation allowed."""
    logits = load_file(saved)["logits"].astype(np.float64)
    first, second = logits[2].argsort()[::-1][:2]
    spread = logits[2].std()
    a = changed(saved, tmp_path / "a.safetensors", {(2, int(second)): logits[2, first] - 1e-4 * spread})
    b = changed(saved, tmp_path / "b.safetensors", {(2, int(second)): logits[2, first] + 1e-4 * spread})
    ended = q4k("parity", tiny, "--a", a, "--b", b)
    flat = " ".join(ended.stdout.split())
    assert re.search(r"near tie prompt 1, step 3: .*; a loses \S+ logits = (9\.9\d*e-05|0\.0001\d*) deviations", flat)
    assert "7 of 8 = 87.5%" in flat
    assert "1 near ties, 0 beyond" in flat
    assert ended.code == 0
    assert q4k("parity", tiny, "--a", a, "--b", b, "--near-tie", "0").code == 1


def test_json_holds_every_step_and_both_sample_sizes(tiny: Path, saved: Path):
    ended = q4k("parity", tiny, "--a", saved, "--b", "reference", "--json")
    page = json.loads(ended.stdout)
    assert page["schema"] == "q4k.parity/1"
    assert [(side["name"], side["samples"], side["saved"]) for side in page["sides"].values()] == [
        ("a.safetensors", 8, True),
        ("reference", 8, False),
    ]
    logits = load_file(saved)["logits"]
    steps = [step for prompt in page["prompts"] for step in prompt["steps"]]
    assert [step["token_a"] for step in steps] == logits.argmax(axis=1).tolist()
    assert all(step["kl"] == 0 and step["same"] for step in steps)
    assert page["verdict"]["answer"] == "agree"
    assert [row["samples"] for row in page["by_step"]] == [2] * 4
    assert ended.code == 0


CANNOT = {
    "no steps": (["--steps", "0", "-p", "hi"], "CANNOT DECIDE: no samples"),
    "no prompts": (["--prompts", "/dev/null"], "CANNOT DECIDE: no samples"),
    "one sample": (
        ["--steps", "1", "-p", "hi"],
        "CANNOT DECIDE: one sample has no uncertainty; ask for more --steps or prompts",
    ),
}


@pytest.mark.parametrize(("flags", "last"), CANNOT.values(), ids=CANNOT)
def test_too_little_is_exit_4_and_never_agreement(tiny: Path, flags: list[str], last: str):
    ended = q4k("parity", tiny, "--a", "reference", *flags)
    assert (ended.stdout.splitlines()[-1], ended.stderr, ended.code) == (last, "", 4)


def test_an_interval_around_the_limit_is_undecided(tiny: Path):
    """8-bit activations against a limit that is their own mean."""
    flags = ["--a", "reference", "--b", "cpu-q8", *PROMPTS, "--steps", "4", "--json"]
    kl = json.loads(q4k("parity", tiny, *flags).stdout)["verdict"]["kl"]
    assert kl["low"] < kl["mean"] < kl["high"]
    ended = q4k("parity", tiny, *flags, "--max-kl", kl["mean"], "--near-tie", "9")
    page = json.loads(ended.stdout)
    assert (page["verdict"]["answer"], ended.code) == ("cannot decide", 4)
    assert page["verdict"]["reasons"][0].startswith("mean KL is in ")


def test_prompts_come_from_a_file(tiny: Path, tmp_path: Path):
    (tmp_path / "prompts.txt").write_text("\ufeffHello\r\n\n  What is 2+2?  \n", encoding="utf-8")
    ended = q4k("parity", tiny, "--a", "reference", "--prompts", tmp_path / "prompts.txt", "--steps", "2", "--json")
    again = q4k("parity", tiny, "--a", "reference", "-p", "Hello", "-p", "What is 2+2?", "--steps", "2", "--json")
    assert json.loads(ended.stdout)["prompts"] == json.loads(again.stdout)["prompts"]


def one_line(ended: Ended, message: str, code: int) -> None:
    assert re.fullmatch(f"q4k: {message}\n", ended.stderr)
    assert (ended.stdout, ended.code) == ("", code)


USAGE = {
    "side": (["--b", "gpu"], r"no such side 'gpu'; available: cpu, .*, reference, or a file \*\.safetensors", 2),
    "steps": (["--steps", "-1"], r"--steps is -1, must be >= 0", 2),
    "limit": (["--max-kl", "nan"], r"--max-kl is nan, must be a number >= 0", 2),
    "two sources": (
        ["-p", "x", "--prompts", "y"],
        r"--prompt and --prompts contradict each other: give one of them",
        2,
    ),
    "prompts": (["--prompts", "none.txt"], r"--prompts: none\.txt cannot be read: no such file or directory", 2),
    "file": (["--b", "none.safetensors"], r"none\.safetensors: cannot open the file: no such file or directory", 2),
    "threads": (["--a", "reference", "--threads", "1"], r"--threads is for --backend cpu; the backend is reference", 2),
    "gpu": (["--b", "cuda"], r"backend 'cuda'.+", 4),
    "option": (["--step", "1"], r"no such option: --step .*--steps.* \(see q4k parity --help\)", 2),
}


@pytest.mark.parametrize(("flags", "message", "code"), USAGE.values(), ids=USAGE)
def test_what_is_refused_is_one_line(tiny: Path, flags: list[str], message: str, code: int):
    one_line(q4k("parity", tiny, *flags), message, code)


def test_a_saved_side_is_never_cut_to_fit(tiny: Path, saved: Path):
    held = r"a\.safetensors: holds 2 prompts of \d+, \d+ tokens, 4 steps each"
    ended = q4k("parity", tiny, "--b", saved, "--steps", "3")
    one_line(ended, held + r", asked for are 3 steps; leave --steps out to take the file's", 2)
    ended = q4k("parity", tiny, "--b", saved, "-p", "Hello")
    one_line(ended, r"a\.safetensors: holds other prompts: 2 of .* asked for are 1 of .*", 2)
    ended = q4k("parity", tiny, "--a", saved, "--b", saved, "-p", "Hello")
    one_line(ended, r"both sides are files and have their own prompts; leave --prompt and --prompts out", 2)
    ended = q4k("parity", tiny, "--a", saved, "--save", saved)
    one_line(ended, r"--save writes what a computes; a is a file already", 2)


def test_a_saved_side_with_nan_is_refused(tiny: Path, saved: Path, tmp_path: Path):
    broken = changed(saved, tmp_path / "nan.safetensors", {(3, 7): np.nan})
    ended = q4k("parity", tiny, "--a", "reference", "--b", broken)
    one_line(ended, r"nan\.safetensors: tensor 'logits' holds nan at \(3, 7\); such a side cannot be compared", 2)


def test_logits_of_a_live_side_that_are_not_finite(tmp_path: Path):
    tensors = tiny_qwen2.random_tensors(tiny_qwen2.Shape())
    tensors["output_norm.weight"][:] = 3e38  # finite, its products are not
    path = tiny_qwen2.write_gguf(tmp_path / "nan.gguf", tensors, tiny_qwen2.metadata(tiny_qwen2.Shape()))
    save = tmp_path / "a.safetensors"
    ended = q4k("parity", path, "--a", "reference", *PROMPTS, "--save", save)
    assert ended.stdout.splitlines()[-1] == "CANNOT DECIDE: the logits of a are not finite; no samples"
    assert (ended.stderr, ended.code, save.exists()) == ("", 4, False)


def test_the_bundled_model_on_its_own_questions():
    ended = q4k("parity", "--teacher", "--b", "cpu-q16", "--steps", "4")
    assert ended.stdout.splitlines()[-1] == "AGREE"
    assert " 24 samples after 6 of 6 prompts" in " ".join(ended.stdout.split())
    assert ended.code == 0
