"""Reads a `tokenizer.json` with the package `tokenizers`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from weftdb.core.errors import CorruptData
from weftdb.modules.local.packages import require

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def read_tokenizer(path: Path) -> Tokenizer:
    """Parse the file. Raises CorruptData, OSError, ModuleFailure (package missing)."""
    package = require("tokenizers", purpose="in-process embedding")
    text = path.read_text("utf-8")
    try:
        tokenizer: Tokenizer = package.Tokenizer.from_str(text)
    except Exception as error:
        # The package reports every parse error as a bare Exception; anything narrower misses all.
        if type(error) is not Exception:
            raise
        raise CorruptData(f"{path}: not a tokenizer: {error}") from error
    return tokenizer
