"""Evidence records made by hand, for tests of what reads them."""

from __future__ import annotations

from typing import Any

from pv.schema.evidence import PREDICATE_TYPE, STATEMENT_TYPE, Statement

DIGEST = "0" * 64


def make_statement(**predicate: Any) -> Statement:
    """A valid record; keyword arguments replace fields of its predicate."""
    fields: dict[str, Any] = {
        "run": "r1",
        "started": "2026-01-01T00:00:00.000000Z",
        "duration_s": 0.5,
        "contract": "doubling",
        "contract_version": "1.0.0",
        "falsifier": "FALSIFY-DOUBLE-001",
        "target": "cpu",
        "ran_target": "cpu",
        "device": {},
        "result": "PASS",
        "reason": "1 test passed",
        "tests": ["checks/test_double.py::test_double"],
        "tests_begun": 1,
        "tests_passed": 1,
        "values": [{"name": "max_abs_error", "value": 0.0, "unit": "1", "limit": 1e-6, "margin": 1.0}],
        "challenges": [
            {"fault": "lib.faults:off_by_one", "outcome": "CAUGHT", "reason": "1 failed", "duration_s": 0.1}
        ],
        "files": {"contract": {"contract id": DIGEST}, "test": {"checks/test_double.py": DIGEST}, "code": {}},
        "environment": {
            "host": "host-0", "system": "Linux", "machine": "x86_64", "cpu_count": 2, "versions": {"python": "3.11"},
        },
        "pv_version": "0.1.0",
    }  # fmt: skip
    return Statement.model_validate(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": "contract", "digest": {"sha256": DIGEST}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": {**fields, **predicate},
        }
    )
