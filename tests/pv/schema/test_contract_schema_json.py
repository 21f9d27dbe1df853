"""The committed JSON Schema: current, valid, and of one mind with the loader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

import pv.schema
from pv.load import load_text
from pv.schema.json_schema import contract_schema
from support.contract_text import VALID, edited

COMMITTED = Path(pv.schema.__file__).with_name("contract.schema.json")


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(COMMITTED.read_text(encoding="utf-8")))


def as_editors_read_it(text: str) -> Any:
    """YAML 1.2 core types, as the YAML language server gives them to a JSON Schema."""
    return YAML(typ="safe").load(text)


def test_committed_file_is_the_generated_one() -> None:
    committed = COMMITTED.read_text(encoding="utf-8")
    assert committed == json.dumps(contract_schema(), indent=2, ensure_ascii=False) + "\n", (
        "run: pv schema --output pv/schema/contract.schema.json"
    )


def test_is_a_schema_of_draft_2020_12_with_a_versioned_id() -> None:
    schema = contract_schema()
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == "urn:pv-contracts:contract:1"


def test_every_key_has_a_description_or_a_vocabulary() -> None:
    """Editors show it on hover."""
    schema = contract_schema()
    known = {"kind", "type", "standing"}
    for name, definition in {"Contract": schema, **schema["$defs"]}.items():
        for key, value in definition.get("properties", {}).items():
            assert "description" in value or key in known, f"{name}.{key}"


EDITS = {
    "as it is": VALID,
    "challenge as text": edited("    targets: [cpu]\n", "    targets: [cpu]\n    challenges: [engine.faults:f]\n"),
    "challenge as mapping": edited(
        "    targets: [cpu]\n", "    targets: [cpu]\n    challenges: [{fault: engine.faults:f, grade: relative}]\n"
    ),
    "unit without quotes": edited('unit: "1"', "unit: 1"),
    "whole number as limit": edited("1e-3", "1"),
    "exact": edited("    equation: rms\n", "    equation: rms\n    exact: true\n"),
    "number as title": edited("RMS norm", "1.10"),
}


@pytest.mark.parametrize("text", EDITS.values(), ids=EDITS.keys())
def test_accepts_what_the_loader_accepts(text: str, validator: Draft202012Validator) -> None:
    assert load_text(text.encode(), "c.yaml").contract is not None
    assert [error.message for error in validator.iter_errors(as_editors_read_it(text))] == []


BAD_EDITS = {
    "unknown key": edited("title:", "titel:"),
    "unknown key deep down": edited("metric:", "metrik:"),
    "two-part version": edited("1.10.0", '"1.10"'),
    "unknown kind": edited("kernel", "kernal"),
    "limit of zero": edited("1e-3", "0"),
    "limit as words": edited("1e-3", "small"),
    "no target": edited("[cpu]", "[]"),
    "unknown target": edited("[cpu]", "[gpu]"),
    "upper-case id": edited("rms-norm", "RMS"),
    "blank title": edited("RMS norm", '" "'),
    "text for a list": edited("[close]", "close"),
    "bad equation name": edited("  rms:\n", "  Root Mean Square:\n"),
    "challenge without a colon": edited("    targets: [cpu]\n", "    targets: [cpu]\n    challenges: [faults]\n"),
    "endless timeout": VALID + "    timeout_s: 86401\n",
}


@pytest.mark.parametrize("text", BAD_EDITS.values(), ids=BAD_EDITS.keys())
def test_refuses_what_the_loader_refuses(text: str, validator: Draft202012Validator) -> None:
    assert load_text(text.encode(), "c.yaml").contract is None
    assert list(validator.iter_errors(as_editors_read_it(text)))
