"""What README has to say about CUDA, and which version this may be: both follow from what the evidence supports."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pv.config import load_settings
from pv.evidence.read import read_evidence
from pv.schema.verdict import GateAnswer, Standing, serves
from pv.workflow import gate

GATE, TARGET = "model-1-ship", "cuda"
CPU_ONLY = "Version 1 ships on the CPU only"
NOT_RUN = "have not been run on a GPU yet"
BOTH = "Version 2 ships on the CPU and on CUDA"


@dataclass(frozen=True)
class Defect:
    """Something that is FALSIFIED on a GPU."""

    contract: str
    falsifier: str
    expires: str
    """Last day of the waiver that accepts it, or empty: nobody answers for it."""


@dataclass(frozen=True)
class Known:
    """What the evidence says about CUDA."""

    defects: tuple[Defect, ...] = ()
    ran: bool = False
    """Whether anything is recorded that ran on a GPU, stale or not."""
    proven: bool = False
    """Whether the gate answers YES there."""


def known(root: Path, today: date) -> Known:
    """From the evidence and today's files.

    Raises:
        EvidenceError: the store is damaged; then nothing is known, and nothing may be said.
    """
    _, settings = load_settings(root)
    records = read_evidence(root / settings.evidence_dir).records
    if not any(serves(item.statement.predicate.ran_target or "", TARGET) for item in records):
        return Known()  # nothing is FALSIFIED where nothing ran, and nothing DISCHARGED
    [answer] = gate.answer(root, settings, GATE, [TARGET], today=today).verdict.targets
    defects = tuple(
        Defect(row.ask.contract, row.ask.falsifier, max((str(item.expires) for item in row.waivers), default=""))
        for row in answer.rows
        if row.standing is Standing.FALSIFIED and serves(row.ask.on, TARGET)
    )
    return Known(defects, True, answer.answer is GateAnswer.YES)


def misstatements(readme: str, version: str, said: Known) -> list[str]:
    """What README says and may not, or does not say and has to; and a version that is not due."""
    text = re.sub(r"\s+", " ", readme.replace("*", "").replace("`", ""))
    shipped = said.proven and not said.defects
    wrong = [f"README does not say {CPU_ONLY!r}"] if not shipped and CPU_ONLY not in text else []
    if not said.ran and NOT_RUN not in text:
        wrong.append(f"nothing has run on a GPU, and README does not say {NOT_RUN!r}")
    if said.ran and NOT_RUN in text:
        wrong.append(f"something has run on a GPU, and README says {NOT_RUN!r}")
    if shipped and (CPU_ONLY in text or BOTH not in text):
        wrong.append(f"CUDA is DISCHARGED, and README does not say {BOTH!r}")
    for defect in said.defects:
        if not defect.expires:
            wrong.append(f"{defect.falsifier} is FALSIFIED on CUDA, and no waiver answers for it until a day")
        elif f"Known defect on CUDA: {defect.contract}" not in text or defect.expires not in text:
            line = f"Known defect on CUDA: {defect.contract}, waived until {defect.expires}"
            wrong.append(f"{defect.falsifier} is FALSIFIED on CUDA, and README does not say {line!r}")
    if int(version.split(".")[0]) >= 2 and not shipped:
        wrong.append(f"version {version}, and CUDA is not DISCHARGED: version 2 opens when it is")
    return wrong
