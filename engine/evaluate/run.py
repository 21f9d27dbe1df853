"""One evaluation: self-check, then a completion and a verdict for every problem, then the figure with its parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from engine.errors import BoxError
from engine.evaluate.box import Limits
from engine.evaluate.completion import Style, program
from engine.evaluate.judge import OUTCOMES, Verdict, judge
from engine.evaluate.problems import Problem
from engine.evaluate.selfcheck import SelfCheck, check_process_limit, self_check

if TYPE_CHECKING:
    from engine.llm import Llm

SCHEMA: Final = "q4k.eval/1"


@dataclass(frozen=True, slots=True)
class Result:
    """One problem."""

    task_id: str
    program: str
    verdict: Verdict


@dataclass(slots=True)
class Report:
    """pass@1 of one greedy completion per problem."""

    self_check: SelfCheck
    limits: Limits
    isolated: bool
    style: Style
    max_tokens: int
    model: dict[str, Any]
    """`Llm.record`."""
    results: list[Result] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Problems by outcome; every outcome is there."""
        found = Counter(result.verdict.outcome for result in self.results)
        return {outcome: found[outcome] for outcome in OUTCOMES}

    @property
    def passed(self) -> int:
        return self.counts()["passed"]

    def as_json(self, dataset: dict[str, Any]) -> dict[str, Any]:
        """The whole report.

        Args:
            dataset: what identifies the file of problems.
        """
        return {
            "schema": SCHEMA,
            "pass_at_1": self.passed / len(self.results),
            "problems": len(self.results),
            **self.counts(),
            "void": 0,  # a run in which anything is void ends without a report
            "self_check": asdict(self.self_check),
            "isolated": self.isolated,
            "limits": asdict(self.limits),
            "style": self.style,
            "max_tokens": self.max_tokens,
            "dataset": dataset,
            "model": self.model,
            "results": [
                {"task_id": result.task_id, **asdict(result.verdict), "program": result.program}
                for result in self.results
            ],
        }


def evaluate(
    llm: Llm,
    problems: Sequence[Problem],
    *,
    style: Style,
    max_tokens: int,
    unsafe: bool = False,
    limits: Limits | None = None,
    hidden: tuple[str, ...] = (),
    on_result: Callable[[Result], None] | None = None,
) -> Report:
    """Measure a model.

    Args:
        unsafe: where there is no isolation, run with limits alone; the report says which it was.
        hidden: folders that hold the answers.
        on_result: called after each problem.

    Raises:
        VoidError: the self-check did not come out exactly.
        BoxError: this system does not give the isolation, or a limit does not hold.
        EngineError: the model cannot be asked like this.
    """
    limits = limits or Limits()
    isolated = _isolation(limits, unsafe)
    decide = partial(judge, limits=limits, isolated=isolated, hidden=hidden)
    report = Report(self_check(problems, decide), limits, isolated, style, max_tokens, llm.record())
    for problem in problems:
        source = program(llm, problem, style=style, max_tokens=max_tokens)
        verdict = decide(problem, source) if source else Verdict("failed", "the prompt does not fit the context")
        report.results.append(Result(problem.task_id, source, verdict))
        if on_result:
            on_result(report.results[-1])
    return report


def _isolation(limits: Limits, unsafe: bool) -> bool:
    """Whether code will be isolated; limits hold either way."""
    try:
        check_process_limit(limits, isolated=True)
    except BoxError:
        if not unsafe:
            raise
        check_process_limit(limits, isolated=False)
        return False
    return True
