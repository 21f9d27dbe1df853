"""Verdicts from values, limits, and what the self-check demands."""

from __future__ import annotations

import os
import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import BoxError, VoidError
from engine.evaluate import box
from engine.evaluate.box import Box, Limits
from engine.evaluate.judge import Verdict, judge
from engine.evaluate.problems import Problem, bundled_path
from engine.evaluate.selfcheck import SelfCheck, check_process_limit, self_check
from support.isolation import isolation  # noqa: F401 - a fixture

pytestmark = pytest.mark.usefixtures("isolation")

LIMITS = Limits(cpu_s=2, wall_s=5.0)


def problem(test: str, solution: str = "    return x\n", prompt: str = "def same(x):\n") -> Problem:
    body = "".join(f"    {line}\n" for line in test.splitlines())
    return Problem("t/0", prompt, "same", solution, f"def check(candidate):\n{body}")


def verdict(test: str, body: str, **options: str) -> Verdict:
    asked = problem(test, **options)
    return judge(asked, asked.prompt + body, limits=LIMITS)


@pytest.mark.parametrize(
    ("test", "body", "outcome"),
    [
        ("assert candidate(1) == 1", "    return x\n", "passed"),
        ("assert candidate(1) == 1", "    return True\n", "failed"),
        ("assert candidate(1) == 1", "    return 1.0\n", "failed"),
        ("assert candidate(1) != 2", "    return 2.0\n", "passed"),
        ("assert 1 == candidate(1)", "    return True\n", "failed"),
        ("assert [candidate(1), 2] == [1, 2]", "    return True\n", "failed"),
        ("assert abs(candidate(0.5) - 0.5) < 1e-6", "    return x + 1e-9\n", "passed"),
        ("assert candidate(x=(1, [2], {3: {4}})) == (1, [2], {3: {4}})", "    return x\n", "passed"),
        ("try: candidate('a')\nexcept ValueError as e: assert str(e) == 'bad'\nelse: raise AssertionError",
         "    raise ValueError('bad')\n", "passed"),
        ("pass", "    return x\n", "failed"),
    ],
)  # fmt: skip
def test_values_decide(test: str, body: str, outcome: str):
    assert verdict(test, body).outcome == outcome


def test_test_sees_helpers_of_the_prompt_and_not_those_of_the_completion():
    prompt = "def helper():\n    return 5\n\n\ndef same(x):\n"
    sly = "    return x\n\n\ndef helper():\n    return x\n"
    assert verdict("assert candidate(5) == helper()", sly, prompt=prompt).outcome == "passed"
    assert verdict("assert candidate(6) == helper()", sly, prompt=prompt).outcome == "failed"


def test_arguments_are_copies():
    change = "    x.append(9)\n    return 0\n"
    assert verdict("values = [1]\ncandidate(values)\nassert values == [1]", change).outcome == "passed"


@pytest.mark.parametrize(
    ("body", "outcome", "detail"),
    [
        ("    while True: pass\n", "timeout", "the completion was killed, as for its processor time"),
        ("    print('x' * (2 << 20))\n    return 1\n", "limit", "the completion is over its limit of output"),
        ("    return [0] * (1 << 28)\n", "failed", "MemoryError"),
        ("    open('f', 'wb').write(b'x' * (17 << 20))\n", "failed", "OSError: [Errno 27] File too large"),
        ("    return [open('/dev/null') for _ in range(70)]\n", "failed", "OSError: [Errno 24] Too many open files"),
        ("    return y\n", "failed", "NameError: name 'y' is not defined"),
        ("    return lambda: 1\n", "failed", "RuntimeError: PlainValueError: value of type 'function'"),
    ],
    ids=["processor", "output", "memory", "file", "descriptors", "error", "function"],
)  # fmt: skip
def test_limits_and_errors_are_told(body: str, outcome: str, detail: str):
    limits = replace(LIMITS, cpu_s=1)
    asked = problem("assert candidate(1) == 1")
    got = judge(asked, asked.prompt + body, limits=limits)
    assert (got.outcome, got.detail.split(":")[0]) == (outcome, detail.split(":")[0])
    assert got.detail.startswith(detail)


def test_wall_time_is_bounded():
    asked = problem("assert candidate(1) == 1")
    got = judge(asked, asked.prompt + "    import time; time.sleep(60)\n", limits=replace(LIMITS, wall_s=0.5))
    assert (got.outcome, got.detail) == ("timeout", "the completion did not answer in time")


