"""Forty canaries are planted where secrets live; none of them comes out anywhere.

All canaries are made up. Each is both in its place (environment, files, command line) and said aloud by the tests under
judgement: in failures, in exceptions, on both streams, in device records, in names, in parameters and marks, in what
breaks an import, and by seeded faults.
"""

import base64
import getpass
import io
import re
import socket
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from urllib.parse import quote, unquote

import pytest

from pv.cli.main import run
from pv.evidence.redact import SECRET, Redactor
from support.command import pv
from support.project import CONTRACT, write_project

ENVIRONMENT = {
    "SERVICE_API_KEY": "plainlookingvalueofthekey",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIcanaryCYEXAMPLEKEYwJalrXUtn",
    "DB_PASSWORD": "correct horse battery",
    "HF_TOKEN": "hf_canaryCanaryCanaryCanaryCanary12",
    "CI_JOB_TOKEN": "job/token+with=signs",
    "SENTRY_DSN": "https://0a1b2c3d4e5f@errors.example.com/7",
    "CHAT_WEBHOOK": "https://chat.example.com/hooks/T0/B0/canary",
    "LOGIN_COOKIE": "sid=8d7f6a5b4c",
    "SIGNING_PRIVATE": "MC4CAQAwBQYDK2VwBCIEIcanary",
    "REGISTRY_AUTH": "dXNlcjpjYW5hcnktaW4tYXV0aA",
}
PLANTED = {
    **{f"environment {name}": value for name, value in ENVIRONMENT.items()},
    "netrc login": "canary-login",
    "netrc password": "canary-netrc-pw",
    "dotenv": "canary-dotenv-value",
    "dotenv quoted": "canary dotenv quoted",
    "dotenv local": "canary-dotenv-local",
    "remote with token": "https://canary-bot:glcanary0123@git.example.com/x.git",
    "remote with user": "https://canaryuser0123@git.example.com/x.git",
    "user": "canaryuser",
    "aws id": "AKIACANARYCANARY1234",
    "aws temporary id": "ASIACANARYCANARY1234",
    "github": "ghp_canaryCanaryCanaryCanaryCanary123456",
    "github fine": "github_pat_11CANARY0canaryCanaryCanary_Canary",
    "gitlab": "glpat-canaryCanaryCanary1",
    "openai": "sk-canaryCanaryCanaryCanary",
    "slack": "xoxb-1234567890-canaryCanary",
    "google": "AIzaCanaryCanaryCanaryCanaryCanaryCanary",
    "pypi": "pypi-AgEIcanaryCanaryCanary",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl",
    "private key": "-----BEGIN OPENSSH PRIVATE KEY----- b3BlbnNzaCanary -----END OPENSSH PRIVATE KEY-----",
    "bearer": "Authorization: Bearer canary0canary0canary",
    "password in text": "password=hunter2canary",
    "password in json": '"passwd": "hunter3canary"',
    "secret in text": "client_secret: canary4canary",
    "token in text": "access_token=canary5canary6",
    "home path": "/home/canaryuser/models/private.gguf",
    "windows path": "C:\\Users\\canaryuser\\weights",
    "other path": "/srv/canary-customer/data",
    "address": "10.77.13.99",
    "mac": "02:42:ac:11:77:99",
    "gpu": "GPU-0c0ffee0-1234-5678-9abc-canary".replace("canary", "0123456789ab"),
}
ENCODED = {
    "base64 of a known one": base64.b64encode(b"x:" + ENVIRONMENT["SERVICE_API_KEY"].encode()).decode(),
    "base64 of a shaped one": base64.b64encode(f"id={PLANTED['aws id']};".encode()).decode(),
    "base64 for URLs": base64.urlsafe_b64encode(f"??>{PLANTED['github']}".encode()).decode(),
    "URL of a known one": quote(ENVIRONMENT["CI_JOB_TOKEN"], safe=""),
    "URL of a shaped one": "k%3D" + quote(PLANTED["jwt"], safe=""),
}
TELLTALE = {
    # What a reader must not find; the words around it may stay.
    "remote with token": "glcanary0123",
    "remote with user": "canaryuser0123",
    "bearer": "canary0canary0canary",
    "password in text": "hunter2canary",
    "password in json": "hunter3canary",
    "secret in text": "canary4canary",
    "token in text": "canary5canary6",
    "private key": "b3BlbnNzaCanary",
    "home path": "/home/canaryuser",
    "windows path": "Users\\canaryuser",
    "other path": "canary-customer",
}
CANARIES = {name: TELLTALE.get(name, value) for name, value in {**PLANTED, **ENCODED}.items()}


