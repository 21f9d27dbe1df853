"""An export says what in-toto's test-result predicate says, and a signature says who."""

import base64
import builtins
import json
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from pv.errors import UsageError
from pv.evidence.export import test_result as exported
from pv.evidence.read import read_evidence
from pv.evidence.sign import SignatureError, opened, sign
from support.stores import FILES, add_run

MODEL = {**FILES, "model": {"file": "7" * 64}}
SURVIVED = [{"fault": "lib.faults:off_by_one", "outcome": "SURVIVED", "reason": "passed", "duration_s": 0.1}]


def export(folder, *predicates):
    for number, fields in enumerate(predicates):
        add_run(folder, f"r{number}", [{"started": f"2026-01-0{number + 1}T00:00:00Z", **fields}])
    return exported(read_evidence(folder).records)


def test_the_statement_has_the_fields_of_the_specification(tmp_path):
    made = export(tmp_path, {"files": MODEL})
    assert made.keys() == {"_type", "subject", "predicateType", "predicate"}
    assert made["_type"] == "https://in-toto.io/Statement/v1"
    assert made["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert made["predicate"].keys() == {"result", "configuration", "passedTests", "warnedTests", "failedTests"}
    assert all(item.keys() == {"name", "digest"} for item in [*made["subject"], *made["predicate"]["configuration"]])


def test_the_model_is_named_by_the_digest_of_its_file(tmp_path):
    made = export(tmp_path, {"files": MODEL})
    assert {"name": "model", "digest": {"sha256": "7" * 64}} in made["subject"]
    assert [item["name"] for item in made["subject"]] == ["code/FALSIFY-DOUBLE-001", "model"]


@pytest.mark.parametrize(
    ("attempts", "result", "where"),
    [
        ([{}], "PASSED", "passedTests"),
        ([{}, {}], "PASSED", "passedTests"),
        ([{"challenges": []}], "WARNED", "warnedTests"),
        ([{"values": []}], "WARNED", "warnedTests"),
        ([{"challenges": SURVIVED}, {}], "WARNED", "warnedTests"),
        ([{"result": "FAIL"}], "FAILED", "failedTests"),
        ([{"result": "SKIPPED"}], "FAILED", "failedTests"),
        ([{"result": "TIMEOUT"}, {}], "FAILED", "failedTests"),
        ([{"result": "FAIL", "files": MODEL}, {}], "PASSED", "passedTests"),
    ],
    ids=["pass", "twice", "no challenge", "no value", "survived once", "fail", "skip", "once green", "older inputs"],
)
def test_every_attempt_at_the_newest_inputs_counts(tmp_path, attempts, result, where):
    predicate = export(tmp_path, *attempts)["predicate"]
    assert predicate["result"] == result
    assert predicate[where] == ["doubling FALSIFY-DOUBLE-001 cpu"]
    assert sum(len(predicate[name]) for name in ("passedTests", "warnedTests", "failedTests")) == 1


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Two pairs of keys, made as a user makes them."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ours", "theirs"):
        commands = (
            ["openssl", "genpkey", "-algorithm", "ed25519", "-out", f"{name}.pem"],
            ["openssl", "pkey", "-in", f"{name}.pem", "-pubout", "-out", f"{name}.pub"],
        )
        for command in commands:
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
    rsa = ["openssl", "genpkey", "-algorithm", "rsa", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "rsa.pem"]
    subprocess.run(rsa, cwd=folder, check=True, capture_output=True)
    return folder


PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1","predicateType":"x","subject":[]}'


@pytest.fixture
def envelope(keys, tmp_path):
    path = tmp_path / "signed.json"
    path.write_text(json.dumps(sign(PAYLOAD, keys / "ours.pem")))
    return path


def test_what_was_signed_is_read_back(envelope, keys):
    assert opened(envelope, keys / "ours.pub") == json.loads(PAYLOAD)


def test_the_signature_is_ed25519_over_the_pre_authentication_encoding(envelope, keys):
    """Checked with the library below, from the text of the DSSE protocol."""
    fields = json.loads(envelope.read_text())
    kind, payload = fields["payloadType"].encode(), base64.b64decode(fields["payload"])
    message = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    key = load_pem_public_key((keys / "ours.pub").read_bytes())
    assert isinstance(key, Ed25519PublicKey)
    key.verify(base64.b64decode(fields["signatures"][0]["sig"]), message)
    assert (payload, kind) == (PAYLOAD, b"application/vnd.in-toto+json")


def test_another_key_does_not_open_it(envelope, keys):
    with pytest.raises(SignatureError, match="is not signed by"):
        opened(envelope, keys / "theirs.pub")


def changed(envelope, **fields):
    envelope.write_text(json.dumps({**json.loads(envelope.read_text()), **fields}))


@pytest.mark.parametrize(
    "fields",
    [
        {"payload": base64.b64encode(PAYLOAD.replace(b"[]", b"[1]")).decode()},
        {"payloadType": "text/plain"},
        {"signatures": []},
        {"signatures": [{"keyid": "x", "sig": base64.b64encode(bytes(64)).decode()}]},
        {"signatures": [{"keyid": "x"}]},
        {"signatures": "none"},
        {"payload": 7},
        {"payload": "@@@"},
        {"more": 1},
    ],
    ids=["payload", "type", "no signature", "false", "no sig", "text", "number", "not base64", "unknown field"],
)
def test_a_changed_envelope_is_refused(envelope, keys, fields):
    changed(envelope, **fields)
    with pytest.raises(SignatureError):
        opened(envelope, keys / "ours.pub")


def test_a_signed_text_that_is_no_statement_is_refused(keys, tmp_path):
    path = tmp_path / "signed.json"
    path.write_text(json.dumps(sign(b'{"_type":"other"}', keys / "ours.pem")))
    with pytest.raises(SignatureError, match="not an in-toto statement v1"):
        opened(path, keys / "ours.pub")


@pytest.mark.parametrize("key", ["ours.pub", "rsa.pem", "gone.pem"], ids=["public", "rsa", "missing"])
def test_a_key_that_cannot_sign_is_one_line(keys, key):
    with pytest.raises(UsageError, match=r"is not|cannot be read"):
        sign(PAYLOAD, keys / key)


def test_without_the_library_one_line_says_what_to_install(keys, monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.startswith("securesystemslib"):
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(UsageError, match=r"pip install 'pv-contracts\[sign\]'"):
        sign(PAYLOAD, keys / "ours.pem")
