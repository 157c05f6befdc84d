"""ASCII folding: letters with marks become the plain letters that a keyboard has."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import lru_cache

# Letters whose decomposition does not lead to ASCII.
_SPECIAL = {
    "Æ": "AE", "æ": "ae", "Œ": "OE", "œ": "oe", "Ø": "O", "ø": "o", "Ł": "L", "ł": "l",
    "Đ": "D", "đ": "d", "Ð": "D", "ð": "d", "Þ": "TH", "þ": "th", "ß": "ss", "ẞ": "SS",
    "ı": "i", "Ħ": "H", "ħ": "h", "Ŧ": "T", "ŧ": "t", "Ŋ": "N", "ŋ": "n", "ĸ": "k",
    "Ɓ": "B", "ɓ": "b", "Ɗ": "D", "ɗ": "d", "Ƙ": "K", "ƙ": "k", "Ƒ": "F", "ƒ": "f",
}  # fmt: skip


class _Table(dict[int, str]):
    """Filled letter by letter, as texts bring them."""

    def __missing__(self, code: int) -> str:
        letter = chr(code)
        folded = letter if letter.isascii() else _fold_letter(letter)
        self[code] = folded
        return folded


def _fold_letter(letter: str) -> str:
    special = _SPECIAL.get(letter)
    if special is not None:
        return special
    parts = unicodedata.normalize("NFKD", letter)
    plain = "".join(part for part in parts if not unicodedata.combining(part))
    return plain if plain.isascii() and plain else letter


@lru_cache(maxsize=256)
def folder(ignore: tuple[str, ...]) -> Callable[[str], str]:
    """A function that folds texts but leaves the letters of `ignore` (in both cases) alone."""
    table = _Table()
    for text in ignore:
        for letter in unicodedata.normalize("NFC", text.lower() + text.upper()):
            table[ord(letter)] = letter

    def fold(text: str) -> str:
        if text.isascii():
            return text
        folded = unicodedata.normalize("NFC", text).translate(table)
        return "".join(part for part in folded if not unicodedata.combining(part))

    return fold
