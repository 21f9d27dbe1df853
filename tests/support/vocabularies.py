"""Vocabularies whose merges run across every boundary, so that each way to split a text gives other ids.

Both are trained on text of the project, without any splitting, and kept in tests/data/tokenizers; files with them and
no weights are written by the `gguf` package.
"""

from __future__ import annotations

import json
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from engine.tokenizer.pretokenizers import PRETOKENIZERS

DATA = Path(__file__).parents[1] / "data"
BYTE_LEVEL, SENTENCEPIECE = "byte-level", "sentencepiece"
CONTROL = ("<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|eot_id|>")
USER_DEFINED = "<tool>"
UNMERGED = "\u0120unmerged"
"""A token that no merges lead to: found by pre-tokenizers that look whole pieces up first."""
EXTRA = (
    "1 12 123 1234 12345 123456789",
    "x1y22z333",
    "١٢٣٤ 123 一二三",
    "It's I'M we'll WE'LL he'd HE'D don't",
    "'s'S'T",
    "camelCaseWord XMLHttpRequest IOError éÉcole ΑΒγδ ǅungla",
    "  lead",
    "trail  ",
    " ",
    "   ",
    "\n",
    "\n\n\n",
    "\t",
    " \n \n",
    "a\n\nb",
    "a \n b",
    "a\r\nb",
    "a\u00a0b",
    "a\u3000b",
    "a\u2003b",
    "a\u200bb",
    "a...b",
    "a!!!b ?!x",
    "$1+2=3^4~5|6`7",
    "日本語テキスト と 中文 漢字かな交じり文",
    "한국어 텍스트",
    "、。！？：；「」",
    "‘quoted’ “text” — dash…",
    "µ ÀÖØö ſ ƻ ǀ",
    "ｆｕｌｌ ＷＩＤＴＨ １２３",
    "a/b\\c//d",
    "path/to/file.txt",
    "/* c */ // d",
    "#include <x>",
    "fn(a, b){return a;}",
    "e\u0301 n\u0303 \u0301",
    "½²Ⅷ①",
    "😀😀 👍🏽",
    "\u0001\u007f",
    "<s>a</s>b<|im_start|> c<|eot_id|>\nd",
    "<tool>x <tool> y",
    "<|im_end|><|im_end|>",
    "a<tool>",
    " <s> a",
    "<s",
    "▁a ▁ b",
    "\ufeffbom",
    "\U0001f1ee\U0001f1f9",
    "ไทย ภาษา",
    "हिन्दी",
    "an unmerged word",
)


def texts(form: str = "") -> list[str]:
    """Texts to encode, in a Unicode normal form if one is given."""
    mixed = (DATA / "text" / "mixed.txt").read_bytes().decode()
    all_texts = [mixed, *mixed.splitlines(keepends=True), *EXTRA]
    return [unicodedata.normalize("NFC", text) if form else text for text in all_texts]


def normal_form(name: str) -> str:
    """'NFC' for vocabularies that normalise: the peer does not, so it is given normalised text."""
    return "NFC" if name != SENTENCEPIECE and PRETOKENIZERS[name].nfc else ""


def train() -> None:
    """Train both vocabularies again and keep them."""
    corpus = "\n".join([*texts(), *texts()])
    for added in (*CONTROL, USER_DEFINED):
        corpus = corpus.replace(added, "")
    byte_level = Tokenizer(models.BPE())
    byte_level.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=1200, initial_alphabet=alphabet, show_progress=False, max_token_length=12)
    byte_level.train_from_iterator([corpus], trainer)
    spaced = Tokenizer(models.BPE())
    spaced.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trainer = trainers.BpeTrainer(vocab_size=700, show_progress=False, max_token_length=12)
    spaced.train_from_iterator([line[:60] for line in corpus.splitlines()], trainer)
    for name, tokenizer in ((BYTE_LEVEL, byte_level), (SENTENCEPIECE, spaced)):
        model = json.loads(tokenizer.to_str())["model"]
        tokens = sorted(model["vocab"], key=lambda token: model["vocab"][token])
        kept = {"tokens": tokens, "merges": [" ".join(merge) for merge in model["merges"]]}
        (DATA / "tokenizers" / f"{name}.json").write_text(json.dumps(kept, ensure_ascii=True, indent=0) + "\n")


@cache
def _trained(name: str) -> dict[str, list[str]]:
    trained: dict[str, list[str]] = json.loads((DATA / "tokenizers" / f"{name}.json").read_text())
    return trained


def write(path: Path, name: str, **changes: Any) -> Path:
    """A file with the vocabulary of a pre-tokenizer, or with that of SentencePiece, and no weights.

    Args:
        changes: metadata under `tokenizer.ggml.` that differs; None leaves a key out.
    """
    keys = sentencepiece() if name == SENTENCEPIECE else _byte_level(name)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_uint32("llama.context_length", 64)
    writer.add_uint32("llama.embedding_length", 32)
    writer.add_uint32("llama.block_count", 1)
    writer.add_uint32("llama.feed_forward_length", 32)
    writer.add_uint32("llama.attention.head_count", 1)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    for key, value in {**keys, **changes}.items():
        full = f"tokenizer.ggml.{key}"
        if isinstance(value, bool):
            writer.add_bool(full, value)
        elif isinstance(value, int):
            writer.add_uint32(full, value)
        elif isinstance(value, str):
            writer.add_string(full, value)
        elif value is not None:
            writer.add_array(full, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _byte_level(name: str) -> dict[str, Any]:
    trained = _trained(BYTE_LEVEL)
    tokens = [*trained["tokens"], UNMERGED, *CONTROL, USER_DEFINED]
    types = [1] * (len(trained["tokens"]) + 1) + [3] * len(CONTROL) + [4]
    return {
        "model": "gpt2",
        "pre": name,
        "tokens": tokens,
        "token_type": types,
        "merges": trained["merges"],
        "bos_token_id": tokens.index("<s>"),
        "eos_token_id": tokens.index("</s>"),
    }


def sentencepiece() -> dict[str, Any]:
    """Metadata of SentencePiece's vocabulary under `tokenizer.ggml.`."""
    normal = [token for token in _trained(SENTENCEPIECE)["tokens"] if token not in CONTROL]
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    tokens = ["<unk>", "<s>", "</s>", *byte_tokens, *normal, *CONTROL[2:], USER_DEFINED]
    types = [2, 3, 3] + [6] * 256 + [1] * len(normal) + [3] * len(CONTROL[2:]) + [4]
    # As SentencePiece writes them: a merged piece by its rank, single characters last.
    scores = np.zeros(len(tokens), np.float32)
    scores[259 : 259 + len(normal)] = -np.arange(len(normal), dtype=np.float32)
    singles = [index for index, token in enumerate(tokens) if index >= 259 and len(token) == 1]
    scores[singles] -= 10_000
    return {"model": "llama", "tokens": tokens, "token_type": types, "scores": scores.tolist()}
