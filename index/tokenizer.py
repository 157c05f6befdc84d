"""Tokenizers: from a text to its terms, the same way for stored texts and for queries.

    word        runs of letters and digits, small; Chinese, Japanese and Korean runs are cut further
    lowercase   split at white space, small
    whitespace  split at white space
    field       the whole text, trimmed
    trigram     letters and digits joined, small, every three in a row

Chinese, Japanese and Korean are written without spaces, or with endings stuck to the words, so a
run of their letters becomes its ideographs and every two letters in a row: any part of two or more
letters can be found, no dictionary decides. ASCII text is not touched by this.

Native code tokenizes ASCII texts by the same rules (index/kernels/src); a property test holds both
together.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

from weftdb.core.errors import Unsupported
from weftdb.core.schema import Property, TextAnalyzer, Tokenization
from weftdb.index.folding import folder

Tokenize: TypeAlias = Callable[[str], list[str]]

_PLAIN = TextAnalyzer()

_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_HAN = (
    "\u2e80-\u2fdf\u3005\u3007\u3021-\u3029\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_SYLLABLES = (
    "\u1100-\u11ff\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff\ua960-\ua97f\uac00-\ud7ff\uff66-\uff9f"
)

_words = re.compile(r"[^\W_]+").findall
_word_patterns = re.compile(r"(?:[^\W_]|[*?])+").findall
_ascii_words = re.compile(r"[a-z0-9]+").findall
_space_runs = re.compile(f"[^{_SPACE}]+").findall
_trimmed = re.compile(f"[^{_SPACE}](?:.*[^{_SPACE}])?", re.DOTALL).search
_has_cjk = re.compile(f"[{_HAN}{_SYLLABLES}]").search
_cjk_or_other = re.compile(f"([{_HAN}{_SYLLABLES}]+)|([^{_HAN}{_SYLLABLES}]+)").findall
_is_ideograph = re.compile(f"[{_HAN}]").match


def tokenizer_of(item: Property) -> Tokenize:
    """The tokenizer of a text property. Raises Unsupported."""
    assert item.tokenization is not None, f"{item.name} is no text"
    return tokenizer(item.tokenization, item.analyzer)


@lru_cache(maxsize=256)
def tokenizer(tokenization: Tokenization, analyzer: TextAnalyzer = _PLAIN) -> Tokenize:
    """The function that cuts texts. Raises Unsupported for one that this build does not have."""
    return _folding(_tokenizer_named(_TOKENIZERS, tokenization), analyzer)


@lru_cache(maxsize=256)
def pattern_tokenizer(tokenization: Tokenization, analyzer: TextAnalyzer = _PLAIN) -> Tokenize:
    """As `tokenizer`, but `*` and `?` stay where they are: for the operator Like."""
    return _folding(_tokenizer_named(_PATTERN_TOKENIZERS, tokenization), analyzer)


def _tokenizer_named(table: dict[Tokenization, Tokenize], name: Tokenization) -> Tokenize:
    if name not in table:
        raise Unsupported(f"unsupported tokenization strategy: {name.value}")
    return table[name]


def _folding(cut: Tokenize, analyzer: TextAnalyzer) -> Tokenize:
    if not analyzer.ascii_fold:
        return cut
    fold = folder(analyzer.ascii_fold_ignore)
    return lambda text: cut(fold(text))


def lower(text: str) -> str:
    """Make letters small one by one: no final sigma, no letter that becomes two."""
    if text.isascii():
        return text.lower()
    return text.replace("Σ", "σ").replace("İ", "i").lower()


def _cut_words(text: str) -> list[str]:
    small = lower(text)
    if small.isascii():
        return _ascii_words(small)
    words: list[str] = _words(small)
    return _cut_cjk(words) if _has_cjk(small) else words


def _cut_word_patterns(text: str) -> list[str]:
    small = lower(text)
    words: list[str] = _word_patterns(small)
    if not _has_cjk(small):
        return words
    # A run of ideographs is not one term, so a pattern over it asks for its pairs instead.
    return [term for term in _cut_cjk(words) if term.strip("*") or term in words]


def _cut_cjk(words: list[str]) -> list[str]:
    terms: list[str] = []
    for word in words:
        for run, other in _cjk_or_other(word):
            if other:
                terms.append(other)
            elif len(run) == 1:
                terms.append(run)
            else:
                terms.extend(letter for letter in run if _is_ideograph(letter))
                terms.extend(run[start : start + 2] for start in range(len(run) - 1))
    return terms


def _cut_lowercase(text: str) -> list[str]:
    terms: list[str] = _space_runs(lower(text))
    return terms


def _cut_whitespace(text: str) -> list[str]:
    terms: list[str] = _space_runs(text)
    return terms


def _cut_field(text: str) -> list[str]:
    found = _trimmed(text)
    return [found[0]] if found else []


def _cut_trigrams(text: str) -> list[str]:
    return _in_threes("".join(_words(lower(text))))


def _cut_trigram_patterns(text: str) -> list[str]:
    """Only what stands between the wildcards can be looked up in threes."""
    return [
        term
        for part in re.split(r"[*?]", lower(text))
        for term in _in_threes("".join(_words(part)))
    ]


def _in_threes(letters: str) -> list[str]:
    return [letters[start : start + 3] for start in range(len(letters) - 2)]


_TOKENIZERS: dict[Tokenization, Tokenize] = {
    Tokenization.WORD: _cut_words,
    Tokenization.LOWERCASE: _cut_lowercase,
    Tokenization.WHITESPACE: _cut_whitespace,
    Tokenization.FIELD: _cut_field,
    Tokenization.TRIGRAM: _cut_trigrams,
}

_PATTERN_TOKENIZERS: dict[Tokenization, Tokenize] = {
    **_TOKENIZERS,
    Tokenization.WORD: _cut_word_patterns,
    Tokenization.TRIGRAM: _cut_trigram_patterns,
}
