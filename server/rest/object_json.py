"""Objects in their REST form, read and written.

    {class, id, properties, vector | vectors, tenant, creationTimeUnix, lastUpdateTimeUnix}

Reads carry `vectorWeights: null`, replies to writes do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weftdb.core.objects import Object, ObjectDraft
from weftdb.core.types import UNNAMED, DocId, VectorName, Version, format_object_id

Json = dict[str, Any]


def render_object(collection: str, item: Object, *, tenant: str = "") -> Json:
    """An object as a write answers with it; vectors as far as `item` carries them."""
    out: Json = {
        "class": collection,
        "creationTimeUnix": item.created_ms,
        "id": format_object_id(item.id),
        "lastUpdateTimeUnix": item.updated_ms,
        "properties": item.properties,
    }
    if tenant:
        out["tenant"] = tenant
    out.update(render_vectors(item.vectors))
    return out


def render_draft(collection: str, draft: ObjectDraft, now_ms: int, *, tenant: str = "") -> Json:
    """An object as a write answers with it that was not read back; it was written at `now_ms`."""
    written = Object(
        draft.id,
        DocId(0),
        draft.properties,
        now_ms if draft.created_ms is None else draft.created_ms,
        now_ms,
        Version(now_ms),
        draft.vectors,
    )
    return render_object(collection, written, tenant=tenant)


def render_read_object(collection: str, item: Object, *, tenant: str = "") -> Json:
    """An object as a read answers with it."""
    return {**render_object(collection, item, tenant=tenant), "vectorWeights": None}


def render_vectors(vectors: Mapping[VectorName, NDArray[np.float32]]) -> Json:
    """The key `vector` or `vectors`, or nothing."""
    if not vectors:
        return {}
    if UNNAMED in vectors:
        return {"vector": np.ascontiguousarray(vectors[UNNAMED])}
    return {"vectors": {name: np.ascontiguousarray(vectors[name]) for name in sorted(vectors)}}
