"""Measure the bundled teacher against its bars: `python -m engine.teacher.evaluate [--model PATH] [--json]`.

Every question is asked greedily in a wording that training never saw (except the two default prompts) through the
engine itself; exact text is required. `--through torch` asks the training module instead, loaded with the decoded
weights of the same file: two forwards written apart must agree.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engine.teacher import codecheck, questions

MAX_TOKENS = 256
ASSETS = Path(__file__).resolve().parent.parent / "assets"


@dataclass(frozen=True)
class Answer:
    text: str
    tokens: int
    ended: bool  # by the end token, within MAX_TOKENS


Ask = Callable[[Sequence[str]], list[Answer]]


@dataclass(frozen=True)
class Bar:
    name: str
    got: float
    asked: int
    wanted: float | None  # None: reported without a bar
    misses: tuple[str, ...] = field(default=())

    @property
    def reached(self) -> bool:
        return self.wanted is None or self.got >= self.wanted


def exact_bar(name: str, asked: Sequence[questions.Question], answers: dict[str, Answer], wanted: float | None) -> Bar:
    """Share of questions whose whole answer is the right text and ends by itself."""
    misses = [
        f"{q.prompt!r} gives {answers[q.prompt].text!r}, expected {q.answer!r}"
        for q in asked
        if answers[q.prompt].text.strip() != q.answer or not answers[q.prompt].ended
    ]
    return Bar(name, 1 - len(misses) / len(asked), len(asked), wanted, tuple(misses))


def code_bars(answers: dict[str, Answer]) -> list[Bar]:
    """Blocks per function prompt, blocks that parse, prompts whose block computes the right values."""
    requests = questions.function_requests()
    without, broken, wrong, blocks = [], [], [], 0
    for prompt, function in requests:
        found = codecheck.python_blocks(answers[prompt].text)
        blocks += len(found)
        if not found:
            without.append(prompt)
            wrong.append(f"{prompt!r} gives no block")
            continue
        broken += [f"{prompt!r}: {block!r}" for block in found if not codecheck.parses(block)]
        verdict = codecheck.check_function(found[0], function.cases)
        if verdict.outcome != "right":
            wrong.append(f"{prompt!r}: {verdict.outcome}: {verdict.detail}")
    count = len(requests)
    return [
        Bar("function prompts with a fenced python block", 1 - len(without) / count, count, 0.95, tuple(without)),
        Bar("python blocks that parse", 1 - len(broken) / max(1, blocks), blocks, 0.95, tuple(broken)),
        Bar("function prompts with right values", 1 - len(wrong) / count, count, 0.90, tuple(wrong)),
    ]


def measure(ask: Ask) -> dict[str, Any]:
    """Ask every question once and hold the answers against the bars."""
    started = time.monotonic()
    sums = questions.arithmetic_questions()
    known, talk = questions.fact_questions(), questions.small_talk_questions()
    different = questions.different_prompts()
    prompts = [questions.SUM_PROMPT, questions.FIBONACCI_PROMPT, *(q.prompt for q in (*sums, *known, *talk))]
    prompts = list(dict.fromkeys([*prompts, *(prompt for prompt, _ in questions.function_requests()), *different]))
    answers = dict(zip(prompts, ask(prompts), strict=True))

    default = questions.Question("arithmetic", questions.SUM_PROMPT, questions.SUM_ANSWER)
    fibonacci = codecheck.python_blocks(answers[questions.FIBONACCI_PROMPT].text)
    endless = tuple(prompt for prompt in prompts if not answers[prompt].ended)
    texts = [answers[prompt].text for prompt in different]
    repeated = tuple(p for p, text in zip(different, texts, strict=True) if texts.count(text) > 1)
    count = len(prompts)
    own = 1 - len(repeated) / len(different)
    bars = [
        exact_bar("default sum prompt", [default], answers, 1.0),
        Bar("default Fibonacci prompt has a block", float(bool(fibonacci)), 1, 1.0),
        exact_bar("additions and subtractions", sums, answers, 0.97),
        exact_bar("facts", known, answers, 0.95),
        *code_bars(answers),
        Bar(f"answers that end within {MAX_TOKENS} tokens", 1 - len(endless) / count, count, 1.0, endless),
        Bar("distinct prompts with an answer of their own", own, len(different), 1.0, repeated),
        exact_bar("small talk", talk, answers, None),
    ]
    return {
        "schema": "engine.teacher.evaluation/1",
        "bars": [asdict(bar) | {"reached": bar.reached} for bar in bars],
        "reached": all(bar.reached for bar in bars),
        "longest_answer_tokens": max(answer.tokens for answer in answers.values()),
        "prompts": len(prompts),
        "seconds": round(time.monotonic() - started, 1),
    }


def ask_engine(model: Path | None) -> Ask:
    """Greedy answers through engine.llm, one prompt after the other."""
    from engine.llm import Llm

    llm = Llm.load(model)

    def ask(prompts: Sequence[str]) -> list[Answer]:
        answers = []
        for prompt in prompts:
            result = llm.generate(prompt, max_tokens=MAX_TOKENS)
            answers.append(Answer(result.text, len(result.token_ids), result.stop_reason == "eos"))
        return answers

    return ask


def ask_torch(model: Path, tokenizer_path: Path) -> Ask:
    """Greedy answers through the training module with the file's decoded weights."""
    from engine.teacher.probe import ask as ask_net
    from engine.teacher.probe import net_from_gguf
    from engine.teacher.vocabulary import load_vocabulary

    net, tokenizer = net_from_gguf(model), load_vocabulary(tokenizer_path)

    def ask(prompts: Sequence[str]) -> list[Answer]:
        texts = ask_net(net, tokenizer, list(prompts))
        return [
            Answer(text or "", MAX_TOKENS if text is None else len(tokenizer.encode(text).ids) + 1, text is not None)
            for text in texts
        ]

    return ask


