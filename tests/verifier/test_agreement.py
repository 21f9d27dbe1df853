"""pv and a verifier that shares no code with it say the same about every store."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from pv.evidence.verify import verify
from support.stores import add_run, damages, files_of, judged, write_files


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    add_run(folder, "r1", [{}, {"falsifier": "F-2", "result": "CRASH", "tests_passed": 0}])
    last = {"falsifier": "F-3", "started": "2026-01-02T00:00:00Z"}
    add_run(folder, "r2", [last], blocks=[("doubling", "sha256:" + "a" * 64)])
    return files_of(folder)


def test_both_find_a_whole_store_clean(files, tmp_path):
    folder = write_files(tmp_path, files)
    heads = verify(folder).heads
    assert judged(folder) == (True, True)
    assert judged(folder, heads) == (True, True)


def test_they_agree_on_every_damage(files, tmp_path):
    found = clean = 0
    for number, (said, damaged) in enumerate(damages(files)):
        mine, theirs = judged(write_files(tmp_path / str(number), damaged))
        assert mine == theirs, said
        found, clean = found + (not mine), clean + mine
    assert found > 70
    assert clean < 20


def test_they_agree_on_every_damage_to_a_store_with_an_interrupted_run(tmp_path):
    whole = tmp_path / "whole"
    add_run(whole, "r1", [{"result": "FAIL"}])
    add_run(whole, "r2", [{}, {"falsifier": "F-2"}], end=False)
    files = files_of(whole)
    assert judged(whole) == (True, True)
    for number, (said, damaged) in enumerate(damages(files)):
        mine, theirs = judged(write_files(tmp_path / str(number), damaged))
        assert mine == theirs, said


def test_nothing_but_a_cut_tail_escapes_without_an_anchor(files, tmp_path):
    """A tail that is cut at a line leaves a shorter true story; a torn one is what a killed append leaves."""
    escaped = [
        said
        for number, (said, damaged) in enumerate(damages(files))
        if judged(write_files(tmp_path / str(number), damaged))[0]
    ]
    last = len(files[next(name for name in files if name.startswith("ledger/"))].splitlines())
    allowed = ("tail cut", "a file that a killed process left", f"line {last} removed", "another version, ledger")
    unexplained = [said for said in escaped if not said.startswith(allowed) and " torn" not in said]
    # Who rewrites a record and the whole chain after it is found by an anchor, and by nothing else.
    assert all(said.endswith("ledger rewritten") or said.startswith("b'{'") for said in unexplained), unexplained


def test_with_an_anchor_nothing_escapes(files, tmp_path):
    heads = verify(write_files(tmp_path / "whole", files)).heads
    for number, (said, damaged) in enumerate(damages(files)):
        mine, theirs = judged(write_files(tmp_path / str(number), damaged), heads)
        assert mine == theirs, said
        harmless = said == "a file that a killed process left" or said == "b'{' appended"
        assert mine == harmless, said


def test_they_agree_on_sampled_bits_of_every_file(files, tmp_path):
    folder = write_files(tmp_path, files)
    heads = verify(folder).heads
    chosen = random.Random(3)
    for name, good in files.items():
        for bit in chosen.sample(range(8 * len(good)), 40):
            changed = bytearray(good)
            changed[bit // 8] ^= 1 << bit % 8
            (folder / name).write_bytes(changed)
            assert judged(folder) == (False, False), (name, bit)
            assert judged(folder, heads) == (False, False), (name, bit)
        (folder / name).write_bytes(good)


def test_it_is_short_and_imports_nothing_of_ours(files, tmp_path):
    script = Path(__file__).with_name("verify_evidence.py")
    text = script.read_text()
    assert len(text.splitlines()) < 300
    assert "pv" not in {
        line.split()[1].split(".")[0] for line in text.splitlines() if line.startswith(("import", "from"))
    }
    folder = write_files(tmp_path, files)
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(script), str(folder)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "3 records, 8 ledger lines: 0 problems\n")
