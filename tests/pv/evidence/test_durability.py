"""Death and failing disks at a sample of the moments; `python tests/harness/crash.py` tries all of them."""

import random

import pytest

from support.durability import CHANGING, PROJECTS, Trials, delays, spread
from support.file_operations import ERRORS, STAYS_BROKEN
from support.promises import count_runs
from support.stores import judged


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The trials of each project, made when they are first asked for."""
    kept = {}

    def get(project):
        if project not in kept:
            kept[project] = Trials(tmp_path_factory.mktemp(project), project)
        return kept[project]

    return get


@pytest.fixture(params=PROJECTS)
def trials(request, made):
    return made(request.param)


@pytest.fixture
def few(made):
    return made("few")


@pytest.mark.parametrize(("project", "runs", "contracts"), [("few", 3, 1), ("first", 3, 1), ("many", 12, 12)])
def test_a_run_changes_files_in_many_steps(made, project, runs, contracts):
    """The harness sees them: a record and an attachment of each falsifier, three times the ledger."""
    trials = made(project)
    same = runs if project == "first" else 0  # what each run attaches again is written once
    names = [name.split()[0] for name in trials.operations]
    assert names.count("os.write") == 2 * runs + same + 3 + contracts
    assert names.count("os.replace") == 2 * runs + same + contracts
    assert len(trials.changing()) >= 14 * runs


def test_threads_change_no_name_of_an_operation(made):
    """Else a trial at an operation by its name could miss it."""
    trials = made("many")
    assert len(set(trials.operations)) == len(trials.operations)
    assert {name.split()[-1] for name in trials.operations if " for " in name} >= {"#1"}
    trials.kill_at(next(name for name in trials.changing() if " for evidence/records/new-" in name))


def test_killed_before_an_operation(trials):
    for operation in spread(trials.changing(), 5):
        trials.kill_at(operation)


def test_killed_in_the_midst_of_a_write(trials):
    for operation in spread(trials.writes(), 3):
        trials.kill_at(operation, half=True)


def test_killed_at_a_moment_of_the_clock(trials):
    for delay in delays(trials, 3, seed=1):
        trials.kill_after(delay)


def test_an_operation_that_fails(trials):
    chosen = random.Random(2)
    changing, others = trials.changing(), [n for n in trials.operations if n.split()[0] not in CHANGING]
    for index, operation in enumerate([*chosen.sample(changing, 4), *chosen.sample(others, 2)]):
        trials.fail_at(operation, list(ERRORS)[index])


@pytest.mark.parametrize("error", STAYS_BROKEN)
def test_a_disk_that_stays_broken(trials, error):
    for operation in random.Random(3).sample(trials.changing(), 2):
        trials.fail_at(operation, error, stays=True)


@pytest.mark.parametrize("file_limit_bytes", [300, 1000, 2000])
def test_a_write_that_the_kernel_cuts_short(few, file_limit_bytes):
    """In the intent line, in a record, in the ledger again."""
    few.limit(file_limit_bytes)


@pytest.mark.parametrize(("writers", "runs"), [(2, 3), (16, 1)])
def test_discharges_at_the_same_time_lose_nothing(few, writers, runs):
    few.together(writers, runs)


def test_the_harness_would_see_a_torn_store(few):
    """A control: without the rename, a death in the midst of the write is a torn record."""
    root = few.fresh()
    record = next((root / "evidence/records").iterdir())
    record.write_bytes(record.read_bytes()[:100])
    assert judged(root / "evidence") == (False, False)
    with pytest.raises(Exception, match=r"was changed after it was written"):
        count_runs(root, 3)
