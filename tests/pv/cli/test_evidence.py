"""`pv evidence` as a user meets it: whole outputs, exit codes, one line for every error."""

import json
import os
import re
import subprocess

import pytest

from pv.evidence.digests import Digests
from pv.evidence.store import Store
from pv.evidence.verify import verify
from support.command import pv as pv_process
from support.project import CONTRACT, TEST, write_project
from support.pv_command import Pv
from support.stores import HOST, add_run, files_of, write_files

BLOCK = "sha256:" + "b10c" * 16


@pytest.fixture
def project(tmp_path):
    root = write_project(tmp_path / "project")
    add_run(root / "evidence", "r1", [{"started": "2026-01-01T00:00:00Z"}])
    second = {"falsifier": "F-2", "result": "CRASH", "tests_passed": 0, "started": "2026-01-02T00:00:00Z"}
    add_run(root / "evidence", "r2", [second], blocks=[("doubling", BLOCK)])
    return root


@pytest.fixture
def pv(project, monkeypatch, capsys):
    return Pv(project, monkeypatch, capsys)


def head_of(project):
    return verify(project / "evidence").heads[HOST]


def test_verify_says_every_number(pv, project):
    said = pv("evidence", "verify")
    assert (said.code, said.err) == (0, "")
    assert said.out == (
        f"head      host-0={head_of(project)}  unanchored: a tail that was cut off would not show\n\n"
        "2 records, 0 attachments, 7 ledger lines of 1 hosts, 1 discharge blocks: 0 problems, 0 conflicts, "
        "0 aborted runs, 0 records that do not count, 1 unanchored ledgers.\n"
    )


def test_verify_as_json(pv, project):
    document = json.loads(pv("evidence", "verify", "--output-format", "json").out)
    assert document["schema"] == "pv.evidence.verify/1"
    assert document["heads"] == {HOST: head_of(project)}
    assert document["unanchored"] == [HOST]
    assert document["totals"] == {
        "records": 2, "attachments": 0, "lines": 7, "blocks": 1, "hosts": 1, "problems": 0, "conflicts": 0,
        "aborted": 0, "ignored": 0,
    }  # fmt: skip


def test_an_anchor_vouches_and_a_cut_tail_shows_against_it(pv, project):
    anchor = f"{HOST}={head_of(project)}"
    said = pv("evidence", "verify", "--anchor", anchor)
    assert (said.code, "  anchored\n" in said.out) == (0, True)
    ledger = project / f"evidence/ledger/{HOST}.jsonl"
    ledger.write_bytes(b"".join(ledger.read_bytes().splitlines(keepends=True)[:-1]))
    assert pv("evidence", "verify").code == 0
    said = pv("evidence", "verify", "--anchor", anchor)
    assert said.code == 1
    assert f"problem   ledger/{HOST}.jsonl: the anchored line {anchor.partition('=')[2]} is gone\n" in said.out


def test_anchors_come_from_a_file(pv, project):
    (project / "anchors.txt").write_text(f"\n{HOST}={head_of(project)}\n")
    assert "0 unanchored" in pv("evidence", "verify", "--anchor-file", "anchors.txt").out
    (project / "anchors.txt").write_text("host-0 sha\n")
    said = pv("evidence", "verify", "--anchor-file", "anchors.txt")
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        "pv: anchors.txt:1: 'host-0 sha' is not an anchor; expected HOST=SHA256, as pv evidence verify prints it\n"
    )


def test_a_changed_record_is_a_problem(pv, project):
    path = Store(project / "evidence").paths()[0]
    path.write_bytes(path.read_bytes().replace(b"2026", b"2025", 1))
    said = pv("evidence", "verify")
    assert said.code == 1
    assert f"problem   records/{path.name}: its bytes have sha256 " in said.out
    assert "2 problems" in said.out


def test_an_aborted_run_is_shown_and_is_no_problem(pv, project):
    add_run(project / "evidence", "r3", [{"falsifier": "F-3"}], end=False)
    said = pv("evidence", "verify")
    assert said.code == 0
    where = f"(ledger/{HOST}.jsonl:8)"
    assert f"aborted   run r3 has no end since 2026-01-01T00:00:00Z {where}; planned F-3 on cpu\n" in said.out
    listed = pv("evidence", "list", "--falsifier", "F-3")
    assert (listed.code, "ABORTED" in listed.out) == (0, True)


