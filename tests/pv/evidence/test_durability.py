"""Death and failing disks at a sample of the moments; `python tests/harness/crash.py` tries all of them."""

import random
import subprocess
import sys

import pytest

from support.durability import CHANGING, Trials, delays, spread
from support.file_operations import ERRORS
from support.project import write_project
from support.quick_discharge import count_runs
from support.stores import judged


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    return Trials(tmp_path_factory.mktemp("trials"))


def test_a_run_changes_files_in_many_steps(trials):
    """The harness sees them: three records, their attachments, the intent, the rest of the ledger, the block."""
    names = [name.split()[0] for name in trials.operations]
    assert names.count("os.write") == 3 + 2 + 1
    assert names.count("os.replace") == 3 + 1
    assert len(trials.changing()) >= 50


def test_killed_before_an_operation(trials):
    for number in spread(trials.changing(), 9):
        trials.kill_at(number)


def test_killed_in_the_midst_of_a_write(trials):
    writes = [number for number, name in enumerate(trials.operations) if name.startswith("os.write")]
    for number in spread(writes, 3):
        trials.kill_at(number, half=True)


def test_killed_at_a_moment_of_the_clock(trials):
    for delay in delays(trials, 6, seed=1):
        trials.kill_after(delay)


def test_an_operation_that_fails(trials):
    chosen = random.Random(2)
    numbers = chosen.sample([n for n, name in enumerate(trials.operations) if name.split()[0] in CHANGING], 8)
    others = chosen.sample(range(len(trials.operations)), 4)
    for index, number in enumerate(sorted({*numbers, *others})):
        trials.fail_at(number, list(ERRORS)[index % len(ERRORS)])


@pytest.mark.parametrize("file_limit_bytes", [300, 1000, 2000])
def test_a_write_that_the_kernel_cuts_short(trials, file_limit_bytes):
    """In the intent line, in a record, in the ledger again."""
    trials.limit(file_limit_bytes)


@pytest.mark.parametrize(("writers", "runs"), [(2, 3), (16, 1)])
def test_discharges_at_the_same_time_lose_nothing(trials, writers, runs):
    trials.together(writers, runs)


def test_two_real_discharges_at_the_same_time(tmp_path):
    root = write_project(tmp_path)
    running = [
        subprocess.Popen([sys.executable, "-m", "pv", "discharge"], cwd=root, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
        for _ in range(2)
    ]  # fmt: skip
    assert [process.wait(timeout=60) for process in running] == [0, 0]
    assert judged(root / "evidence") == (True, True)
    assert len(list((root / "evidence/records").iterdir())) == 2


def test_the_harness_would_see_a_torn_store(trials):
    """A control: without the rename, a death in the midst of the write is a torn record."""
    root = trials.fresh()
    record = next((root / "evidence/records").iterdir())
    record.write_bytes(record.read_bytes()[:100])
    assert judged(root / "evidence") == (False, False)
    with pytest.raises(Exception, match=r"was changed after it was written"):
        count_runs(root)
