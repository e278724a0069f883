"""The three regimes of pruned and retrained models, and what each asks of the training before pruning.

Regime I: two retrainings of one pruned network are not connected. II-A: connected, but they compute different things.
II-B: connected and alike. Training hotter means fewer epochs, smaller batches or a larger radius of sharpness-aware training.
"""

from __future__ import annotations

from collections.abc import Mapping

from hplaw.vocabulary.names import REGIMES


HOTTER, COOLER, KEEP = "hotter", "cooler", "keep"
"""What may be advised for the temperature."""

UNCERTAIN = "uncertain"
"""The regime where no class is likely enough."""

ACTIONS: Mapping[str, str] = {"I": HOTTER, "II-A": COOLER, "II-B": KEEP}
"""What each regime asks for."""

MEANS: Mapping[str, str] = {
    HOTTER: "train hotter before pruning: fewer epochs, smaller batch, or larger SAM rho",
    COOLER: "train cooler before pruning: more epochs, larger batch, or smaller SAM rho",
    KEEP: "keep the training as it is",
}
"""What to do, in words."""

MATTERS = 0.002
"""Change of test error below which temperature does not matter: about twice the scatter of a mean over nine runs."""


def action_of(word: str) -> str:
    """Return what a class of a map, in the vocabulary's words, asks for.

    >>> action_of("unconnected")
    'hotter'
    """
    return ACTIONS[REGIMES[word]]
