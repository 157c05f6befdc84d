"""How texts are cut: by the recordings of a real server, and by our rule for CJK."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from weftdb.core.errors import Unsupported
from weftdb.core.schema import TextAnalyzer, Tokenization
from weftdb.index.tokenizer import pattern_tokenizer, tokenizer

SHARED = Path(os.environ.get("WEFTDB_SHARED", Path(__file__).resolve().parents[4] / "shared"))
RECORDED = SHARED / "conformance" / "scenarios" / "tokenize.jsonl"

word = tokenizer(Tokenization.WORD)


@pytest.mark.skipif(not RECORDED.exists(), reason="the recordings (WEFTDB_SHARED) are not here")
def test_recorded_texts_are_cut_the_same_way() -> None:
    compared = 0
    for line in RECORDED.read_text().splitlines():
        step = json.loads(line)
        body = step.get("request", {}).get("body") or {}
        if step.get("response", {}).get("status") != 200 or "tokenization" not in body:
            continue
        given = body.get("analyzerConfig", {})
        analyzer = TextAnalyzer(
            ascii_fold=given.get("asciiFold", False),
            ascii_fold_ignore=tuple(given.get("asciiFoldIgnore", ())),
        )
        terms = tokenizer(Tokenization(body["tokenization"]), analyzer)(body["text"])
        assert terms == step["response"]["body"]["indexed"], body
        compared += 1
    assert compared == 20


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("don't foo_bar x-1", ["don", "t", "foo", "bar", "x", "1"]),
        ("ΌΛΟΣ İstanbul", ["όλοσ", "istanbul"]),
        ("½ Ⅷ ²", ["½", "ⅷ", "²"]),
        ("", []),
        (" \t_!", []),
    ],
)
def test_words_are_runs_of_letters_and_digits(text: str, terms: list[str]) -> None:
    assert word(text) == terms


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("我爱北京", ["我", "爱", "北", "京", "我爱", "爱北", "北京"]),
        ("iPhone手机", ["iphone", "手", "机", "手机"]),
        ("東京タワー", ["東", "京", "東京", "京タ", "タワ", "ワー"]),
        ("すしが好き", ["好", "すし", "しが", "が好", "好き"]),
        ("한국어를 배워요", ["한국", "국어", "어를", "배워", "워요"]),
        ("的", ["的"]),
        ("𠀀𠀁", ["𠀀", "𠀁", "𠀀𠀁"]),
        ("价格：100元。", ["价", "格", "价格", "100", "元"]),
    ],
)
def test_cjk_runs_become_ideographs_and_pairs(text: str, terms: list[str]) -> None:
    assert word(text) == terms


def test_a_part_of_a_cjk_text_has_terms_of_the_whole() -> None:
    whole = set(word("北京大学的学生在图书馆里学习数据库"))
    assert set(word("图书馆")) <= whole
    assert set(word("数据库")) <= whole
    assert not set(word("图馆")) <= whole


def test_other_tokenizations_leave_cjk_alone() -> None:
    assert tokenizer(Tokenization.WHITESPACE)("我爱 北京\u3000大学") == ["我爱", "北京", "大学"]
    assert tokenizer(Tokenization.FIELD)(" 我爱北京 ") == ["我爱北京"]
    assert tokenizer(Tokenization.TRIGRAM)("我爱北京") == ["我爱北", "爱北京"]


def test_white_space_is_unicode_white_space_and_no_control() -> None:
    assert tokenizer(Tokenization.WHITESPACE)("a\x1cb c\u2009d\x85e") == ["a\x1cb", "c", "d", "e"]
    assert tokenizer(Tokenization.FIELD)("\u3000\x1f a\n b\x1c\xa0\n") == ["\x1f a\n b\x1c"]
    assert tokenizer(Tokenization.FIELD)(" \n") == []


def test_wildcards_stay_for_patterns() -> None:
    assert pattern_tokenizer(Tokenization.WORD)("sun?y gar*, *x") == ["sun?y", "gar*", "*x"]
    assert pattern_tokenizer(Tokenization.WORD)("*图书馆*") == ["图", "书", "馆", "图书", "书馆"]
    assert pattern_tokenizer(Tokenization.FIELD)(" A-? ") == ["A-?"]
    assert pattern_tokenizer(Tokenization.LOWERCASE)("A-? *B") == ["a-?", "*b"]
    assert pattern_tokenizer(Tokenization.TRIGRAM)("gard*shed") == ["gar", "ard", "she", "hed"]


def test_folding_makes_plain_letters() -> None:
    fold = tokenizer(Tokenization.FIELD, TextAnalyzer(ascii_fold=True))
    assert fold("Ærøskøbing Łódź naïve e\u0301cole Straße 北京") == [
        "AEroskobing Lodz naive ecole Strasse 北京"
    ]
    keep = TextAnalyzer(ascii_fold=True, ascii_fold_ignore=("ø", "é"))
    assert tokenizer(Tokenization.WORD, keep)("Ø É Ö") == ["ø", "é", "o"]


@pytest.mark.parametrize("name", [Tokenization.GSE, Tokenization.GSE_CH, Tokenization.KAGOME_JA])
def test_dictionaries_that_are_not_here_are_refused(name: Tokenization) -> None:
    with pytest.raises(Unsupported, match=name.value):
        tokenizer(name)
    with pytest.raises(Unsupported, match=name.value):
        pattern_tokenizer(name)