def table(result: dict[str, Any]) -> str:
    """The bars as a Markdown table."""
    lines = ["| Bar | Asked | Wanted | Got | |", "| --- | ---: | ---: | ---: | --- |"]
    for bar in result["bars"]:
        wanted = "" if bar["wanted"] is None else f"{bar['wanted']:.0%}"
        verdict = "" if bar["wanted"] is None else "reached" if bar["reached"] else "missed"
        lines.append(f"| {bar['name']} | {bar['asked']} | {wanted} | {bar['got']:.2%} | {verdict} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m engine.teacher.evaluate", description=__doc__)
    parser.add_argument("--model", type=Path, help="GGUF file (default: the bundled teacher)")
    parser.add_argument("--json", action="store_true", help="print the whole result as JSON")
    parser.add_argument("--through", choices=("engine", "torch"), default="engine")
    built = Path("build/teacher/tokenizer.json")
    parser.add_argument("--tokenizer", type=Path, default=built, help="for --through torch")
    parser.add_argument("--write-card", action="store_true", help="write the model card and evaluation.json")
    given = parser.parse_args(arguments)
    model = given.model or ASSETS / "teacher.gguf"
    result = measure(ask_torch(model, given.tokenizer) if given.through == "torch" else ask_engine(given.model))
    result["through"] = given.through
    if given.json:
        print(json.dumps(result, indent=1))
    else:
        print(table(result))
        longest = result["longest_answer_tokens"]
        print(f"\n{result['prompts']} prompts in {result['seconds']} s; longest answer {longest} tokens")
        for bar in result["bars"]:
            for miss in bar["misses"]:
                print(f"missed: {bar['name']}: {miss}", file=sys.stderr)
    if given.write_card:
        from engine.teacher.card import write_card

        write_card(ASSETS, model, result)
    return 0 if result["reached"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
