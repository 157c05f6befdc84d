"""The vector index beside hnswlib, faiss and usearch, in-process and behind the server."""
