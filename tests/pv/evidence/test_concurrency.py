"""Real runs at the same time lose nothing; `python tests/harness/concurrency.py` does more of it."""

from pv.evidence.read import read_evidence
from support.project import TEST
from support.promises import contracts_of
from support.simultaneous import at_once, settled, write_claims

ONCE = "    from pathlib import Path\n    Path('checks/once').mkdir()\n    pv.record"


def test_two_runs_of_the_same_contract(tmp_path):
    names = write_claims(tmp_path, ["holds"])
    ran = at_once(tmp_path, [names, names])
    assert ran.codes == (0, 0)
    assert ran.reads > 0
    settled(tmp_path, [names, names])


def test_two_runs_of_different_contracts(tmp_path):
    holds, refuted = write_claims(tmp_path, ["holds", "refuted"])
    assert at_once(tmp_path, [[holds], [refuted]]).codes == (0, 1)
    settled(tmp_path, [[holds], [refuted]])


def test_sixteen_runs_of_the_same_and_of_different_contracts(tmp_path):
    """What breaks or is refuted gets no challenge, which halves the time that this takes."""
    names = write_claims(tmp_path, ["refuted", "breaks", "holds"])
    runs = [[names[number % 2]] for number in range(15)] + [[names[2]]]
    assert at_once(tmp_path, runs).codes == (*([1, 4] * 7), 1, 0)
    settled(tmp_path, runs)


def test_a_run_that_is_killed_takes_nothing_from_another(tmp_path):
    names = write_claims(tmp_path, ["holds"])
    ran = at_once(tmp_path, [names, names], kills=1)
    ended = [names for code in ran.codes if code == 0]
    assert len(ended) >= 1
    settled(tmp_path, ended, killed=1)


def test_five_attempts_and_one_green_are_flaky(tmp_path):
    """At the same time, so that nobody can say which of them was first."""
    names = write_claims(tmp_path, ["holds"])
    path = tmp_path / "checks/test_double_00.py"
    path.write_text(TEST.replace("FALSIFY-DOUBLE-001", "FALSIFY-HOLDS-00").replace("    pv.record", ONCE))
    assert at_once(tmp_path, [names] * 5).codes == (4,) * 5
    results = sorted(stored.statement.predicate.result for stored in read_evidence(tmp_path / "evidence").records)
    assert results == ["ERROR"] * 4 + ["PASS"]
    (contract,) = contracts_of(tmp_path).values()
    assert contract.discharge is not None
    assert contract.discharge.standing == "OPEN"
    (entry,) = contract.discharge.falsifiers.values()
    assert entry.missing == ("cpu: FLAKY: 5 attempts with the same inputs: 1 PASS, 4 ERROR",)
