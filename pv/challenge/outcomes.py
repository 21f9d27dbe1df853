"""What a falsifier did about a seeded fault: a total function.

wiring is broken, or the fault could not be entered     BROKEN
FAIL, and the fault's code ran                          CAUGHT
PASS, and the fault's code ran                          SURVIVED
PASS or FAIL, and the fault's code never ran            NOT_APPLIED
anything else                                           BROKEN: an error is not a catch
"""

from __future__ import annotations

from pv.run.child import FaultTrace
from pv.schema.run import Outcome
from pv.schema.verdict import ChallengeOutcome, Result


def interpret(outcome: Outcome, trace: FaultTrace) -> tuple[ChallengeOutcome, str]:
    """The challenge's outcome and one line of reason."""
    if trace.broken:
        return ChallengeOutcome.BROKEN, f"the fault cannot be seeded: {trace.broken}"
    if outcome.result not in (Result.PASS, Result.FAIL):
        return ChallengeOutcome.BROKEN, f"ended in {outcome.result}, not in a failed assertion: {outcome.reason}"
    if not (trace.entered and trace.applied):
        return ChallengeOutcome.NOT_APPLIED, f"the fault's code never ran, and the result was {outcome.result}"
    if outcome.result is Result.PASS:
        return ChallengeOutcome.SURVIVED, "passed with the fault in place"
    return ChallengeOutcome.CAUGHT, outcome.reason


def wiring_problem(outcome: Outcome) -> str:
    """Why a run with forced failures is no proof that a failure would be seen; empty if it is one."""
    if outcome.result is Result.FAIL:
        return ""
    return f"a forced failure came out as {outcome.result}: {outcome.reason}"
