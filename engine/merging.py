"""merged: what an object becomes when single properties and vectors of it are changed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from weftdb.core.objects import Object, ObjectDraft
from weftdb.core.schema import Collection
from weftdb.core.types import PropertyValue, VectorName
from weftdb.modules.text import object_text


def merged(
    schema: Collection,
    old: Object,
    changes: Mapping[str, PropertyValue],
    vectors: Mapping[VectorName, NDArray[np.float32]],
) -> ObjectDraft:
    """`old`, read with its vectors, with other properties (None removes) and vectors.

    A vector that a vectorizer made is left out where its text changes: it has to be made anew.
    """
    properties = {**old.properties, **changes}
    draft = ObjectDraft(
        id=old.id,
        properties={name: value for name, value in properties.items() if value is not None},
        vectors=dict(vectors),
    )
    for name, vector in old.vectors.items():
        if name not in draft.vectors and not _text_changed(schema, name, old, draft):
            draft.vectors[name] = vector
    return draft


def _text_changed(schema: Collection, name: VectorName, old: Object, draft: ObjectDraft) -> bool:
    config = schema.vector_by_name[name]
    if config.vectorizer == "none":
        return False
    before = object_text(old.properties, schema, config)
    return before != object_text(draft.properties, schema, config)
