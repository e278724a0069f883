"""What a fit was judged to be."""

from __future__ import annotations

import msgspec


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a fit was judged to be.

    - `failed`: checks that failed, in words; `held_out` scores by name.
    - `discrepancy`: covariance of the logarithms of the chosen quantities, in the law's order; None leaves the law's own.
    """

    failed: list[str] = []
    held_out: dict[str, float] = {}
    checks: dict[str, float] = {}
    discrepancy: list[list[float]] | None = None
