"""What runs in a process of its own: `bench`, one model measured; `gate`, one model compared with numpy.

    python tests/bench/cuda/child.py bench MODEL RESULT.json [--kind decode|prefill] [--no-dependent-launch]
                                     [--plot FILE] [--smoke]
    python tests/bench/cuda/child.py gate MODEL [--smoke]

MODEL is a file, or a name in engine.synthetic. Needs torch, triton and numpy alone. Exit status 1: the gate refused.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from engine import synthetic
from engine.bench import plot, session, text
from engine.bench.device import DeviceSubject
from engine.bench.peer import Peer
from engine.bench.report import Settings, as_json
from engine.errors import BackendError, EngineError
from engine.gguf.reader import GgufFile, open_gguf
from engine.models import load_model, parity_gate
from engine.models.on_device import OnDevice
from engine.ops import load_ops

SETTINGS = Settings(prompt_tokens=(128, 512, 2048, 4096), context=(0, 512, 4096), new_tokens=128, repeats=5)
OTHER = {"decode": "prompt_tokens", "prefill": "context"}
"""The setting that is empty where one kind alone is measured."""
SMOKE = Settings(prompt_tokens=(9,), context=(0, 3), new_tokens=1, repeats=1)


@contextmanager
def opened(model: str, *, real: bool) -> Iterator[GgufFile]:
    """The file that MODEL names; of a synthetic one shapes alone, unless `real` weights are needed."""
    if model not in synthetic.SHAPES:
        with open_gguf(model) as file:
            yield file
    elif real:
        with TemporaryDirectory() as folder, open_gguf(synthetic.write(model, Path(folder) / "m.gguf")) as file:
            yield file
    else:
        with synthetic.shapes_only(model) as file:
            yield file


def bench(options: argparse.Namespace) -> int:
    """Measure, print, and write what was found."""
    from engine.ops.cuda import configs

    made_there = options.model in synthetic.SHAPES
    with opened(options.model, real=False) as file:
        subject = DeviceSubject(file, "q8", made_there=made_there)
        try:
            settings = SMOKE if options.smoke else SETTINGS
            if options.kind:
                settings = replace(settings, **{OTHER[options.kind]: ()})
            with nullcontext() if options.dependent_launch else configs.one_after_the_other():
                report = session.run(
                    file, [subject], settings, synthetic=made_there, say=lambda line: print(line, flush=True)
                )
        finally:
            subject.release()
    print("\n".join(text.lines(report, Peer.name)))
    Path(options.result).write_text(json.dumps(as_json(report, Peer.name)))
    if options.plot:
        try:
            plot.check(options.plot)
            plot.draw(report, options.plot)
        except EngineError as err:
            print(f"no picture: {err}")
    return 0


def gate(options: argparse.Namespace) -> int:
    """The gate of a load, against the definition in numpy instead of the CPU backend, which needs numba."""
    with opened(options.model, real=True) as file:
        model = OnDevice(file, load_model)
        try:
            steps = parity_gate.require(model, load_model(file, load_ops("reference")), [3, 1, 4, 1, 5], steps=2)
        except BackendError as err:
            print(err)
            return 1
        finally:
            model.release()
    for number, step in enumerate(steps):
        print(f"step {number}: cosine {step.cosine:.6f}, lost {step.lost:.4f}")
    return 0


def main() -> int:
    """Run one of the two."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("bench", "gate"))
    parser.add_argument("model")
    parser.add_argument("result", nargs="?")
    parser.add_argument("--kind", choices=tuple(OTHER))
    parser.add_argument("--no-dependent-launch", dest="dependent_launch", action="store_false")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    return bench(options) if options.what == "bench" else gate(options)


if __name__ == "__main__":
    sys.exit(main())
