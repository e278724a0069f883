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
    "h200-sxm5-141gb": "h200-sxm",
    "h200-nvl-141gb": "h200-nvl",
    "h100-sxm-80gb": "h100-sxm",
    "b200": "b200-sxm",
    "b200-sxm-180gb": "b200-sxm",
    "blackwell-gpu-(b200-sxm-180gb)": "b200-sxm",
    "b300": "b300-sxm",
    "b300-sxm-270gb": "b300-sxm",
    "gb200-per-gpu": "gb200",
    "blackwell-gpu-(gb200)": "gb200",
    "gb300-per-gpu": "gb300",
    "dgx-h100": "h100-sxm",
    "dgx-h200": "h200-sxm",
    "dgx-b200": "b200-sxm",
    "dgx-b300": "b300-sxm",
    "dgx-gb200": "gb200",
    "dgx-gb300": "gb300",
    "mi300x-192gb-hbm3": "mi300x",
    "mi325x-256gb-hbm3e": "mi325x",
    "mi325x-256gb-hbm3e-dlc": "mi325x",
    "mi350x-288gb-hbm3e": "mi350x",
    "mi355x-288gb-hbm3e": "mi355x",
    "gaudi-2": "gaudi2",
    "gaudi2-ai-accelerator": "gaudi2",
    "gaudi-2-ai-accelerator": "gaudi2",
    "gaudi-3": "gaudi3",
    "gaudi3-ai-accelerator": "gaudi3",
    "gaudi-3-ai-accelerator": "gaudi3",
    "v5e": "tpu-v5e",
    "v5p": "tpu-v5p",
    "v6e": "tpu-v6e",
    "trillium": "tpu-v6e",
    "tpu-trillium": "tpu-v6e",
    "tpu-v6e-chip": "tpu-v6e",
    "tpu-v3-chip": "tpu-v3",
    "tpu-v4-chip": "tpu-v4",
    "tpu-v5e-chip": "tpu-v5e",
    "tpu-v5p-chip": "tpu-v5p",
}
"""Short names by other names, in small letters; a plain model name means its most common board."""

MAKERS = ("nvidia", "amd", "instinct", "intel", "google", "cloud", "habana")
"""Words of makers that may stand before the name of an accelerator."""


def canonical(name: str) -> str:
    """Return the short name of an accelerator; a name that is not known comes back as it was.

    >>> canonical("H100-SXM5-80GB")
    'h100-sxm'
    """
    words = name.lower().replace("(r)", "").split()
    while len(words) > 1 and words[0] in MAKERS:
        words = words[1:]
    plain = "-".join(words)
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
        "mi325x",
        "mi350x",
        "mi355x",
    )
)
"""The short names themselves; a test holds them to the table of the law `accelerators`."""