def views(text):
    """The text as it is, URL-decoded, and every part of it that is base64."""
    yield text
    yield unquote(text)
    for part in re.findall(r"[A-Za-z0-9+/_-]{12,}", text):
        for start in range(4):
            body = part[start:].translate(str.maketrans("-_", "+/"))
            yield base64.b64decode(body[: len(body) - len(body) % 4]).decode("latin-1")


def found_in(text):
    seen = list(views(text))
    return {name for name, canary in CANARIES.items() if any(canary in view for view in seen)}


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """Everything that a discharge of talkative tests leaves behind, by where it stands."""
    root = tmp_path_factory.mktemp("canary-customer")
    words = [*PLANTED.values(), *ENCODED.values()]
    groups = [words[index : index + 3] for index in range(0, len(words), 3)]
    ids = [f"FALSIFY-TALK-{number:03}" for number in range(len(groups) + 3)]
    tests = ["import os, sys, pytest\nfrom lib import double as subject\n"]
    for number, group in enumerate(groups):
        aloud = " ".join(group)
        tests.append(
            f'@pytest.mark.falsifies("{ids[number]}")\ndef test_{number}(pv):\n    kept_local = {group!r}\n'
            f"    print(kept_local, file=(sys.stdout, sys.stderr)[{number % 2}])\n"
            f"    raise {'AssertionError' if number % 3 else 'ValueError'}({aloud!r})\n"
        )
    everything = " ".join(words)
    last = len(groups)
    tests.append(
        f'@pytest.mark.falsifies("{ids[last]}")\ndef test_device(pv):\n'
        f"    said = {words!r}\n"
        f"    pv.ran_on({{'target': 'cpu', 'serial': '0325canary', 'said': said, 'more': {{'x': {everything!r}}}}})\n"
        f"    pv.record('error ' + {words[0]!r}, 0.0, limit=1.0)\n"
    )
    tests.append(
        f'@pytest.mark.falsifies("{ids[last + 1]}")\ndef test_dies(pv):\n'
        f"    os.write(1, {everything!r}.encode() + b'\\n')\n    os._exit(3)\n"
    )
    tests.append(
        f'@pytest.mark.falsifies("{ids[last + 2]}")\ndef test_challenged(pv):\n'
        f"    pv.record('error', 0.0, limit=1.0)\n    assert subject.double(3) == 6, {everything!r}\n"
    )
    head, one = CONTRACT.split("falsifiers:\n")
    names = [*(f"test_{number}" for number in range(last)), "test_device", "test_dies", "test_challenged"]
    items = [
        one.replace("FALSIFY-DOUBLE-001", name).replace("::test_double", f"::{test}")
        for name, test in zip(ids, names, strict=True)
    ]
    write_project(root, test="\n\n".join(tests))
    for name, test, fault in talk_before_running(root, words):
        item = one.replace("FALSIFY-DOUBLE-001", name).replace("checks/test_double.py::test_double", test)
        items.append(item.replace("off_by_one", fault))
    (root / "contracts/doubling-v1.yaml").write_text(head + "falsifiers:\n" + "".join(items))
    (root / "contracts/gates").mkdir()
    (root / "contracts/gates/ship.yaml").write_text(
        "id: ship\nquestion: May it ship?\ntargets: [cpu]\nrequires: [doubling]\n"
    )
    plant(root)
    home = root.parent / "home"
    environment = {**ENVIRONMENT, "HOME": str(home), "USER": "canaryuser", "LOGNAME": "canaryuser"}
    model = root / f"model-{PLANTED['aws id']}.bin"
    model.write_bytes(b"weights")
    text = pv("discharge", "--model", str(model), cwd=root, env=environment)
    assert text.code == 1, text.err
    as_json = pv("evidence", "list", "--output-format", "json", cwd=root, env=environment)
    status = pv("status", cwd=root, env=environment)
    found = {"discharge": text.out + text.err, "list": as_json.out, "status": status.out + status.err}
    shown = next((root / "evidence/records").iterdir()).stem
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for name, value in environment.items():
            patch.setenv(name, value)
        for command in (
            *COMMANDS,
            *(("evidence", "show", shown, "--output-format", form) for form in ("full", "json")),
        ):
            out = io.StringIO()
            with redirect_stdout(out), redirect_stderr(out):
                code = run(command)
            assert code in (0, 1, 4), (command, out.getvalue())
            assert len(out.getvalue()) > 80, command
            found[" ".join(command)] = out.getvalue()
    for path in [*(root / "evidence").rglob("*"), root / "contracts/doubling-v1.yaml"]:
        if path.is_file():
            found[path.relative_to(root).as_posix()] = path.read_text()
    return found, root


