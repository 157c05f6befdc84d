"""What the tokenize routes answer."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

BOOK = {
    "class": "Book",
    "invertedIndexConfig": {"stopwords": {"preset": "en", "additions": ["novel"]}},
    "properties": [
        {"name": "title", "dataType": ["text"]},
        {"name": "pages", "dataType": ["int"]},
    ],
}


@pytest.mark.parametrize(
    ("body", "indexed", "query"),
    [
        ({"text": "The fox", "tokenization": "word"}, ["the", "fox"], ["fox"]),
        ({"text": " The fox ", "tokenization": "field"}, ["The fox"], ["The fox"]),
        ({"text": "", "tokenization": "word"}, [], []),
        (
            {
                "text": "the École",
                "tokenization": "word",
                "stopwords": {"preset": "none", "additions": ["ecole"]},
                "analyzerConfig": {"asciiFold": True},
            },
            ["the", "ecole"],
            ["the"],
        ),
    ],
)
def test_texts(client: TestClient, body: Any, indexed: list[str], query: list[str]) -> None:
    assert client.post("/tokenize", json=body).json() == {"indexed": indexed, "query": query}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"text": "x"}, 602),
        ({"tokenization": "word"}, 602),
        ({"text": "x", "tokenization": "strange"}, 606),
        ({"text": "x", "tokenization": "gse"}, None),
        ({"text": "x", "tokenization": "word", "stopwords": {"preset": "xx"}}, None),
    ],
)
def test_bad_requests(client: TestClient, body: Any, code: int | None) -> None:
    reply = client.post("/tokenize", json=body)
    assert reply.status_code == 422
    assert reply.json().get("code") == code


def test_properties(client: TestClient) -> None:
    client.post("/schema", json=BOOK)
    path = "/schema/Book/properties/{}/tokenize"
    body = {"text": "The novel of Emma"}
    reply = client.post(path.format("title"), json=body)
    assert reply.json() == {"indexed": ["the", "novel", "of", "emma"], "query": ["emma"]}
    assert client.post(path.format("pages"), json=body).status_code == 422
    assert client.post(path.format("nothing"), json=body).status_code == 404
    assert client.post("/schema/No/properties/p/tokenize", json=body).status_code == 404
    assert client.post(path.format("title"), json={}).status_code == 422
