"""The arrays beside a law file: draws of a posterior, or a grid."""

from __future__ import annotations

import zipfile

import numpy as np
from numpy.typing import NDArray

from hplaw.errors import LawError
from hplaw.law.law import Law


Array = NDArray[np.float64]


_TORN = (OSError, ValueError, EOFError, KeyError, MemoryError, TypeError, AttributeError, zipfile.BadZipFile)
"""What numpy raises for files that are torn or hold something else."""


def read_arrays(law: Law) -> dict[str, Array]:
    """Return the arrays beside a law file.

    **Raises:** `LawError` for a file that is torn, holds anything but finite float64, or pickles.
    """
    if law.arrays is None:
        return {}
    try:
        # opened here, as numpy leaves a torn file open
        with law.arrays.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            found = {name: np.asarray(file[name]) for name in file.files}
    except _TORN as error:
        message = f"{law.arrays.name} cannot be read as arrays: {error}"
        raise LawError(message, file=str(law.path or "")) from None
    for name, array in found.items():
        if array.dtype != np.float64 or not np.isfinite(array).all():
            message = f"{law.arrays.name}: {name} must be finite float64, not {array.dtype}"
            raise LawError(message, file=str(law.path or ""))
    return found
