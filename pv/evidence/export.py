"""Evidence as an in-toto test result, for policy engines that know nothing about pv.

    subject        what was tested: `code/<falsifier>` and, where a model was asked for, its file
    configuration  what it was tested with: `contract/<falsifier>`, `test/<falsifier>`, and the evidence records
    passedTests    "<contract> <falsifier> <target>": every attempt with these inputs passed, every fault was caught
    warnedTests    passed, but something is missing: a challenge, a measured value
    failedTests    everything else: unknown is not no and never yes
    result         FAILED if any failed, else WARNED if any warned, else PASSED

Of each falsifier and target the newest inputs are exported, with all attempts at them. The name of the model is a
label; its digest is that of the file.
Source: https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from pv.evidence.strict import canonical
from pv.schema.evidence import STATEMENT_TYPE, Predicate
from pv.schema.store import Stored
from pv.schema.verdict import ChallengeOutcome, Result

TEST_RESULT_TYPE: Final = "https://in-toto.io/attestation/test-result/v0.1"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"


def test_result(records: Iterable[Stored]) -> dict[str, Any]:
    """An in-toto Statement v1 with a test-result predicate; at least one record is needed."""
    groups: dict[tuple[str, str, str], list[Stored]] = defaultdict(list)
    for stored in records:
        predicate = stored.statement.predicate
        groups[predicate.contract, predicate.falsifier, predicate.target].append(stored)
    subjects: dict[tuple[str, str], dict[str, Any]] = {}
    configuration: dict[tuple[str, str], dict[str, Any]] = {}
    tests: dict[str, list[str]] = {"passedTests": [], "warnedTests": [], "failedTests": []}
    for key in sorted(groups):
        attempts = _at_newest_inputs(groups[key])
        newest = attempts[-1].statement
        for subject in newest.subject:
            is_subject = subject.name in ("code", "model")
            name, digest = f"{subject.name}/{key[1]}", subject.digest.sha256
            if subject.name == "model":
                name, digest = "model", newest.predicate.files["model"].get("file", digest)
            _put(subjects if is_subject else configuration, name, digest)
        for stored in attempts:
            _put(configuration, f"evidence/{stored.digest.removeprefix('sha256:')}.json", stored.digest[7:])
        tests[_list_of([stored.statement.predicate for stored in attempts])].append(" ".join(key))
    result = "FAILED" if tests["failedTests"] else "WARNED" if tests["warnedTests"] else "PASSED"
    return {
        "_type": STATEMENT_TYPE,
        "subject": [subjects[key] for key in sorted(subjects)],
        "predicateType": TEST_RESULT_TYPE,
        "predicate": {
            "result": result,
            "configuration": [configuration[key] for key in sorted(configuration)],
            **tests,
        },
    }


def _at_newest_inputs(group: list[Stored]) -> list[Stored]:
    ordered = sorted(group, key=lambda stored: (stored.statement.predicate.started, stored.digest))
    inputs = canonical(ordered[-1].statement.predicate.files)
    return [stored for stored in ordered if canonical(stored.statement.predicate.files) == inputs]


def _list_of(attempts: list[Predicate]) -> str:
    if any(attempt.result is not Result.PASS for attempt in attempts):
        return "failedTests"
    newest = attempts[-1]
    caught = [item.outcome is ChallengeOutcome.CAUGHT for attempt in attempts for item in attempt.challenges]
    return "passedTests" if newest.values and newest.challenges and all(caught) else "warnedTests"


def _put(into: dict[tuple[str, str], dict[str, Any]], name: str, sha256: str) -> None:
    into[name, sha256] = {"name": name, "digest": {"sha256": sha256}}
