"""Terms of a filter value on a text property, stop words left out."""

from __future__ import annotations

from weftdb.core.errors import InvalidRequest
from weftdb.core.query import ScalarValue, ValueKind
from weftdb.core.schema import Collection, Property, Tokenization
from weftdb.index.filter_operands import wrong_kind
from weftdb.index.stopwords import property_stopwords
from weftdb.index.tokenizer import pattern_tokenizer, tokenizer_of

_KINDS = {bool: ValueKind.BOOLEAN, int: ValueKind.INT, float: ValueKind.NUMBER}


def text_terms(
    item: Property, collection: Collection, value: ScalarValue, *, keep_wildcards: bool
) -> list[str]:
    """The terms that must all be there; none only for an empty value of a `field` text.

    Raises InvalidRequest for a value that is no text or has nothing to look for.
    """
    if not isinstance(value, str):
        raise wrong_kind(item, _KINDS[type(value)])
    assert item.tokenization is not None, item.name
    if keep_wildcards:
        terms = pattern_tokenizer(item.tokenization, item.analyzer)(value)
    else:
        terms = tokenizer_of(item)(value)
    stopwords = property_stopwords(collection, item)
    kept = [term for term in terms if term not in stopwords]
    if not kept and item.tokenization is not Tokenization.FIELD:
        raise InvalidRequest(
            "invalid search term, only stopwords provided. "
            "Stopwords can be configured in class.invertedIndexConfig.stopwords"
        )
    return kept
