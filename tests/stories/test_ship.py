"""Which sentences README needs, by what is known about CUDA."""

from __future__ import annotations

from pathlib import Path

import pytest

from falsifiers.support.ship import Defect, Known, misstatements

ONLY_CPU = "Version 1 ships on the CPU only.\n"
NEVER_RAN = "Kernels **have not been run\non a GPU yet**.\n"
BOTH = "Version 2 ships on the CPU and on CUDA.\n"
DEFECT = Defect("cpu-vs-gpu-output-parity", "FALSIFY-CPU-VS-GPU-003", "2027-01-31")
NAMED = "Known defect on CUDA: `cpu-vs-gpu-output-parity`, waived until 2027-01-31.\n"


@pytest.mark.parametrize(
    ("readme", "version", "known"),
    [
        (ONLY_CPU + NEVER_RAN, "0.1.0", Known()),
        (ONLY_CPU + NEVER_RAN, "1.4.0", Known()),
        (ONLY_CPU, "1.4.0", Known(ran=True)),
        (ONLY_CPU + NAMED, "1.4.0", Known((DEFECT,), ran=True)),
        (BOTH, "1.9.0", Known(ran=True, proven=True)),
        (BOTH, "2.0.0", Known(ran=True, proven=True)),
    ],
    ids=["before 1", "never ran", "ran in part", "known defect", "proven", "version 2"],
)
def test_what_is_true_may_be_said(readme: str, version: str, known: Known) -> None:
    assert misstatements(readme, version, known) == []


@pytest.mark.parametrize(
    ("readme", "version", "known", "said"),
    [
        (NEVER_RAN, "1.0.0", Known(), "README does not say 'Version 1 ships on the CPU only'"),
        (ONLY_CPU, "1.0.0", Known(), "nothing has run on a GPU, and README does not say"),
        (ONLY_CPU + NEVER_RAN, "1.0.0", Known(ran=True), "something has run on a GPU, and README says"),
        (ONLY_CPU + NEVER_RAN, "2.0.0", Known(), "version 2.0.0, and CUDA is not DISCHARGED"),
        (ONLY_CPU, "1.0.0", Known((DEFECT,), ran=True), "does not say 'Known defect on CUDA: cpu-vs-gpu-output-parity"),
        (
            ONLY_CPU + NAMED.replace("2027", "2026"), "1.0.0", Known((DEFECT,), ran=True),
            "waived until 2027-01-31'",
        ),
        (
            ONLY_CPU + NAMED, "1.0.0", Known((Defect(DEFECT.contract, DEFECT.falsifier, ""),), ran=True),
            "no waiver answers for it",
        ),
        (BOTH + NAMED, "2.0.0", Known((DEFECT,), ran=True, proven=True), "README does not say 'Version 1 ships"),
        (ONLY_CPU, "1.0.0", Known(ran=True, proven=True), "CUDA is DISCHARGED, and README does not say"),
    ],
)  # fmt: skip
def test_what_is_not_true_is_found(readme: str, version: str, known: Known, said: str) -> None:
    found = misstatements(readme, version, known)
    assert any(said in line for line in found), found


def test_this_readme_has_the_sentence_of_a_version_on_the_cpu() -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert misstatements(text, "0.1.0", Known(ran="have not been run on a GPU yet" not in text)) == []