CHALLENGED = ("FALSIFY-TALK-000", "FALSIFY-SAID-0", "FALSIFY-SAID-9")
"""One that fails aloud, one whose fault does, one that cannot be collected."""
COMMANDS = (
    ("discharge", "FALSIFY-TALK-000", "FALSIFY-SAID-9", "--output-format", "json"),
    ("discharge", "--dry-run"),
    *(("challenge", *CHALLENGED, "--output-format", form) for form in ("full", "json")),
    *(("lint", "--strict-test-binding", "--output-format", form)
      for form in ("full", "concise", "json", "sarif", "github")),
    *(("status", "--output-format", form) for form in ("full", "concise", "json")),
    *(("gate", "ship", "--output-format", form) for form in ("full", "json", "github")),
    *(("evidence", command, "--output-format", form) for command in ("list", "verify") for form in ("full", "json")),
    ("evidence", "export"),
    ("validate",),
)  # fmt: skip
"""Every command that says something about tests or evidence, in every format, after the first discharge."""


def talk_before_running(root, words):
    """Canaries that come out before any test runs: a parameter, marks, and files that cannot be imported."""
    everything = " ".join(words)
    third = [words[index::3] for index in range(3)]
    claims = []
    for number, aloud in enumerate(map(" ".join, third)):
        (root / f"checks/said_{number}.txt").write_text(aloud)
        (root / f"checks/test_said_{number}.py").write_text(
            "import pathlib, pytest\nfrom lib import double as subject\n\n"
            f"SAID = pathlib.Path(__file__).with_name('said_{number}.txt').read_text()\n\n\n"
            f"@pytest.mark.parametrize('word', [3], ids=[SAID])\n"
            f"@pytest.mark.falsifies('FALSIFY-SAID-{number}', SAID)\n"
            f"def test_said(pv, word):\n    pv.record('error', subject.double(word) - 6, limit=1.0)\n\n\n"
            f"@pytest.mark.skip(SAID)\n@pytest.mark.falsifies(SAID[::-1], SAID)\ndef test_skipped():\n    assert 1\n"
        )
        claims.append((f"FALSIFY-SAID-{number}", f"checks/test_said_{number}.py::test_said", "said"))
    (root / "checks/said.txt").write_text(everything)
    said = "import os, pathlib\nSAID = pathlib.Path(__file__).with_name('said.txt').read_text()\n"
    (root / "checks/test_cannot_be_imported.py").write_text(f"{said}raise RuntimeError(SAID)\n")
    (root / "checks/test_dies_at_import.py").write_text(f"{said}os.write(2, SAID.encode() + b'\\n')\nos._exit(3)\n")
    claims.append(("FALSIFY-SAID-8", "checks/test_cannot_be_imported.py::test_x", "said"))
    claims.append(("FALSIFY-SAID-9", "checks/test_dies_at_import.py::test_x", "said"))
    with (root / "lib/faults.py").open("a") as file:
        file.write(f"\n\ndef said():\n    raise RuntimeError({everything!r})\n")
    return claims


