"""A small vocabulary, its token ids and rendered chats from transformers: `python falsifiers/data/make_text.py`.

Writes
    vocabulary.gguf  tokens, merges, types and a chat template, no tensors
    token_ids.json   ids of every text of falsifiers.support.texts, by transformers' Qwen2Tokenizer
    chats.json       {"templates": {name: source}, "chats": [...], "rendered": [[template, chat, prompt?, text], ...]}
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import gguf
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import Qwen2Tokenizer

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")

# The split of the published Qwen2 tokenizer; the ids themselves are made by transformers' own copy.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

TEMPLATES = {
    "chatml": (
        "{%- for message in messages %}\n"
        "    {%- if loop.first and message['role'] != 'system' %}\n"
        "        {{- '<|im_start|>system\\nYou are helpful.<|im_end|>\\n' }}\n"
        "    {%- endif %}\n"
        "    {{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}\n"
        "{%- endfor %}\n"
        "{%- if add_generation_prompt %}\n"
        "    {{- '<|im_start|>assistant\\n' }}\n"
        "{%- endif %}\n"
    ),
    "blocks": (
        "{{ bos_token }}\n"
        "{% for message in messages %}\n"
        "  {% if message.role == 'system' %}\n"
        "[S]{{ message.content | trim }}[/S]\n"
        "  {% elif message.role == 'user' %}\n"
        "[U]{{ message['content'] }}[/U]\n"
        "  {% else %}\n"
        "{% generation %}[A]{{ message.content }}{{ eos_token }}{% endgeneration %}\n"
        "  {% endif %}\n"
        "{% endfor %}\n"
        "{% if add_generation_prompt %}[A]{% endif %}"
    ),
    "state": (
        "{% set ns = namespace(turns=0) %}"
        "{% for message in messages %}"
        "{% if message.role == 'user' %}{% set ns.turns = ns.turns + 1 %}{% endif %}"
        "{% if ns.turns > 2 %}{% break %}{% endif %}"
        "{{ ns.turns }}:{{ {'role': message.role, 'content': message.content} | tojson }};"
        "{% endfor %}"
        "{% if messages | length > 99 %}{{ raise_exception('too long') }}{% endif %}"
        "{{ '>' if add_generation_prompt else '.' }}"
    ),
}

CHATS: list[list[dict[str, str]]] = [
    [{"role": "user", "content": "What is 2+2?"}],
    [{"role": "system", "content": "  Answer briefly. "}, {"role": "user", "content": 'Hello <b>&"you"</b>\n'}],
    [
        {"role": "user", "content": "Bonjour, ça va? 👋"},
        {"role": "assistant", "content": "```python\nprint('{{ 1 }}')\n```"},
        {"role": "user", "content": "{% raw %} und {{ messages }}"},
    ],
    [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "1"},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": "3"},
        {"role": "assistant", "content": "4"},
        {"role": "user", "content": "5 é\u2028\\n"},
    ],
]


# (template, number of the chat, with generation prompt); rendering one takes the engine a process of its own.
ASKED = (
    ("chatml", 0, True),
    ("chatml", 1, True),
    ("chatml", 2, False),
    ("chatml", 3, True),
    ("blocks", 1, True),
    ("blocks", 3, False),
    ("state", 2, True),
    ("state", 3, False),
)


def train(texts: tuple[str, ...]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=640, initial_alphabet=alphabet, show_progress=False)
    # Every second text stays unseen, so that bytes without a merge occur as well.
    tokenizer.train_from_iterator([text * 2 for text in texts[::2]], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [(left, right) for left, right in model["merges"]]


def write_vocabulary(path: Path, tokens: list[str], merges: list[tuple[str, str]]) -> None:
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in CONTROL else 1 for token in tokens])
    writer.add_token_merges([f"{left} {right}" for left, right in merges])
    writer.add_bos_token_id(tokens.index("<|endoftext|>"))
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATES["chatml"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def rendered(tokenizer: Any) -> list[tuple[str, int, bool, str]]:
    return [
        (name, number, prompt, tokenizer.apply_chat_template(
            CHATS[number], chat_template=TEMPLATES[name], tokenize=False, add_generation_prompt=prompt
        ))
        for name, number, prompt in ASKED
    ]  # fmt: skip


def main() -> None:
    sys.path.insert(0, str(ROOT))
    from falsifiers.support.texts import TEXTS

    vocabulary, merges = train(TEXTS)
    tokens = [*sorted(vocabulary, key=lambda token: vocabulary[token]), *CONTROL]
    ids = {token: index for index, token in enumerate(tokens)}
    tokenizer = Qwen2Tokenizer(vocab=dict(vocabulary), merges=merges, bos_token="<|endoftext|>", eos_token="<|im_end|>")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    # transformers numbers added tokens in its own order; texts here hold none, so only ordinary ids are compared.
    expected = [tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).tokens for text in TEXTS]
    plain = [[ids[token] for token in row] for row in expected]
    documents: dict[str, Any] = {
        "token_ids.json": plain,
        "chats.json": {"templates": TEMPLATES, "chats": CHATS, "rendered": rendered(tokenizer)},
    }
    write_vocabulary(FOLDER / "vocabulary.gguf", tokens, merges)
    for name, content in documents.items():
        (FOLDER / name).write_text(json.dumps(content, ensure_ascii=True) + "\n", encoding="utf-8")
    for name in ("vocabulary.gguf", *documents):
        print(name, hashlib.sha256((FOLDER / name).read_bytes()).hexdigest())  # noqa: T201 - a script


if __name__ == "__main__":
    main()
