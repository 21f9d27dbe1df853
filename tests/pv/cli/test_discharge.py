"""The whole way from a contract file to its block, as a user walks it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from support.command import pv
from support.project import CONTRACT, SUBJECT, TEST, write_project


def test_a_claim_that_holds_is_discharged_and_written_down(tmp_path):
    root = write_project(tmp_path)
    said = pv("discharge", cwd=root)
    assert said.code == 0, said
    assert re.sub(r"\d+\.\d s, run [0-9a-f]{16}", "TIME", said.out) == (
        "doubling  DISCHARGED\n"
        "  DISCHARGED  FALSIFY-DOUBLE-001  cpu PASS  1/1 challenges caught\n"
        "              max_abs_error 0 <= 1e-06 (margin 100 %)\n"
        "\n"
        "wrote contracts/doubling-v1.yaml\n"
        "1 contracts, 1 falsifiers on cpu: 1 PASS; 1 of 1 challenges caught.\n"
        "Contracts: 1 DISCHARGED. TIME.\n"
    )
    text = (root / "contracts/doubling-v1.yaml").read_text()
    assert text.startswith(CONTRACT)
    (record,) = (root / "evidence/records").glob("*.json")
    assert f"sha256:{record.stem}" in text
    events = [json.loads(line)["event"] for line in next((root / "evidence/ledger").iterdir()).read_text().splitlines()]
    assert events == ["intent", "result", "end", "block"]
    assert not list(root.rglob("*.tmp"))


def test_the_second_run_agrees_and_status_needs_no_run(tmp_path):
    root = write_project(tmp_path)
    assert pv("discharge", cwd=root).code == 0
    assert pv("discharge", cwd=root).code == 0
    said = pv("status", cwd=root)
    assert said.code == 0, said
    assert said.out.startswith(
        "DISCHARGED  doubling\n  DISCHARGED  doubles\n    DISCHARGED  FALSIFY-DOUBLE-001  have cpu\n"
    )
    assert "1 contracts, 1 obligations, 1 falsifiers, 2 evidence records. Contracts: 1 DISCHARGED." in said.out


def test_a_refuted_claim_is_falsified_with_what_to_do(tmp_path):
    root = write_project(tmp_path, subject="def double(x):\n    return 2 * x + 1\n")
    said = pv("discharge", cwd=root)
    assert said.code == 1
    assert "FALSIFIED   FALSIFY-DOUBLE-001  cpu FAIL" in said.out
    assert "if it fails: look at lib/double.py" in said.out
    assert pv("status", cwd=root).code == 1


def test_mending_the_code_makes_a_refutation_stale(tmp_path):
    root = write_project(tmp_path, subject="def double(x):\n    return 2 * x + 1\n")
    assert pv("discharge", cwd=root).code == 1
    (root / "lib/double.py").write_text(SUBJECT)
    said = pv("status", cwd=root)
    assert said.code == 4
    assert "missing  cpu: stale, changed since: code (lib/double.py)" in said.out
    assert pv("discharge", cwd=root).code == 0


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [("harmless", "SURVIVED"), ("never_reached", "NOT_APPLIED"), ("no_such_fault", "BROKEN")],
)
def test_a_challenge_that_is_not_caught_leaves_it_partial(tmp_path, fault, outcome):
    root = write_project(tmp_path, contract=CONTRACT.replace("off_by_one", fault))
    said = pv("discharge", cwd=root)
    assert said.code == 4
    assert "  PARTIAL     FALSIFY-DOUBLE-001  cpu PASS  0/1 challenges caught\n" in said.out
    assert f"lib.faults:{fault} {outcome}: " in said.out
    assert "0 of 1 challenges caught." in said.out


def test_a_pass_without_measured_value_is_partial(tmp_path):
    body = TEST.replace(
        'pv.record("max_abs_error", abs(subject.double(3) - 6), limit=1e-6)', "assert subject.double(3) == 6"
    )
    said = pv("discharge", cwd=write_project(tmp_path, test=body))
    assert said.code == 4
    assert "missing  cpu: no measured value was recorded" in said.out


@pytest.mark.parametrize(
    ("loose", "measures"),
    [
        ("limit=5.0", "measures 'max_abs_error' against at most 5.0"),
        ("limit=None", "measures nothing against a limit"),
        ("limit=0.0, bound='at_least'", "measures 'max_abs_error' against at least 0.0"),
        ("limit=1e-6, unit='ulp'", "measures 'max_abs_error' in 'ulp' and not in '1'"),
    ],
    ids=["looser", "none", "the other way round", "another unit"],
)
def test_a_pass_against_another_limit_than_the_contract_states_is_partial(tmp_path, loose, measures):
    """The limit that readers see is the one in the contract."""
    body = TEST.replace("limit=1e-6", loose).rstrip() + "\n    assert subject.double(3) == 6\n"
    said = pv("discharge", cwd=write_project(tmp_path, test=body))
    assert said.code == 4
    assert "PARTIAL     FALSIFY-DOUBLE-001  cpu PASS  1/1 challenges caught\n" in said.out
    assert f"missing  cpu: the test {measures}, the tolerance of 'doubles' is at most 1e-06\n" in said.out


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [("lib/double.py", "2 * x", "3 * x"), ("checks/test_double.py", "- 6)", "- 7)")],
    ids=["subject", "test"],
)
def test_a_compiled_copy_of_older_code_is_not_what_runs(tmp_path, path, old, new):
    """Python believes time and size; an edit within the same second, of the same size, changes neither."""
    root = write_project(tmp_path)
    assert pv("discharge", cwd=root).code == 0
    file = root / path
    time_ns = file.stat().st_mtime_ns
    file.write_text(file.read_text().replace(old, new))
    os.utime(file, ns=(time_ns, time_ns))
    assert list(file.parent.glob(f"__pycache__/{file.stem}.*.pyc")) != []
    said = pv("discharge", cwd=root)
    assert said.code == 1
    assert "FALSIFIED   FALSIFY-DOUBLE-001  cpu FAIL" in said.out


@pytest.mark.parametrize(
    ("body", "result"),
    [
        ("    pytest.skip('no device')\n", "SKIPPED"),
        ("    raise RuntimeError('broken')\n", "ERROR"),
        ("    import os; os._exit(0)\n", "ERROR"),
        ("    import os, signal; os.kill(os.getpid(), signal.SIGSEGV)\n", "CRASH"),
        ("    import time; time.sleep(60)\n", "TIMEOUT"),
    ],
    ids=["skip", "exception", "exit 0", "segfault", "hang"],
)
def test_a_test_that_does_not_finish_leaves_it_open(tmp_path, body, result):
    contract = CONTRACT.replace("timeout_s: 20", "timeout_s: 2")
    root = write_project(tmp_path, contract=contract, test=TEST.split("    pv.record")[0] + body)
    said = pv("discharge", cwd=root)
    assert said.code == 4
    assert f"OPEN        FALSIFY-DOUBLE-001  cpu {result}" in said.out


def test_a_test_that_does_not_exist_is_named(tmp_path):
    root = write_project(tmp_path, contract=CONTRACT.replace("::test_double", "::test_gone"))
    said = pv("discharge", cwd=root)
    assert said.code == 4
    assert "checks/test_double.py::test_gone is not collected by pytest" in said.out


def test_a_test_without_the_marker_is_not_run(tmp_path):
    root = write_project(tmp_path, test=TEST.replace("FALSIFY-DOUBLE-001", "FALSIFY-OTHER-001"))
    said = pv("discharge", cwd=root)
    assert said.code == 4
    assert 'does not carry @pytest.mark.falsifies("FALSIFY-DOUBLE-001")' in said.out


def test_json_has_the_documented_shape(tmp_path):
    root = write_project(tmp_path)
    said = pv("discharge", "--output-format", "json", cwd=root)
    document = json.loads(said.out)
    assert document["schema"] == "pv.discharge/1"
    (row,) = document["falsifiers"]
    assert {"id", "contract", "target", "result", "standing", "missing", "values", "challenges", "evidence"} <= set(row)
    assert (row["id"], row["target"], row["result"], row["standing"]) == (
        "FALSIFY-DOUBLE-001", "cpu", "PASS", "DISCHARGED",
    )  # fmt: skip
    assert row["values"][0]["margin"] == 1.0
    assert document["totals"]["challenges_caught"] == document["totals"]["challenges"] == 1


def test_dry_run_shows_the_plan_and_writes_nothing(tmp_path):
    root = write_project(tmp_path)
    said = pv("discharge", "--dry-run", cwd=root)
    assert (said.code, said.out) == (
        0,
        "FALSIFY-DOUBLE-001  cpu  1 tests, 1 challenges, limit 20 s\n1 contracts, 1 runs planned: 1 bound, 0 not.\n",
    )
    assert not (root / "evidence").exists()
    assert (root / "contracts/doubling-v1.yaml").read_text() == CONTRACT


@pytest.mark.parametrize("selector", ["doubling", "FALSIFY-DOUBLE-001", "FALSIFY-*", "contracts/doubling-v1.yaml"])
def test_selectors_name_contracts_and_falsifiers(tmp_path, selector):
    said = pv("discharge", "--dry-run", selector, cwd=write_project(tmp_path))
    assert (said.code, said.out.count("FALSIFY-DOUBLE-001")) == (0, 1)


def test_a_selector_that_names_nothing_is_refused(tmp_path):
    said = pv("discharge", "dubling", cwd=write_project(tmp_path))
    assert (said.code, said.out) == (2, "")
    assert said.err == "pv: selector 'dubling' names no contract and no falsifier; did you mean 'doubling'?\n"


def test_an_unknown_target_is_refused(tmp_path):
    said = pv("discharge", "--target", "gpu", cwd=write_project(tmp_path))
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(
        "pv: --target 'gpu' is not a target; expected one of cpu, cpu-oracle, cuda, cuda:sm_NN, "
    )


def test_a_target_that_no_falsifier_needs_is_not_green(tmp_path):
    said = pv("discharge", "--target", "cuda", cwd=write_project(tmp_path))
    assert said.code == 3
    assert "nothing was run" in said.err


def test_a_missing_model_is_refused(tmp_path):
    said = pv("discharge", "--model", "no.gguf", cwd=write_project(tmp_path))
    assert (said.code, said.out) == (2, "")
    assert "no.gguf: no such model file" in said.err


def test_a_typo_in_a_contract_stops_before_anything_runs(tmp_path):
    root = write_project(tmp_path, contract=CONTRACT.replace("tolerance:", "tolerence:"))
    said = pv("discharge", cwd=root)
    assert (said.code, said.out) == (1, "")
    assert "contracts/doubling-v1.yaml:" in said.err
    assert "tolerance" in said.err
    assert not (root / "evidence").exists()


def unprivileged():
    """Keyword arguments for subprocess that make file permissions count, also for root."""
    return {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root ignores file permissions")
def test_a_read_only_evidence_folder_is_one_line_and_changes_nothing(tmp_path):
    root = write_project(tmp_path)
    (root / "evidence").mkdir()
    (root / "evidence").chmod(0o555)
    command = [sys.executable, "-m", "pv", "discharge"]
    if os.geteuid() == 0:
        # Root stays root, so that the project stays readable, but loses the right to ignore permissions.
        command = ["setpriv", "--bounding-set", "-dac_override", "--inh-caps", "-dac_override", *command]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 2, done.stderr
    assert "evidence" in done.stderr
    assert "Traceback" not in done.stderr
    assert (root / "contracts/doubling-v1.yaml").read_text() == CONTRACT
    assert list((root / "evidence").iterdir()) == []


def test_ctrl_c_leaves_an_intent_and_nothing_half_written(tmp_path):
    root = write_project(tmp_path, test=TEST.split("    pv.record")[0] + "    import time; time.sleep(60)\n")
    child = subprocess.Popen(
        [sys.executable, "-m", "pv", "discharge"], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    ledger = root / "evidence/ledger"
    limit = time.monotonic() + 30
    while not (ledger.is_dir() and any(path.stat().st_size for path in ledger.iterdir())):
        assert time.monotonic() < limit, "no intent was written"
        time.sleep(0.05)
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=30)
    assert (child.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "pv: interrupted"
    (line,) = next(ledger.iterdir()).read_text().splitlines()
    assert json.loads(line)["event"] == "intent"
    assert not (root / "evidence/records").exists()
    assert (root / "contracts/doubling-v1.yaml").read_text() == CONTRACT
    assert not list(root.rglob("*.tmp"))


def test_a_falsifier_that_needs_another_target_is_counted_and_not_green(tmp_path):
    root = write_project(tmp_path, contract=CONTRACT + CONTRACT[CONTRACT.index("  - id: FALSIFY-DOUBLE-001") :].replace(
        "FALSIFY-DOUBLE-001", "FALSIFY-DOUBLE-002").replace("[cpu]", "[cuda]"))  # fmt: skip
    said = pv("discharge", cwd=root)
    assert "1 contracts, 2 falsifiers on cpu: 1 PASS, 1 need other targets; 1 of 1 challenges caught.\n" in said.out
    assert "Contracts: 1 OPEN." in said.out


@pytest.mark.parametrize("folder", ["", "src/"], ids=["flat", "src"])
def test_an_installed_copy_does_not_answer_for_the_projects_code(tmp_path, folder):
    """jinja2 is installed wherever pv is. The project's own one is wrong, hashed, and imported last."""
    body = TEST.replace("from lib import double as subject", "import jinja2")
    body = body.replace("subject.double(3)", "getattr(jinja2, 'double', lambda x: 2 * x)(3)")
    root = write_project(tmp_path, test=body, pyproject="[tool.pv]\n")
    own = root / folder / "jinja2/__init__.py"
    own.parent.mkdir(parents=True)
    own.write_text(SUBJECT.replace("2", "3"))
    said = pv("discharge", cwd=root)
    assert said.code == 4
    assert (
        f"ran an installed copy instead of {folder}jinja2/__init__.py; add its folder to pytest's setting" in said.out
    )
    (root / "pyproject.toml").write_text(f"[tool.pv]\n[tool.pytest.ini_options]\npythonpath = ['./{folder}']\n")
    said = pv("discharge", cwd=root)
    assert said.code == 1
    assert "cpu FAIL" in said.out


def test_code_below_src_counts_without_any_setting(tmp_path):
    """An editable installation puts `src` on the import path, and pytest's settings say nothing of it."""
    root = write_project(tmp_path)
    (root / "src").mkdir()
    (root / "lib").rename(root / "src/lib")
    (root / "pyproject.toml").write_text("[tool.pv]\n[tool.pytest.ini_options]\npythonpath = ['src']\n")
    assert pv("discharge", cwd=root).code == 0
    (root / "pyproject.toml").write_text("[tool.pv]\n")
    assert pv("status", cwd=root).code == 0
    (root / "src/lib/double.py").write_text(SUBJECT + "\n")
    said = pv("status", cwd=root)
    assert said.code == 4
    assert "code (src/lib/double.py)" in said.out
