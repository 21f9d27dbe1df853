"""Token ids as llama.cpp sees them, recorded: `python tests/harness/tokenizer_golden.py --peer PYTHON`.

Makes the vocabularies, writes a file without weights for each pre-tokenizer and for SentencePiece, and has llama.cpp
encode every text, with and without control tokens. Writes tests/data/tokenizers/golden.json, which the tests read; with
--check compares instead. PYTHON is an interpreter with llama-cpp-python, as `make build/llama-venv/.ready` makes one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from engine.tokenizer.pretokenizers import PRETOKENIZERS
from support import vocabularies

GOLDEN = Path(__file__).parents[1] / "data" / "tokenizers" / "golden.json"

PEER = """
import json, sys
import llama_cpp
from llama_cpp import Llama

files, texts = json.load(sys.stdin)
answers = {}
for name, (path, normal) in files.items():
    llama = Llama(path, vocab_only=True, verbose=False)
    answers[name] = [
        [llama.tokenize(text.encode(), add_bos=False, special=special) for special in (False, True)]
        for text in texts[normal]
    ]
print(json.dumps({"judge": "llama.cpp in llama-cpp-python " + llama_cpp.__version__, "ids": answers}))
"""


def ask(python: str) -> dict[str, object]:
    """The peer's answers for every vocabulary and text."""
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for name in (*PRETOKENIZERS, vocabularies.SENTENCEPIECE):
            path = vocabularies.write(Path(folder, f"{name}.gguf"), name)
            files[name] = (str(path), vocabularies.normal_form(name))
        question = json.dumps((files, {form: vocabularies.texts(form) for form in ("", "NFC")}))
        done = subprocess.run([python, "-c", PEER], input=question, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the peer failed: {done.stderr.strip()[-2000:]}")
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", required=True, metavar="PYTHON")
    parser.add_argument("--check", action="store_true", help="compare with what is recorded")
    asked = parser.parse_args()
    if not asked.check:
        vocabularies.train()
    answer = ask(asked.peer)
    if asked.check:
        same = json.loads(GOLDEN.read_text())["ids"] == answer["ids"]
        print("as recorded" if same else "not as recorded")
        return int(not same)
    GOLDEN.write_text(json.dumps(answer, separators=(",", ":")).replace('],"', '],\n"') + "\n")
    print(f"{GOLDEN.name}: {answer['judge']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
