"""The application: help, version, mistyped input, and what each ending looks like from outside."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pv import __version__
from pv.cli.group import COMMANDS
from pv.cli.guard import guarded
from pv.errors import CannotDecide, ConfigError, EvidenceError, NothingToCheck, PvError, RunError, UsageError
from support.contract_text import VALID
from support.pv_command import REPOSITORY, Pv, start_pv

NAMES = [entry.name for entry in COMMANDS]

# What `pv --help` and `pv --version` have no use for. Each of them costs 10 to 1000 ms.
HEAVY = {
    *("pydantic", "yaml", "ruamel", "numpy", "numba", "jsonschema", "pytest", "_pytest", "jinja2", "rich", "grimp"),
    *("tokenizers", "torch", "triton", "transformers", "engine", "pv.schema", "pv.load", "pv.catalog", "pv.config"),
    *("pv.lint", "pv.bind", "pv.run", "pv.evidence", "pv.discharge", "pv.challenge", "pv.report", "pv.workflow"),
}


@pytest.fixture
def pv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Pv:
    return Pv(tmp_path, monkeypatch, capsys)


def test_help_shows_every_command_with_its_summary_in_80_columns(pv: Pv) -> None:
    ended = pv("--help")
    lines = ended.out.splitlines()
    assert (ended.code, ended.err) == (0, "")
    assert max(map(len, lines)) <= 80
    for entry in COMMANDS:
        assert f"  {entry.name:<9}  {entry.summary}" in lines
    assert [line for line in lines if line and not line.startswith(" ")] == [
        "Usage: pv [OPTIONS] COMMAND [ARGS]...",
        "Options:",
        "Check:",
        "Prove:",
        "Decide:",
        "Understand:",
    ]


def test_help_ends_with_the_exit_codes(pv: Pv) -> None:
    assert pv("--help").out.endswith(
        "  Exit codes:\n"
        "    0  clean                    4    cannot decide: missing, stale, wrong target\n"
        "    1  findings, or FALSIFIED   5    internal error\n"
        "    2  usage or configuration   130  interrupted\n"
        "    3  nothing to check\n"
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_command_explains_itself(name: str, pv: Pv) -> None:
    ended = pv(name, "-h")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"Usage: pv {name} ")
    assert max(map(len, ended.out.splitlines())) <= 80


def test_short_help_is_help(pv: Pv) -> None:
    assert pv("-h") == pv("--help")


def test_without_arguments_help_is_the_error(pv: Pv) -> None:
    ended = pv()
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.rstrip() == pv("--help").out.rstrip()


def test_version(pv: Pv) -> None:
    ended = pv("--version")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"pv {__version__} (python {'.'.join(map(str, sys.version_info[:3]))})\n"


def imported(*arguments: str, cwd: Path = REPOSITORY) -> set[str]:
    """Names of all modules that a command has loaded when it ends; it has to end with 0."""
    program = (
        "import sys; sys.argv[0] = 'pv'\n"
        "from pv.cli.main import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    print(*sys.modules, file=sys.stderr)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=cwd, capture_output=True, text=True, check=True
    )
    modules = set(ended.stderr.split())
    assert "pv.cli.main" in modules
    return modules


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_nothing_heavy(option: str) -> None:
    assert imported(option) & HEAVY == set()


def test_validate_imports_only_what_reads_contracts(pv: Pv) -> None:
    """No test, no evidence, no other report than the one that is printed."""
    pv.write("contracts/rms-norm-v1.yaml", VALID)
    used = imported("validate", cwd=pv.folder)
    assert {"pydantic", "yaml", "pv.lint.engine", "pv.report.text"} <= used
    foreign = {"ruamel", "numpy", "jsonschema", "pytest", "_pytest", "jinja2", "grimp", "concurrent.futures", "json"}
    ours = {"pv.bind.collect", "pv.run", "pv.evidence", "pv.discharge", "pv.challenge", "pv.diff", "pv.report.sarif"}
    assert used & (foreign | ours) == set()


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_read_no_configuration(option: str, pv: Pv) -> None:
    pv.write("pyproject.toml", "[tool.pv\n")
    assert pv(option).code == 0
    assert pv("validate").code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["valdate"], "pv: no such command 'valdate'; did you mean 'validate'? (see pv --help)\n"),
        (["frobnicate"], "pv: no such command 'frobnicate' (see pv --help)\n"),
        (["--versoin"], "pv: no such option '--versoin'; did you mean '--version'? (see pv --help)\n"),
        (
            ["validate", "--outptu-format", "json"],
            "pv validate: no such option '--outptu-format'; did you mean '--output-format'? (see pv validate --help)\n",
        ),
        (["validate", "-z"], "pv validate: no such option '-z' (see pv validate --help)\n"),
        (
            ["validate", "--output-format", "xml"],
            "pv validate: invalid value for '--output-format': "
            "'xml' is not one of 'full', 'concise', 'json', 'sarif', 'github' (see pv validate --help)\n",
        ),
        (
            ["validate", "--output-format"],
            "pv: option '--output-format' requires an argument\n",
        ),
        (["schema", "extra"], "pv schema: got unexpected extra argument(s) (extra) (see pv schema --help)\n"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistyped_command_line(arguments: list[str], message: str, pv: Pv) -> None:
    ended = pv(*arguments)
    assert (ended.code, ended.out, ended.err) == (2, "", message)


def raising(error: BaseException) -> Callable[[], object]:
    def run() -> object:
        print("so far")  # noqa: T201
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UsageError("a.yaml: no such file"), 2, "pv: a.yaml: no such file\n"),
        (ConfigError("pyproject.toml: bad"), 2, "pv: pyproject.toml: bad\n"),
        (EvidenceError("evidence: read-only"), 2, "pv: evidence: read-only\n"),
        (NothingToCheck("no contract files"), 3, "pv: no contract files\n"),
        (CannotDecide("2 of 3 missing"), 4, "pv: 2 of 3 missing\n"),
        (RunError("child did not start"), 5, "pv: child did not start\n"),
        (PvError("some"), 5, "pv: some\n"),
        (KeyboardInterrupt(), 130, "pv: interrupted\n"),
        (
            KeyError("limit"),
            5,
            "pv: internal error: KeyError: 'limit'; set PV_TRACEBACK=1 to see where, and please report it\n",
        ),
        (
            ValueError("two\nlines"),
            5,
            "pv: internal error: ValueError: two lines; set PV_TRACEBACK=1 to see where, and please report it\n",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_every_ending_is_one_line_and_a_code(
    error: BaseException, code: int, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PV_TRACEBACK", raising=False)
    assert guarded(raising(error)) == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("so far\n", message)


def test_traceback_is_shown_on_request(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PV_TRACEBACK", "1")
    assert guarded(raising(KeyError("limit"))) == 5
    err = capsys.readouterr().err
    assert err.startswith("Traceback (most recent call last):\n")
    assert err.splitlines()[-1].startswith("pv: internal error: KeyError: 'limit'")


def test_closed_output_is_quiet(tmp_path: Path) -> None:
    """As `pv schema | true`: the reader is gone before the first byte."""
    process = start_pv("schema", folder=tmp_path)
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (141, "")


def test_interrupt_ends_a_running_command(tmp_path: Path) -> None:
    """`sitecustomize` makes the command wait where it would read contracts, so that the signal finds it there."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Wait:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'pv.workflow.check':\n"
        "            import time\n"
        "            print('waiting', flush=True)\n"
        "            time.sleep(30)\n"
        "sys.meta_path.insert(0, Wait())\n"
    )
    process = start_pv("validate", folder=tmp_path, env={"PYTHONPATH": f"{tmp_path}:{REPOSITORY}"})
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "pv: interrupted\n")


def test_completion_knows_commands_and_options(tmp_path: Path) -> None:
    def complete(words: str, index: int) -> list[str]:
        env = {"_PV_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(index)}
        out, err = start_pv(folder=tmp_path, env=env).communicate(timeout=30)
        assert err == ""
        return out.split()

    assert complete("pv val", 1) == ["validate"]
    assert complete("pv validate --out", 2) == ["--output-format"]
