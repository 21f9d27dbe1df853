"""What the words of pv mean: exit codes, standings, results, challenges, targets, gate answers, classes of change."""

from __future__ import annotations

from pv.schema.verdict import ChallengeOutcome, GateAnswer, Result, Standing

_STANDINGS = {
    Standing.DISCHARGED: """\
For every required target there is fresh evidence with result PASS on that very target, values are measured against the
limits that the contract states, and every declared challenge (at least one) was caught.""",
    Standing.PARTIAL: """\
There is a fresh PASS on at least one required or weaker target, nothing is refuted, and something is still missing;
what is missing is listed. A run on cpu, cuda-interpreted or cuda-compiled supports PARTIAL, and never more, where cuda
is required.""",
    Standing.FALSIFIED: """\
There is a fresh FAIL on a required target. It beats every other evidence. A known defect stays FALSIFIED; a waiver
with owner, reason and expiry says who answers for it, and never renames it.""",
    Standing.STALE: """\
There is evidence, but something it rests on has changed since: the contract, the test, the code under test or the
model. The component is named. Run 'pv discharge' again.""",
    Standing.OPEN: """\
There is nothing fresh. A crash, a timeout, a skip, an expected failure, no collected test: all of them leave a
falsifier OPEN.""",
    Standing.WAIVED: """\
An obligation that is neither refuted nor proven, and for which somebody answers until a date. A refuted one stays
FALSIFIED, with the waiver beside it.""",
}
_RESULTS = {
    Result.PASS: "Every planned test was collected once, passed in setup, call and teardown, on the claimed target.",
    Result.FAIL: "An assertion of a planned test was false: the falsifier refuted its obligation.",
    Result.ERROR: "A test ended in anything but a pass or a failed assertion, so it said nothing about the claim.",
    Result.TIMEOUT: "The tests did not end within the falsifier's timeout_s; the parent process stopped them.",
    Result.CRASH: "The process that ran the tests died, or ended without its last record.",
    Result.FLAKY: """\
The same test gave two answers, in one run or in several with the same inputs. A flaky falsifier proves nothing, however
often it is run, until an input changes; its time limit is one.""",
    Result.SKIPPED: "A planned test was skipped or expected to fail. Neither counts as a pass.",
    Result.NOT_RUN: "Nothing ran: no collected test, or the run ended before its turn.",
    Result.WRONG_TARGET: "The test passed, but on another target than the one claimed. A fallback is never silent.",
}
_CHALLENGES = {
    ChallengeOutcome.CAUGHT: "With the fault applied, the test failed, as it must.",
    ChallengeOutcome.SURVIVED: "The test passed with the fault applied: it cannot see this fault.",
    ChallengeOutcome.BROKEN: "The test ended in anything but a pass or a failed assertion; an error is not a catch.",
    ChallengeOutcome.NOT_APPLIED: "The fault's own code never ran, so nothing was proven.",
}
_TARGETS = {
    "cpu": "The CPU path.",
    "cpu-oracle": """\
The CPU path beside an independent engine that has to be installed. A run on cpu says nothing about it; without that
engine its falsifiers are SKIPPED, so the claim stays OPEN.""",
    "cuda": "The CUDA kernels on a GPU, whichever it is.",
    "cuda:sm_90": """\
The CUDA kernels on a GPU of this compute capability (any number in place of 90). It serves where cuda is required; cuda
does not serve where cuda:sm_90 is required.""",
    "cuda-interpreted": """\
The Triton kernels under Triton's interpreter, without a GPU. Supports PARTIAL, never more, where cuda is required.""",
    "cuda-compiled": """\
The Triton kernels compiled for a GPU that need not be there, not run. Supports PARTIAL, never more, where cuda is
required.""",
}
_GATES = {
    GateAnswer.YES: """\
Everything that the gate asks for on this target is DISCHARGED, or covered by a waiver in force that the gate lists, and
something is DISCHARGED. Nothing that is printed as a problem can stand beside it.""",
    GateAnswer.NO: """\
Something that the gate asks for is FALSIFIED, and no waiver that the gate lists accepts a refutation.""",
    GateAnswer.CANNOT_DECIDE: """\
Evidence is missing, stale or from the wrong target, the store is damaged, or the gate asks for nothing that is there.
Unknown is not no, and never yes.""",
}
_CHANGES = {
    "breaking": "It claims something else; nobody but a reader can say whether that is more or less. Major version.",
    "loosened": """\
It claims less, or is harder to refute: a higher tolerance, a dropped challenge, target, falsifier or obligation, a new
waiver. Whoever relied on it may no longer do so. Major version.""",
    "tightened": "It claims more, or is easier to refute. Old evidence may no longer do. Minor version.",
    "editorial": "It claims the same in other words. Patch version.",
}
_EXIT_CODES = """\
  0    clean; no errors, nothing refuted
  1    findings, or FALSIFIED
  2    usage or configuration: a wrong flag, path, selector or key
  3    nothing to check: the selection is empty, and empty is never green
  4    cannot decide: evidence is missing, stale or from the wrong target
  5    internal error: a bug in pv, or a child process that could not be started
  130  interrupted by Ctrl-C
  141  whoever read the output went away, as after 'pv lint | head'"""


