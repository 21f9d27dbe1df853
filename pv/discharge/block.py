"""The machine-written `discharge:` block at the end of a contract file.

Only the block is replaced; every other byte of the file stays as it was, comments and order included.
"""

from __future__ import annotations

import io
from typing import Any

from ruamel.yaml import YAML

from pv.schema.contract import Discharge, FalsifierDischarge
from pv.schema.standing import ContractStanding

_KEY = b"discharge:"
_NOTE = b"# Written by `pv discharge`; it has no power over any verdict.\n"


def as_discharge(standing: ContractStanding) -> Discharge:
    """The block's content for a recomputed standing."""
    return Discharge(
        standing=standing.standing,
        falsifiers={
            item.falsifier: FalsifierDischarge(
                standing=item.standing, have=item.have, missing=item.missing, evidence=item.evidence
            )
            for item in standing.falsifiers
        },
    )


def with_block(text: bytes, discharge: Discharge) -> bytes:
    """The contract file `text` with its block replaced, or appended where it had none."""
    lines = text.splitlines(keepends=True)
    start = next((index for index, line in enumerate(lines) if line.startswith(_KEY)), None)
    block = _NOTE + _dump(discharge)
    if start is None:
        body = text if text.endswith(b"\n") else text + b"\n"
        return body.rstrip(b"\n") + b"\n\n" + block
    end = start + 1
    while end < len(lines) and (lines[end][:1] in b" \t" or not lines[end].strip()):
        end += 1
    if start and lines[start - 1] == _NOTE:
        start -= 1
    rest = lines[end:]
    return b"".join(lines[:start]) + block + ((b"\n" + b"".join(rest)) if rest else b"")


def _dump(discharge: Discharge) -> bytes:
    yaml = YAML()
    yaml.width = 1 << 20
    yaml.default_flow_style = False
    falsifiers: dict[str, Any] = {}
    for name, item in discharge.falsifiers.items():
        entry: dict[str, Any] = {"standing": item.standing.value, "have": list(item.have)}
        if item.missing:
            entry["missing"] = list(item.missing)
        entry["evidence"] = list(item.evidence)
        falsifiers[name] = entry
    out = io.BytesIO()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump({"discharge": {"standing": discharge.standing.value, "falsifiers": falsifiers}}, out)
    return out.getvalue()
