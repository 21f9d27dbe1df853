"""What the loader can find: rule name -> one-line meaning."""

from __future__ import annotations

from typing import Final

LOADER_RULES: Final[dict[str, str]] = {
    "alias": "an anchor (&name) or alias (*name): one place of the file would silently stand for another",
    "bidirectional-override": "a Unicode direction control: the text reads differently from what is stored",
    "byte-order-mark": "the file starts with a byte order mark, which UTF-8 does not need",
    "directive": "a %YAML or %TAG directive, which would change how the rest is read",
    "duplicate-key": "a key that a mapping already has; one of the two values would be lost",
    "empty-file": "nothing but blanks and comments",
    "forbidden-character": "a control character, a hidden line break or half of a surrogate pair",
    "invalid-value": "a value of the right kind that its key does not allow",
    "key-not-text": "a key that is empty, a list or a mapping",
    "merge-key": "a merge key (<<), which would pull in keys from elsewhere",
    "missing-key": "a key that must be there and is not",
    "more-findings": "the file has more findings than are shown",
    "not-a-mapping": "the file holds a list or a single value where a mapping of keys is expected",
    "not-utf-8": "bytes that are not UTF-8",
    "several-documents": "a second YAML document in one file",
    "tag": "a tag (!name), which would change the type of a value",
    "too-deep": "collections nested deeper than a contract ever needs",
    "too-large": "a file, a key or a number of values beyond what a contract ever needs",
    "unknown-key": "a key that the format does not have",
    "wrong-type": "text, list or mapping where another of the three is expected",
    "yaml-syntax": "text that is not YAML",
}

WARNINGS: Final = frozenset({"bidirectional-override", "byte-order-mark"})
"""Rules that leave the meaning of the file intact; `more-findings` is a note, all others are errors."""