def test_strict_hashes_what_the_cache_remembers(pv, project, monkeypatch):
    monkeypatch.setattr("pv.evidence.digests.LARGE_BYTES", 3)
    model = pv.write("model.bin", "weights")
    os.utime(model, (1e9, 1e9))
    Digests(project).sha256(model)
    assert pv("evidence", "verify", "--strict").code == 0
    cache = project / ".pv-cache/digests.json"
    cache.write_text(re.sub("[0-9a-f]{64}", "0" * 64, cache.read_text()))
    assert pv("evidence", "verify").code == 0
    said = pv("evidence", "verify", "--strict")
    assert said.code == 1
    assert "problem   .pv-cache/digests.json: remembers another digest for model.bin than " in said.out


def test_nothing_to_verify_is_not_green(pv, project):
    (project / "none").mkdir()
    said = pv("evidence", "verify", "--store", "none")
    assert said.code == 3
    assert said.err == "pv: none: holds no evidence; nothing was checked\n"


def test_list_is_newest_first_with_whole_digests(pv, project):
    old, new = sorted(Store(project / "evidence"), key=lambda stored: stored.statement.predicate.started)
    assert pv("evidence", "list").out == (
        f"2026-01-02T00:00:00Z  CRASH     F-2  cpu  {new.digest}  1/1 challenges caught\n"
        f"2026-01-01T00:00:03Z  BLOCK     doubling  {BLOCK}\n"
        f"2026-01-01T00:00:00Z  PASS      FALSIFY-DOUBLE-001  cpu  {old.digest}  1/1 challenges caught\n"
        "\n2 of 2 evidence records, 0 aborted runs, 1 discharge blocks.\n"
    )


@pytest.mark.parametrize(
    ("options", "count", "blocks"),
    [
        (("--result", "PASS"), 1, 0),
        (("--falsifier", "F-2"), 1, 0),
        (("--contract", "doubling"), 2, 1),
        (("--target", "cpu", "--result", "CRASH"), 1, 0),
    ],
)
def test_list_filters(pv, options, count, blocks):
    said = pv("evidence", "list", *options, "--output-format", "json")
    document = json.loads(said.out)
    assert (said.code, len(document["records"]), document["totals"]["records"]) == (0, count, 2)
    assert (len(document["blocks"]), document["totals"]["blocks"]) == (blocks, blocks)


def test_a_filter_that_matches_nothing_is_not_green(pv):
    said = pv("evidence", "list", "--falsifier", "F-9")
    assert (said.code, said.err) == (3, "pv: none of 2 evidence records matches\n")


def test_an_unknown_result_is_a_mistake(pv):
    said = pv("evidence", "list", "--result", "PASSED")
    assert (said.code, said.out) == (2, "")
    assert said.err == "pv: --result 'PASSED' is not a result; did you mean 'PASS'?\n"


def test_show_takes_the_beginning_of_a_digest(pv, project):
    path = Store(project / "evidence").paths()[0]
    for name in (path.stem[:8], f"sha256:{path.stem}"):
        said = pv("evidence", "show", name)
        assert (said.code, said.out.splitlines()[0]) == (0, f"sha256:{path.stem}")
    document = json.loads(pv("evidence", "show", path.stem[:8], "--output-format", "json").out)
    assert document["statement"] == json.loads(path.read_bytes())


def test_show_knows_a_discharge_block(pv):
    said = pv("evidence", "show", "b10cb10c")
    assert said.out == f"{BLOCK}\n  discharge block of doubling, run r2, {HOST}, 2026-01-01T00:00:03Z\n"
    document = json.loads(pv("evidence", "show", BLOCK, "--output-format", "json").out)
    assert (document["digest"], document["blocks"][0]["contract"]) == (BLOCK, "doubling")


@pytest.mark.parametrize(
    ("digest", "problem"),
    [("abc", "is too short; give at least 4 characters"), ("zzzz", "names none of 2 evidence records")],
)
def test_show_refuses_what_is_not_one_record(pv, digest, problem):
    said = pv("evidence", "show", digest)
    assert (said.code, said.out) == (2, "")
    assert problem in said.err


def test_merge_brings_another_host_in(pv, project):
    add_run(project / "other", "r9", [{"falsifier": "F-9"}], host="host-9")
    said = pv("evidence", "merge", "other")
    assert said.code == 0
    assert said.out == (
        "merged 1 stores: 1 records, 0 attachments, 3 ledger lines added.\n"
        "3 records, 0 attachments, 10 ledger lines of 2 hosts, 1 discharge blocks: 0 problems, 0 conflicts, "
        "0 aborted runs, 0 records that do not count, 2 unanchored ledgers.\n"
    )
    assert "0 records, 0 attachments, 0 ledger lines added" in pv("evidence", "merge", "other").out


