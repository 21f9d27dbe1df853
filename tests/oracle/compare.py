"""Compare this engine with llama.cpp: `make oracle`, or `python tests/oracle/compare.py [MODEL ...] [--peer PYTHON]`.

The bundled teacher, and a random-weight file of each architecture and each mix of types, both of which are taken from
the engine's own tables: token ids, logits at every position, greedy text. See support.oracle for what is compared,
and for the limits.

Exit code 0: everything compared, nothing differs. 1: something differs, or could not be compared. 77: SKIPPED, nothing
was compared, because llama.cpp is missing or cannot start here.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np

from engine.errors import EngineError
from engine.llm import teacher_path
from engine.models import ARCHITECTURES
from support import oracle_models
from support.oracle import Comparison, compare
from support.oracle_peer import Connect, PeerError, Processes

DIFFERENT, SKIPPED = 1, 77
CONTEXT = 512
QUESTIONS = (
    "What is 2+2?",
    "Write a Python function to compute the nth Fibonacci number.",
    "What is the capital of Italy?",
    "Hello! Who are you?",
)
HEAD = (
    f"{'model':<27} {'token ids':>9}  {'mean KL':>7}  {'limit':>5}  {'worst KL':>8}  {'limit':>5}"
    f"  {'positions x logits':>18}  {'greedy':>9}  near ties"
)


def main(arguments: list[str], connect: Connect | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help=f"such as 'qwen2 Q4_K_M'; default all {len(names())}"
    )
    parser.add_argument("--peer", default=sys.executable, metavar="PYTHON", help="an interpreter with xllamacpp")
    asked = parser.parse_args(arguments)
    if unknown := [name for name in asked.models if name not in names() and not Path(name).is_file()]:
        parser.error(f"no model and no file {unknown[0]!r}; models: {'; '.join(names())}")
    connect = connect or Processes(asked.peer)
    try:
        facts = connect.facts()
    except PeerError as err:
        print(f"oracle: SKIPPED, nothing was compared: llama.cpp cannot start here: {err}")
        return SKIPPED
    print(f"{facts['version']}, {facts['system']}")
    print("KL in nats of llama.cpp's probabilities and this engine's, cpu f32, the same number of samples of both")
    print(HEAD, flush=True)
    compared, differing = 0, []
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.models or names():
            try:
                found = compare_one(name, Path(folder), connect)
            except (EngineError, LookupError, PeerError) as err:
                differing.append(name)
                print(f"{name:<27} NOT COMPARED: {err}", flush=True)
                continue
            compared += 1
            differing += [name] if found.differences else []
            print(row(name, found), flush=True)
    print(f"{compared} models compared; different or not compared: {', '.join(differing) or 'none'}")
    return DIFFERENT if differing else 0


def names() -> list[str]:
    """The teacher, and each architecture with each mix and rope."""
    cases = [f"{architecture} {case}" for architecture in ARCHITECTURES for case in oracle_models.cases(architecture)]
    return ["teacher", *cases]


def compare_one(name: str, folder: Path, connect: Connect) -> Comparison:
    """One model: the teacher, a file of somebody's, or one that is written first."""
    path, questions = Path(name), ()
    if name == "teacher":
        path, questions = teacher_path(), QUESTIONS
    elif name in names():
        path = oracle_models.write(folder / "model.gguf", *name.split(" ", 1))
    with connect.load(path, CONTEXT) as peer:
        return compare(path, peer, questions)


def row(name: str, found: Comparison) -> str:
    """One line of the table; what differs stands below."""
    ties = f"{len(found.gaps)}, first {found.gaps[0][0]:.1e}, limit {found.gaps[0][1]:.1e}" if found.gaps else "none"
    samples = f"{len(found.kl)} x {found.vocab_size}"
    cells = (
        f"{name:<27} {found.ids_equal:>4}/{found.ids_compared:<4}",
        f"{np.mean(found.kl):7.1e}  {found.limits.mean:5.0e}  {np.max(found.kl):8.1e}  {found.limits.worst:5.0e}",
        f"{samples:>18}  {found.greedy_equal:>4}/{found.greedy_compared:<4}",
        ties,
    )
    return "\n".join(["  ".join(cells), *(f"  DIFFERENT: {line}" for line in found.differences)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
