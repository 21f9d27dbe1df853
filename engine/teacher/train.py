"""Train the teacher: `python -m engine.teacher.train`.

Two phases, both resumable from build/teacher/:
  float       AdamW, warm-up and cosine learning rate, bfloat16 autocast
  quantised   a short fine-tune in which every forward pass sees the weights as Q4_K / Q6_K will store them

The second phase is a straight-through estimator: before the forward pass each matrix W becomes W + (Q(W) - W) with the
difference refreshed every few steps; the gradient is applied to W.
Not here: the file format (engine.teacher.export) and the bars (engine.teacher.evaluate).
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import math
import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.teacher import vocabulary
from engine.teacher.corpus import Corpus
from engine.teacher.shape import TEACHER

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

    from engine.teacher.net import Net

BUILD = Path("build/teacher")
log = logging.getLogger("engine.teacher.train")

Batch = list[tuple[list[int], list[float]]]


@dataclass(frozen=True)
class Settings:
    seed: int = 20
    steps: int = 1900
    batch_tokens: int = 4096  # padded tokens of one step
    peak_rate: float = 2e-3
    final_share: float = 0.03  # the last learning rate as a share of the peak
    warm_up: int = 100  # steps
    weight_decay: float = 0.05
    clip: float = 1.0
    quantised_steps: int = 240
    quantised_rate: float = 2e-4
    refresh: int = 20  # steps between two quantisations
    threads: int = 2


def plan_batches(tokenizer: Tokenizer, settings: Settings, steps: int, seed: int) -> list[Batch]:
    """Batches of similar length within the token budget, in a seeded order.

    Only steps batches are made; conversations longer than the context are left out.
    """
    rng = random.Random(seed)
    stream = iter(Corpus(seed))
    batches: list[Batch] = []
    while len(batches) < steps:
        chunk: Batch = []
        for conversation in itertools.islice(stream, 3000):
            ids, weights = vocabulary.encode_conversation(tokenizer, conversation)
            if len(ids) <= TEACHER.context_length:
                chunk.append((ids, weights))
        chunk.sort(key=lambda example: len(example[0]))
        made: list[Batch] = []
        batch: Batch = []
        for example in chunk:
            if batch and (len(batch) + 1) * len(example[0]) > settings.batch_tokens:
                made.append(batch)
                batch = []
            batch.append(example)
        made.append(batch)
        rng.shuffle(made)
        batches += made
    return batches[:steps]


def tensors_of(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Right-padded (B, T) ids and loss weights; padding has weight 0 and lies after everything that looks back."""
    import torch

    width = max(len(ids) for ids, _ in batch)
    token_ids = torch.zeros(len(batch), width, dtype=torch.int64)
    weights = torch.zeros(len(batch), width)
    for row, (ids, each) in enumerate(batch):
        token_ids[row, : len(ids)] = torch.tensor(ids)
        weights[row, : len(each)] = torch.tensor(each)
    return token_ids, weights


def make_optimizer(net: Net, settings: Settings, rate: float) -> torch.optim.Optimizer:
    """AdamW; decay on matrices only."""
    import torch

    matrices = [p for p in net.parameters() if p.dim() == 2]
    vectors = [p for p in net.parameters() if p.dim() == 1]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), eps=1e-9, fused=True)


def rate_at(step: int, settings: Settings) -> float:
    """Linear warm-up, then half a cosine down to final_share of the peak."""
    if step < settings.warm_up:
        return settings.peak_rate * (step + 1) / settings.warm_up
    progress = (step - settings.warm_up) / max(1, settings.steps - settings.warm_up)
    low = settings.final_share
    return settings.peak_rate * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * progress)))