_FAULTS = """\
A fault is a function or class without required arguments that gives a context manager, named module:function:

  from unittest import mock
  from lib import double as subject

  def off_by_one():
      right = subject.double

      def broken(x):
          return right(x) + 1

      return mock.patch.object(subject, "double", broken)

It is entered before the test is imported. It counts as applied when a function of its file is called after that, or
when the object that it yields has a true attribute 'applied', which is the way for faults that change data or compiled
code.

pv challenge --all asks who catches each fault of a catalogue: the public ones of the modules in [tool.pv] faults. Where
a module is a package, a fault's class is the file of it that the fault is written in. A docstring may say why nobody
catches it, in a paragraph that begins 'Not caught: '; --at-least PERCENT wants that of each fault that nobody does.

A fault with a size takes it as a keyword, and has a default: def scaled(relative=1e-3). Its challenge is written
{fault: lib.faults:scaled, grade: relative}. pv discharge tries the default alone; pv challenge and
pv discharge --sensitivity also find the smallest relative size that is still caught, between 1 and 1e-9, in at most 10
runs. Where every size is caught one run has size 0: a fault that is caught even then does not depend on its size."""


def _listed(entries: dict[str, str]) -> str:
    """Names with their texts, indented below."""
    return "\n".join(
        f"{name}\n" + "\n".join(f"  {line}" for line in text.splitlines()) for name, text in entries.items()
    )


_WORDS = {
    "standing": {str(name): text for name, text in _STANDINGS.items()},
    "result": {str(name): text for name, text in _RESULTS.items()},
    "challenge outcome": {str(name): text for name, text in _CHALLENGES.items()},
    "target": _TARGETS,
    "gate answer": {str(name): text for name, text in _GATES.items()},
    "class of change": _CHANGES,
}

TOPICS: dict[str, str] = {
    "exit-codes": f"Exit codes of every command.\n\n{_EXIT_CODES}",
    "standings": f"""\
What the evidence supports, for a falsifier, an obligation or a contract. An obligation is as good as its weakest
falsifier, a contract as its weakest obligation. Standings are recomputed every time; a stored one has no say.

{_listed(_WORDS["standing"])}""",
    "results": f"""\
What happened to one falsifier on one target in one run.

{_listed(_WORDS["result"])}""",
    "challenges": f"""\
A challenge is a seeded fault that a falsifier must catch: the same test runs once more with the fault applied, in a
process of its own. Before that a forced failure proves that this very test can report one. A falsifier that fails
without any fault is not challenged, for its failure would prove nothing.

{_listed(_WORDS["challenge outcome"])}

{_FAULTS}""",
    "targets": f"Where a falsifier runs.\n\n{_listed(_TARGETS)}",
    "gates": f"The answer to a release question over contracts and targets.\n\n{_listed(_WORDS['gate answer'])}",
    "changes": f"What pv diff says of a change, and the part of the version that must rise.\n\n{_listed(_CHANGES)}",
    **{name: f"{name}: a {kind}\n\n{text}" for kind, entries in _WORDS.items() for name, text in entries.items()},
}
"""Text by name; lists of words first, then each word."""
