"""Mutated contracts: findings come out, never an exception, and both parsers accept the same.

`PV_FUZZ_MUTANTS=100000` runs a long campaign; the seed is fixed, so that a failure repeats.
"""

from __future__ import annotations

import os
import random
import time

import pytest

from pv.load import LOADER_RULES, composer, load_text
from pv.load.composer import PureParser
from pv.schema.finding import Finding, Severity
from support.contract_text import VALID

MUTANTS = int(os.environ.get("PV_FUZZ_MUTANTS", "400"))
SEED = 20260101

# Both parsers refuse, but each goes on or stops where it likes.
MISREAD = {"tag", "yaml-syntax"}

TOKENS = [
    *(b": ", b"- ", b"? ", b"\n", b"\r\n", b"\r", b"  ", b"\t", b"#", b" #", b",", b"[", b"]", b"{", b"}", b"|", b">"),
    *(
        b"'",
        b'"',
        b"\\",
        b"&a ",
        b"*a",
        b"!!str ",
        b"!x!y ",
        b"!",
        b"<<: ",
        b"---\n",
        b"...\n",
        b"%YAML 1.1\n",
        b"null",
    ),
    *(b"~", b"\0", b"\xff", b"\xc2\x85", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80"),
    *(b'"\\uD800"', b'"\\UFFFFFFFF"', b"1e999", b"0x1", b"1_0", b".nan", b"2024-99-99", b"[" * 40, b"- " * 40),
    *(b"? - " * 20, b"{a: " * 40, b"@", b"`", b"%", b"|9", b">-\n", b"title: ", b"id: a\n", b"yes", b"\xe2\x80\xae"),
]


def mutate(raw: bytes, rng: random.Random) -> bytes:
    data = bytearray(raw)
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(data) + 1)
        end = min(len(data), start + rng.choice((1, 1, 3, 10, 60)))
        match rng.randrange(6):
            case 0:
                del data[start:end]
            case 1:
                data[start:start] = data[start:end]
            case 2:
                data[start:start] = rng.choice(TOKENS)
            case 3:
                data[start:end] = rng.choice(TOKENS)
            case 4:
                data[start:end] = bytes(rng.randrange(256) for _ in range(end - start))
            case 5:
                lines = bytes(data).split(b"\n")
                lines.insert(rng.randrange(len(lines)), lines.pop(rng.randrange(len(lines))))
                data = bytearray(b"\n".join(lines))
    return bytes(data)


def test_mutants_give_findings_and_parsers_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(SEED)
    fastest = composer.PARSER
    seen: set[str] = set()
    accepted = 0
    for number in range(MUTANTS):
        raw = mutate(VALID.encode(), rng)
        start = time.process_time()
        monkeypatch.setattr(composer, "PARSER", fastest)
        loaded = load_text(raw, "m.yaml")
        duration_s = time.process_time() - start
        monkeypatch.setattr(composer, "PARSER", PureParser)
        pure = load_text(raw, "m.yaml")

        told = f"mutant {number} of seed {SEED}: {raw!r}"
        assert duration_s < 1.0, told
        assert all(isinstance(item, Finding) and "\n" not in item.message for item in loaded.findings), told
        has_errors = any(item.severity is Severity.ERROR for item in loaded.findings)
        assert (loaded.contract is None) == has_errors, told
        assert loaded.contract == pure.contract, told
        if not any(item.rule in MISREAD for item in (*loaded.findings, *pure.findings)):
            assert loaded.data == pure.data, told
        seen.update(item.rule for item in loaded.findings)
        accepted += loaded.contract is not None
    assert accepted > MUTANTS // 50, "mutations so heavy that agreement on accepted files is not tested"
    assert len(seen) > 10, "mutations so light that few rules fire"
    assert seen <= LOADER_RULES.keys()
