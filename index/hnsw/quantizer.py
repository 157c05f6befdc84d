"""Quantizers of a native index: from a collection's settings to the extension's.

How codes are made and measured is in `index/kernels/src/codes*.h`; here is only the translation.
"""

from __future__ import annotations

from weftdb.core.schema import Compression, Quantizer
from weftdb.index.kernels import _native

BINARY_RESCORE_LIMIT = 400
"""Finds that are measured again where one bit a dimension is all there is and nothing is set."""


def code_settings(quantizer: Quantizer) -> _native.CodeSettings:
    """The extension's settings. A rescore limit below 0 means: all that the walk has found."""
    return _native.CodeSettings(
        kind=quantizer.kind.value,
        bits=quantizer.bits,
        segments=quantizer.segments,
        centroids=quantizer.centroids,
        tile=quantizer.encoder == "tile",
        log_normal=quantizer.distribution == "log-normal",
        training_limit=quantizer.training_limit,
        rescore_limit=_rescore_limit(quantizer),
    )


def _rescore_limit(quantizer: Quantizer) -> int:
    if quantizer.kind is Compression.BINARY and quantizer.rescore_limit < 0:
        return BINARY_RESCORE_LIMIT
    return quantizer.rescore_limit
