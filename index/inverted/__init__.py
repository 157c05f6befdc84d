"""The inverted index: (field, value) -> docs for filters, and scored postings for BM25."""
