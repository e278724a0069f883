"""Names of accelerators: what makers and drivers call them -> the short names that laws' tables have."""

from __future__ import annotations


OWN = ("peak_flop_per_s", "memory_bytes_per_s", "accelerator_generation", "board_power_w")
"""What describes an accelerator of your own."""

ALIASES = {
    "p100-pcie-16gb": "p100-pcie",
    "v100": "v100-sxm",
    "v100-sxm2-32gb": "v100-sxm",
    "v100-pcie-16gb": "v100-pcie",
    "a100": "a100-sxm",
    "a100-80gb": "a100-sxm",
    "a100-40gb": "a100-sxm-40gb",
    "a100-sxm4-40gb": "a100-sxm-40gb",
    "a100-sxm4-80gb": "a100-sxm",
    "a100-pcie-80gb": "a100-pcie",
    "h100": "h100-sxm",
    "h100-sxm5-80gb": "h100-sxm",
    "h100-pcie-80gb": "h100-pcie",
    "h800": "h800-sxm",
    "h800-sxm5-80gb": "h800-sxm",
    "h200": "h200-sxm",
    "h200-sxm-141gb": "h200-sxm",
    "b200": "b200-sxm",
    "b200-sxm-180gb": "b200-sxm",
    "gb200-per-gpu": "gb200",
    "tpu-v3-chip": "tpu-v3",
    "tpu-v4-chip": "tpu-v4",
    "tpu-v5e-chip": "tpu-v5e",
    "tpu-v5p-chip": "tpu-v5p",
}
"""Short names by other names, in small letters; a plain model name means its most common board."""


def canonical(name: str) -> str:
    """Return the short name of an accelerator; a name that is not known comes back as it was.

    >>> canonical("H100-SXM5-80GB")
    'h100-sxm'
    """
    plain = "-".join(name.lower().removeprefix("nvidia ").split())
    return ALIASES.get(plain, plain if plain in SHORT else name)


SHORT = frozenset(
    (
        *ALIASES.values(),
        "t4",
        "quadro-rtx-6000",
        "a100-pcie-40gb",
        "rtx-3090",
        "a40",
        "rtx-a6000",
        "rtx-4090",
        "rtx-6000-ada",
        "l4",
        "l40s",
        "rtx-5090",
        "mi250x",
        "mi300x",
    )
)
"""The short names themselves; a test holds them to the table of the law `accelerators`."""