def test_a_box_is_empty_and_its_environment_has_five_variables():
    look = (
        "    import os\n"
        "    return [os.listdir('.'), sorted(os.environ), os.path.exists('/proc'), os.path.exists('/etc'),"
        " os.getuid() != 0, os.listdir('/'), os.access('/usr/lib', os.W_OK)]\n"
    )
    library = Path(os.__file__).parts[1]
    names = ["HOME", "LANG", "PATH", "TMPDIR", "TZ"]
    test = (
        "files, names, proc, etc, user, top, writable = candidate(1)\n"
        f"assert (files, names, proc, etc, user, writable) == ([], {names!r}, False, False, True, False)\n"
        f"assert set(top) <= {{'dev', 'tmp', 'lib', 'lib64', 'usr', {library!r}}}"
    )
    assert verdict(test, look) == Verdict("passed", "", 1)


def test_self_check_counts_what_it_told_apart():
    asked = problem("assert candidate(1) == 1")
    assert self_check([asked], lambda each, program: judge(each, program, limits=LIMITS)) == SelfCheck(good=1, bad=3)


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("assert candidate(1) == 2", "its canonical solution does not pass: failed, AssertionError"),
        ("candidate(1)", "its test passes does nothing"),
        ("try:\n    candidate(1)\nexcept BaseException:\n    pass", "its test passes does nothing"),
    ],
)
def test_self_check_voids_a_run(test: str, message: str):
    with pytest.raises(VoidError) as caught:
        self_check([problem(test)], lambda each, program: judge(each, program, limits=LIMITS))
    assert str(caught.value) == f"self-check: t/0: {message}; nothing was measured"


def test_a_judge_that_passes_everything_voids_a_run():
    with pytest.raises(VoidError, match="its test passes does nothing"):
        self_check([problem("assert candidate(1) == 1")], lambda *_: Verdict("passed"))


def test_processes_are_counted_and_the_limit_holds():
    """The second limit is above the one that is stated, as where none holds: 20 processes run, 10 are stated."""

    class Loose(Limits):
        def as_rlimits(self) -> dict[str, int]:
            return {**super().as_rlimits(), "RLIMIT_NPROC": 20}

    check_process_limit(LIMITS, isolated=True)
    with pytest.raises(BoxError, match=r"here: (19|20) processes ran, the limit is 10$"):
        check_process_limit(Loose(processes=10), isolated=True)


def test_processes_that_cannot_be_seen_are_a_refusal(monkeypatch: pytest.MonkeyPatch):
    """A kernel may lack the list of children in /proc; memory of all together would have no limit then."""
    monkeypatch.setattr(box, "_tree", lambda root: [root])
    with pytest.raises(BoxError, match=r"processes ran, and /proc shows 1, so their memory has no limit$"):
        check_process_limit(LIMITS, isolated=True)


def test_no_namespaces_is_a_refusal(monkeypatch: pytest.MonkeyPatch):
    """A child that may not enter namespaces says so, and no code runs."""
    start = (
        "import sys; sys.path.insert(0, {root!r})\n"
        "from engine.evaluate import child, namespaces\n"
        "def refuse(): raise PermissionError(1, 'unshare: Operation not permitted')\n"
        "namespaces.enter = refuse\n"
        "child.main()"
    )
    monkeypatch.setattr(box, "_START", start)
    with pytest.raises(BoxError) as caught, Box(LIMITS):
        pytest.fail("the box opened")
    assert "no isolation for generated code here: [Errno 1] unshare: Operation not permitted" in str(caught.value)


def test_root_does_not_run_without_isolation(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(BoxError, match="do not hold for root; run as another user"), Box(LIMITS, isolated=False):
        pytest.fail("the box opened")


def test_without_isolation_values_and_limits_decide_as_well(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    asked = problem("assert candidate(1) == 1")
    outcomes = [
        judge(asked, asked.prompt + body, limits=replace(LIMITS, wall_s=1.0), isolated=False).outcome
        for body in ("    return x\n", "    return True\n", "    import time; time.sleep(60)\n")
    ]
    assert outcomes == ["passed", "failed", "timeout"]


def test_installed_packages_are_not_seen_on_any_way():
    """The answers to the bundled problems are in one of them."""
    library = sysconfig.get_path("stdlib")
    places = [f"{library}/site-packages", f"/lib/{Path(library).name}/site-packages", str(bundled_path().parent)]
    look = (
        "    import os\n"
        "    listed = [os.listdir(place) if os.path.isdir(place) else [] for place in x]\n"
        "    return [listed, [os.path.islink(place) for place in ('/lib', '/lib64')]]\n"
    )
    links = [Path(place).is_symlink() for place in ("/lib", "/lib64")]
    assert verdict(f"assert candidate({places!r}) == {[[[], [], []], links]!r}", look) == Verdict("passed", "", 1)