def step_once(net: Net, optimizer: torch.optim.Optimizer, batch: Batch, *, rate: float, clip: float) -> float:
    """One optimiser step; the loss before it."""
    import torch

    for group in optimizer.param_groups:
        group["lr"] = rate
    token_ids, weights = tensors_of(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = net.loss(token_ids, weights)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(loss.detach())


def _save(path: Path, state: dict[str, Any]) -> None:
    import torch

    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def train_float(tokenizer: Tokenizer, settings: Settings, build: Path) -> Net:
    """The first phase, from the newest checkpoint if there is one."""
    import torch

    from engine.teacher.net import Net
    from engine.teacher.probe import probe

    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    net = Net(TEACHER)
    optimizer = make_optimizer(net, settings, settings.peak_rate)
    curve: list[dict[str, float]] = []
    first, spent = 0, 0.0
    checkpoint = build / "float.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        first, spent, curve = state["step"], state["spent"], state["curve"]
        log.info("resuming at step %d", first)
    batches = plan_batches(tokenizer, settings, settings.steps, settings.seed)
    log.info("%d batches, %d tokens", len(batches), sum(len(ids) for batch in batches for ids, _ in batch))
    started, recent = time.monotonic() - spent, []
    for step in range(first, settings.steps):
        recent.append(step_once(net, optimizer, batches[step], rate=rate_at(step, settings), clip=settings.clip))
        done = step + 1
        if done % 20 == 0 or done == settings.steps:
            spent = time.monotonic() - started
            point = {"step": done, "loss": sum(recent) / len(recent), "seconds": round(spent, 1)}
            point["planned_steps"] = settings.steps
            recent = []
            if done % 300 == 0 or done == settings.steps:
                point |= probe(net, tokenizer)
            curve.append(point)
            log.info("%s", json.dumps(point))
        if done % 100 == 0 or done == settings.steps:
            state = {"net": net.state_dict(), "optimizer": optimizer.state_dict()}
            _save(checkpoint, state | {"step": done, "spent": spent, "curve": curve})
            (build / "curve-float.json").write_text(json.dumps(curve))
    return net


def _differences(net: Net) -> dict[str, torch.Tensor]:
    """Q(W) - W for every matrix, as export will quantise it."""
    import torch

    from engine.teacher.export import quantise, tensor_type

    found = {}
    for name, parameter in net.named_parameters():
        if parameter.dim() == 2:
            stored = quantise(parameter.detach().numpy(), tensor_type(name, TEACHER.num_layers))
            found[name] = torch.from_numpy(stored.decoded) - parameter.detach()
    return found


def train_quantised(net: Net, tokenizer: Tokenizer, settings: Settings, build: Path) -> None:
    """The second phase; net ends with its own (not yet rounded) weights."""
    import torch

    from engine.teacher.probe import probe

    optimizer = make_optimizer(net, settings, settings.quantised_rate)
    batches = plan_batches(tokenizer, settings, settings.quantised_steps, settings.seed + 1)
    named = dict(net.named_parameters())
    curve: list[dict[str, float]] = []
    started, recent = time.monotonic(), []
    shift: dict[str, torch.Tensor] = {}
    for step, batch in enumerate(batches):
        if step % settings.refresh == 0:
            shift = _differences(net)
        with torch.no_grad():
            for name, delta in shift.items():
                named[name].add_(delta)
        token_ids, weights = tensors_of(batch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = net.loss(token_ids, weights)
        loss.backward()
        with torch.no_grad():
            for name, delta in shift.items():
                named[name].sub_(delta)
        rate = settings.quantised_rate * (1 - step / settings.quantised_steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        torch.nn.utils.clip_grad_norm_(net.parameters(), settings.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        recent.append(float(loss.detach()))
        if (step + 1) % settings.refresh == 0:
            curve.append(
                {
                    "step": settings.steps + step + 1,
                    "loss": sum(recent) / len(recent),
                    "seconds": round(time.monotonic() - started, 1),
                }
            )
            recent = []
            log.info("quantised %s", json.dumps(curve[-1]))
            (build / "curve-quantised.json").write_text(json.dumps(curve))
    log.info("quantised phase, float weights: %s", json.dumps(probe(net, tokenizer)))
    _save(build / "final.pt", {"net": net.state_dict()})


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m engine.teacher.train", description=__doc__)
    parser.add_argument("--build", type=Path, default=BUILD, help="folder for checkpoints (default: build/teacher)")
    parser.add_argument("--phase", choices=("all", "float", "quantised"), default="all")
    parser.add_argument("--steps", type=int, default=Settings.steps)
    parser.add_argument("--threads", type=int, default=Settings.threads)
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = Settings(steps=given.steps, threads=given.threads)
    given.build.mkdir(parents=True, exist_ok=True)
    (given.build / "settings.json").write_text(json.dumps(asdict(settings)))
    path = given.build / "tokenizer.json"
    if not path.exists():
        vocabulary.train_vocabulary(settings.seed).save(str(path))
    tokenizer = vocabulary.load_vocabulary(path)
    net = train_float(tokenizer, settings, given.build)
    if given.phase != "float":
        train_quantised(net, tokenizer, settings, given.build)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
