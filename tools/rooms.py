"""Draw docs/architecture.svg: the rooms of hplaw in the order of their contracts, and the ways that lead through them.

python tools/rooms.py            # draw it, after a room or a contract has changed
python tools/rooms.py --check    # say whether it is up to date
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path


ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "architecture.svg"

OUTER = ("hplaw_api", "hplaw_experiments")
"""Packages beside hplaw, between its command line and the rest."""

HOLDS = {
    "cli": "commands and what they print",
    "hplaw_api": "the service, on Litestar",
    "hplaw_experiments": "recipes, sweeps, training, studies",
    "functions": "what import hplaw offers",
    "client": "the same questions over HTTP or in this process",
    "fit": "data, model, inference, checks, written laws",
    "runs": "a store of runs, imports, tables of anybody's columns",
    "energy": "time, energy and carbon of runs and devices",
    "metering": "energy of commands, blocks and sweeps",
    "parametrization": "init, multipliers, rates by width and depth",
    "pruning": "regimes before pruning, connectivity",
    "theory": "rules, schedules, transfer between batches",
    "recommendation": "question, route, derivation, record",
    "layout": "parallel layouts: memory, throughput",
    "answer": "value, intervals, simulation, mixtures of one law",
    "decide": "ridges in closed form, else search; one plateau",
    "catalogue": "finding laws",
    "forms": "affine, power law, log-normal, linex",
    "evaluation": "a law at a point: inputs, cases, domain, grids",
    "posterior": "what may be true of a law: draws, priors",
    "law": "the file: format, reading, rules, scope, writing",
    "messages": "records on the wire, and decoding them",
    "expression": "text, checked tree, program, LaTeX, derivative",
    "vocabulary": "quantities, hardware, shapes of models",
    "formatting": "numbers as people read them",
    "narrowing": "types distinguished",
    "rows": "numbers that are floats or columns",
    "toml": "TOML as typed records",
    "arrays": "array types and names of dimensions",
    "errors": "one tree of errors",
}
"""What is in each room, in a few words."""

WAYS = {
    "question": (
        "cli hplaw_api functions client messages vocabulary recommendation catalogue decide answer evaluation "
        "forms posterior law expression"
    ),
    "runs table": "cli runs vocabulary expression fit law posterior evaluation",
    "law file": "catalogue law toml expression vocabulary posterior",
    "sweep spec": "cli hplaw_experiments toml runs parametrization fit",
}
"""Which rooms each thing that comes in passes through."""

COLOURS = ("#0a5ca8", "#12724f", "#a3195b", "#8a6200")
FONT = 'font-family="-apple-system, Segoe UI, Helvetica, Arial, DejaVu Sans, sans-serif" font-size="14"'
INK, PALE, LINE = "#24292f", "#57606a", "#d0d7de"
WIDTH, ROW, TOP, LEFT, FIRST_WAY, APART = 880, 29, 58, 12, 622, 72
"""Pixels: of the picture, of a row, above the first row, beside it, to the middle of the first way, between two."""


def levels() -> list[list[str]]:
    """Return the rooms from the contract of layers, highest first, with the outer packages where they stand."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(contract["layers"] for contract in contracts if contract.get("exhaustive"))
    found = [[room.strip() for room in layer.split("|")] for layer in layers if layer != "__main__"]
    found.insert(1, list(OUTER))
    return found


def picture() -> str:
    """Return the picture as SVG."""
    rooms = [(room, level) for level, layer in enumerate(levels()) for room in layer]
    missing = {room for room, _ in rooms} ^ HOLDS.keys()
    missing |= {room for way in WAYS.values() for room in way.split()} - HOLDS.keys()
    if missing:
        sys.exit(f"say in tools/rooms.py what these rooms hold, or take them out: {', '.join(sorted(missing))}")
    height = TOP + ROW * len(rooms) + 12
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" {FONT}>',
        "<title>The rooms of hplaw, and the ways through them</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(LEFT, 22, "A room imports only rooms below it, and none in its own frame.", PALE),
        _text(LEFT, 42, "Dots: the rooms that a question, a table, a file passes.", PALE),
        *_frames(rooms),
        *_ways([room for room, _ in rooms]),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _frames(rooms: Sequence[tuple[str, int]]) -> Iterator[str]:
    """Yield a frame around the rooms of each level, and each room's name and content."""
    for level in dict.fromkeys(level for _, level in rooms):
        rows = [row for row, (_, other) in enumerate(rooms) if other == level]
        y, height = TOP + ROW * rows[0] + 2, ROW * len(rows) - 4
        yield (
            f'<rect x="{LEFT}" y="{y}" width="{WIDTH - 2 * LEFT}" height="{height}" rx="5" fill="#f6f8fa" '
            f'stroke="{LINE}"/>'
        )
    for row, (room, _) in enumerate(rooms):
        y = TOP + ROW * row + ROW // 2 + 5
        yield _text(LEFT + 12, y, room, INK, ' font-weight="600"')
        yield _text(LEFT + 184, y, HOLDS[room], PALE)


def _ways(rooms: Sequence[str]) -> Iterator[str]:
    """Yield a line for each way with a dot in every room that it passes."""
    for number, ((name, passed), colour) in enumerate(zip(WAYS.items(), COLOURS, strict=True)):
        x = FIRST_WAY + APART * number
        middles = [TOP + ROW * row + ROW // 2 for row, room in enumerate(rooms) if room in passed.split()]
        for y, word in zip((42, 22), reversed(name.split()), strict=False):
            yield _text(x, y, word, colour, ' font-weight="600" text-anchor="middle"')
        yield (
            f'<line x1="{x}" y1="{middles[0]}" x2="{x}" y2="{middles[-1]}" stroke="{colour}" stroke-width="2" '
            'opacity="0.35"/>'
        )
        for y in middles:
            yield f'<circle cx="{x}" cy="{y}" r="6" fill="{colour}"/>'


def _text(x: int, y: int, text: str, colour: str, more: str = "") -> str:
    return f'<text x="{x}" y="{y}" fill="{colour}"{more}>{escape(text)}</text>'


def main(words: Sequence[str]) -> int:
    """Draw the picture, or say whether it is as it should be."""
    new = picture()
    if "--check" in words:
        if not TARGET.is_file() or TARGET.read_text(encoding="utf-8") != new:
            sys.exit("docs/architecture.svg is not that of the contracts: python tools/rooms.py")
        return 0
    TARGET.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
