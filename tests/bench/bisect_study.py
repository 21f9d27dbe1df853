"""How well does `q4k bisect` name faults, and does it ever blame noise? A study that can be repeated.

    OPENBLAS_NUM_THREADS=1 python tests/bench/bisect_study.py [--model FILE] [--faults N] [--pairs N] [--seed N]

Prints three figures and every case that went wrong; ends with 1 if one of them is not met.

    named        of at least 100 random faults (operation, layer, shape, 2 to 20 times the floor) on two CPU backends in
                 three precisions: how often the verdict is 'b is wrong' and the first place is that of the fault
    blamed       of at least 50 pairs that differ by legitimate noise (backend, precision, order, threads, keys and
                 values as float16) over several prompts, with and without a golden forward: how often a side is blamed
    too noisy    an exact backend beside a noisy reference, without a golden forward: always 'too noisy', never 'wrong'

Besides, the largest own error of right sides in units of the largest witness: what the margin has to be above.
Without the variable, threads of BLAS make it several times as long at these sizes.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from engine.bisect.bisection import FP64, Bisection
from engine.bisect.distance import MARGIN
from engine.bisect.judge import Judgement, Verdict
from engine.bisect.perturb import Perturbation, Shape
from engine.bisect.record import complete, run
from engine.bisect.selftest import trials
from engine.bisect.session import Session
from engine.bisect.store import Store
from engine.gguf.reader import GgufFile, open_gguf
from engine.llm import teacher_path
from engine.models import load_model
from engine.models.protocol import Model
from engine.ops import load_ops
from engine.parity import sides

PROMPTS = (
    "What is 2+2?",
    "What is the capital of France?",
    "Hello! How are you?",
    "Which day comes after Monday?",
    "Write a Python function to compute the nth Fibonacci number.",
)
# a right side a, and a side b for a fault
FAULTY = (("reference", "cpu"), ("cpu", "reference"), ("reference", "cpu-q8"), ("cpu", "cpu-q16"))
# name and type of keys and values; None is the precision's own
VARIANTS = (
    ("cpu", None), ("cpu", "f16"), ("cpu-q8", None), ("cpu-q8", "f32"), ("cpu-q16", None), ("cpu-q16", "f16"),
    ("reference", None), ("reference", "f16"),
)  # fmt: skip
DECODE = 4

Variant = tuple[str, str | None]


def record(folder: Path, file: GgufFile, model: Model, variants: dict[str, Variant], prompt: str) -> Session:
    """Both sides and the golden forward of one prompt."""
    ran = {}
    for key, (name, kv_cache) in variants.items():
        with sides.load(sides.parse(name), file.path, kv_cache=kv_cache) as side:
            ids = side.llm.prompt_ids(prompt)
            ran[key] = run(side, ids, DECODE, Store(folder / key, len(ids)))
    return complete(folder, file, model, ran, ids, DECODE)


def random_faults(bisection: Bisection, count: int, rng: np.random.Generator) -> Iterator[Perturbation]:
    """Operation, layer, shape and size at random; the size is log-uniform from 2 to 20 floors."""
    places = [step.place for step in bisection.plan.steps if step.place is not None]
    shapes = list(Shape)
    for _ in range(count):
        place = places[int(rng.integers(len(places)))]
        times = float(np.exp(rng.uniform(np.log(2), np.log(20))))
        yield Perturbation(place, times, shapes[int(rng.integers(len(shapes)))], int(rng.integers(1 << 31)))


def study_faults(file: GgufFile, model: Model, count: int, rng: np.random.Generator) -> tuple[int, int]:
    """How many were named, of how many."""
    named = total = 0
    for number, (a, b) in enumerate(FAULTY):
        share = count // len(FAULTY) + (number < count % len(FAULTY))
        with TemporaryDirectory() as temporary:
            prompt = PROMPTS[number % len(PROMPTS)]
            session = record(Path(temporary), file, model, {"a": (a, None), "b": (b, None)}, prompt)
            bisection = Bisection(model, session)
            wanted = list(random_faults(bisection, share, rng))
            with sides.load(sides.parse(b), file.path) as side:
                for trial in trials(bisection, side, wanted):
                    total += 1
                    named += trial.is_right
                    if not trial.is_right:
                        print(f"  MISSED {b} {trial.wanted}: {trial.verdict}, {trial.named}")
            print(
                f"  {a} beside {b}: {share} faults in {len({w.place for w in wanted})} places, so far {named}/{total}"
            )
    return named, total


def study_pairs(file: GgufFile, model: Model, count: int, rng: np.random.Generator) -> tuple[int, int, float]:
    """How often a side was blamed, of how many pairs; the largest own error of a right side, in witnesses."""
    pairs = list(itertools.product(PROMPTS, itertools.permutations(VARIANTS, 2)))
    blamed, worst = 0, 0.0
    for index in rng.permutation(len(pairs))[:count]:
        prompt, (a, b) = pairs[index]
        with TemporaryDirectory() as temporary:
            bisection = Bisection(model, record(Path(temporary), file, model, {"a": a, "b": b}, prompt))
            for golden in ("", FP64):
                judgement = bisection.judgement(golden=golden)
                right = judgement.verdict is Verdict.WITHIN or (not golden and judgement.verdict is Verdict.TOO_NOISY)
                blamed += not right
                if not right:
                    print(f"  BLAMED {a} {b} {prompt!r} golden {golden or '-'}: {judgement.verdict}")
            worst = max(worst, largest(judgement))
    return blamed, count, worst


def largest(judgement: Judgement) -> float:
    """The largest own error of either side, in units of the largest witness."""
    own = [excess.times for cell in judgement.cells for excess in (cell.a, cell.b) if excess]
    return MARGIN * max(own)


def study_noisy(file: GgufFile, model: Model) -> tuple[int, int]:
    """How often an exact backend beside a noisy reference is 'too noisy', of how many pairs."""
    exact = [("cpu", None), ("reference", None)]
    noisy: list[Variant] = [("cpu-q8", None), ("cpu-q16", None), ("cpu", "f16"), ("reference", "f16")]
    found = total = 0
    for a, b in itertools.product(noisy, exact):
        with TemporaryDirectory() as temporary:
            session = record(Path(temporary), file, model, {"a": a, "b": b}, PROMPTS[total % len(PROMPTS)])
            verdict = Bisection(model, session).judgement().verdict
            total += 1
            found += verdict is Verdict.TOO_NOISY
            if verdict is not Verdict.TOO_NOISY:
                print(f"  {b} beside {a}: {verdict}")
    return found, total


def main() -> None:
    parser = argparse.ArgumentParser(description="How well does q4k bisect name faults?")
    parser.add_argument("--model", type=Path, default=None, help="a GGUF file; default is the bundled model")
    parser.add_argument("--faults", type=int, default=120)
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    path = asked.model or teacher_path()
    with open_gguf(path) as file:
        model = load_model(file, load_ops("reference"))
        rng = np.random.default_rng(asked.seed)
        print(f"{path.name}, seed {asked.seed}, margin {MARGIN:g}")
        print("random faults of 2 to 20 floors:")
        named, faults = study_faults(file, model, asked.faults, rng)
        print(f"named        {named} of {faults} faults ({named / faults:.1%}); wanted at least 98 %")
        print("pairs that differ by legitimate noise:")
        blamed, pairs, worst = study_pairs(file, model, asked.pairs, rng)
        print(f"blamed       {blamed} of {2 * pairs} judgements of {pairs} pairs; wanted 0")
        print(f"             largest own error of a right side {worst:.2f} witnesses, floor {MARGIN:g}")
        noisy, all_noisy = study_noisy(file, model)
        print(f"too noisy    {noisy} of {all_noisy} exact backends beside a noisy reference; wanted all")
    raise SystemExit(not (named >= 0.98 * faults and blamed == 0 and noisy == all_noisy))


if __name__ == "__main__":
    main()
