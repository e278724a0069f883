"""Memory of training on one accelerator: the law of layouts on top of the law of bytes per parameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hplaw.arrays import Array
from hplaw.catalogue.catalogue import Catalogue
from hplaw.layout.columns import over_columns


STATE, MEMORY = "training-memory", "layout-memory"

HELD = ("parameter_bytes", "gradient_bytes", "optimizer_bytes")
"""What all accelerators hold together before anything is divided or copied."""

PARTS = (
    "device_weight_bytes",
    "device_gradient_bytes",
    "device_optimizer_bytes",
    "device_activation_bytes",
    "device_logit_bytes",
)
"""What memory on one accelerator is made of, beside what the framework takes."""


def device_bytes(known: Mapping[str, Any], columns: Mapping[str, Array], catalogue: Catalogue) -> dict[str, Array]:
    """Return `device_bytes` and its `PARTS` for a model and an optimizer, a row for each layout.

    **Arguments:**

    - `known`, `columns`: the inputs of `training-memory` and of `layout-memory` by name, those that rows share and others.

    **Raises:** `QueryError` naming an input that is not known.

    >>> import numpy as np
    >>> from hplaw.catalogue.catalogue import load_catalogue
    >>> from hplaw.layout.shape import usual_shape
    >>> known = {**usual_shape(7e9), "seq_len": 4096.0, "batch_seqs": 256.0}
    >>> found = device_bytes(known, {"data_parallel": np.array([1.0, 8.0])}, load_catalogue())
    >>> found["device_optimizer_bytes"].round(-9) / 1e9
    array([97., 12.])
    """
    state = over_columns(catalogue.get(STATE), known, columns, HELD)
    return over_columns(catalogue.get(MEMORY), known, {**columns, **state}, ("device_bytes", *PARTS))