def plant(root):
    home = root.parent / "home"
    home.mkdir()
    login, password = PLANTED["netrc login"], PLANTED["netrc password"]
    (home / ".netrc").write_text(f"machine git.example.com login {login} password {password}\n")
    (home / ".netrc").chmod(0o600)
    (root / ".env").write_text(f"# comment\nA={PLANTED['dotenv']}\nB='{PLANTED['dotenv quoted']}'\n")
    (root / ".env.local").write_text(f"C={PLANTED['dotenv local']}\n")
    (root / ".git").mkdir()
    (root / ".git/config").write_text(f'[remote "origin"]\n\turl = {PLANTED["remote with token"]}\n')


def test_there_are_forty_canaries():
    assert len(CANARIES) >= 40
    assert found_in(" | ".join([*PLANTED.values(), *ENCODED.values()])) == set(CANARIES)


def test_no_canary_is_in_any_output(said):
    found, _ = said
    hits = {place: found_in(text) for place, text in found.items()}
    assert {place: names for place, names in hits.items() if names} == {}
    talking, said, again = (len(CANARIES) + 2) // 3 + 3, 3, 1
    assert len([place for place in found if place.startswith("evidence/records/")]) == talking + said + again


def test_no_output_says_who_and_where(said):
    found, root = said
    kept = "".join(text for place, text in found.items() if place.startswith(("evidence/", "contracts/")))
    for name in (str(root), str(root.parent), socket.gethostname(), getpass.getuser(), str(Path.home())):
        if len(name) > 4:
            assert name not in kept
    assert "0325canary" not in kept


def test_what_a_gate_needs_is_left(said):
    found, _ = said
    records = "".join(text for place, text in found.items() if place.startswith("evidence/records/"))
    assert records.count('"result":"PASS"') == 2 + 3
    assert records.count('"outcome":"CAUGHT"') == 1
    assert SECRET in records


ORDINARY = [
    "1 test passed",
    "max_abs_error = 1, expected at most 1e-06",
    "AssertionError: assert 151645 == 198",
    "token: 151645, expected token: 198; tokens = [1, 2, 3]",
    "first differing token is 17 of 64; key=value; key: blk.3.attn_k.weight",
    "tokenizer.ggml.pre is 'qwen2', expected one of gpt-2, llama-bpe",
    "checks/test_double.py::test_double: did not finish setup, call and teardown",
    "SIGSEGV in falsifiers/engine/test_no_gpu_flag.py::test_no_gpu",
    "inputs changed while it ran: code (lib/double.py); run it again",
    "sha256:e88396b5f4c3e544e39eb7ef283b52c49b78cd17ef71681b07812684ae7be642",
    "cosine 0.99987 < 0.9999 at layer 27, 3.5 tok/s, ratio 12/144/256",
    "the kernel launched 64 blocks of (128, 4, 1); see https://example.com/kernels/q4k",
]


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_words_stay(tmp_path, text):
    assert Redactor(tmp_path, {}).text(text) == text


def test_paths_of_the_project_become_relative(tmp_path):
    redactor = Redactor(tmp_path, {})
    assert redactor.text(f"cannot read {tmp_path}/lib/double.py") == "cannot read lib/double.py"
    assert redactor.text("cannot read /opt/data/model.gguf") == "cannot read <path>/model.gguf"


def test_one_device_keeps_one_tag(tmp_path):
    redactor = Redactor(tmp_path, {})
    one, other = (f"GPU-{digit * 8}-1111-2222-3333-444444444444" for digit in "ab")
    tags = [redactor.text(name) for name in (one, one, other)]
    assert re.fullmatch(r"gpu-[0-9a-f]{12}", tags[0])
    assert tags[0] == tags[1] != tags[2]