def test_a_merge_with_a_conflict_ends_with_1(pv, project):
    add_run(project / "other", "r9", [{"result": "FAIL"}], host="host-9")
    said = pv("evidence", "merge", "other")
    assert said.code == 1
    assert re.search(r"^conflict  doubling FALSIFY-DOUBLE-001 on cpu: passed in sha256:\w+ and failed in", said.out)
    assert pv("evidence", "verify").code == 1


def test_a_merge_of_a_damaged_store_writes_nothing(pv, project):
    add_run(project / "other", "r9", [{}], host="host-9")
    Store(project / "other").paths()[0].unlink()
    before = files_of(project / "evidence")
    said = pv("evidence", "merge", "other")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert files_of(project / "evidence") == before


@pytest.fixture
def keys(project):
    for command in (
        ("openssl", "genpkey", "-algorithm", "ed25519", "-out", "key.pem"),
        ("openssl", "pkey", "-in", "key.pem", "-pubout", "-out", "key.pub"),
    ):
        subprocess.run(command, cwd=project, check=True, capture_output=True)


def test_an_export_is_signed_and_verified_offline(pv, project, keys):
    plain = pv("evidence", "export", "--format", "in-toto-test-result")
    assert json.loads(plain.out)["predicate"]["result"] == "FAILED"
    signed = pv("evidence", "export", "--sign", "key.pem")
    assert signed.code == 0
    (project / "signed.json").write_text(signed.out)
    said = pv("evidence", "verify", "--dsse", "signed.json", "--key", "key.pub")
    assert (said.code, said.err) == (0, "")
    assert said.out == ("signed by key.pub: https://in-toto.io/attestation/test-result/v0.1, 2 subjects, FAILED.\n")
    (project / "signed.json").write_text(signed.out.replace('"sig": "', '"sig": "AAAA'))
    said = pv("evidence", "verify", "--dsse", "signed.json", "--key", "key.pub")
    assert (said.code, said.out) == (1, "problem   signed.json: is not signed by key.pub\n")


def test_a_signature_without_its_key_is_a_mistake(pv):
    said = pv("evidence", "verify", "--dsse", "signed.json")
    assert (said.code, said.err) == (2, "pv: --dsse FILE and --key PUB belong together\n")


def test_export_takes_digests(pv, project):
    digest = pv("evidence", "list", "--result", "PASS").out.split("sha256:")[1].split()[0]
    document = json.loads(pv("evidence", "export", digest).out)
    assert document["predicate"]["passedTests"] == ["doubling FALSIFY-DOUBLE-001 cpu"]
    assert document["predicate"]["failedTests"] == []
    assert pv("evidence", "export", "0" * 64).code == 2


def test_a_mistyped_command_is_named(pv):
    said = pv("evidence", "verfy")
    assert (said.code, said.out) == (2, "")
    assert "verify" in said.err


def test_a_run_that_is_repeated_until_it_is_green_is_flaky(tmp_path):
    """A test that breaks once and then passes; the standing of five attempts is tested with the standings."""
    body = TEST.replace(
        "    pv.record",
        "    from pathlib import Path\n"
        "    count = Path(__file__).parent.parent / 'count'\n"
        "    count.write_text((count.read_text() if count.exists() else '') + 'x')\n"
        "    if len(count.read_text()) < 2:\n        raise RuntimeError('not today')\n"
        "    pv.record",
    )
    root = write_project(tmp_path, test=body, contract=CONTRACT)
    codes = [pv_process("discharge", cwd=root).code for _ in range(2)]
    said = pv_process("status", cwd=root)
    assert codes == [4, 4]
    assert said.code == 4
    assert "missing  cpu: FLAKY: 2 attempts with the same inputs: 1 PASS, 1 ERROR" in said.out
    assert "standing: OPEN" in (root / "contracts/doubling-v1.yaml").read_text()


def test_status_mentions_runs_that_never_ended(pv, project):
    add_run(project / "evidence", "r3", [{}], end=False)
    said = pv("status")
    assert said.err == (
        "pv: 1 evidence records do not count: the run that wrote them was interrupted\n"
        "pv: 1 runs have no end, aborted or still running: r3\n"
    )


def test_a_forged_record_opens_nothing(pv, project):
    """Its name fits its bytes, and still no run has written it."""
    files = files_of(project / "evidence")
    stored = next(iter(Store(project / "evidence")))
    write_files(project / "forged", files)
    Store(project / "forged").add(
        stored.statement.model_copy(update={"predicate": stored.statement.predicate.model_copy(update={"run": "r77"})})
    )
    said = pv("evidence", "verify", "--store", "forged")
    assert said.code == 1
    assert "no ledger line names this record" in said.out
