"""`hplaw recipes`: the recipes that questions may name."""

from __future__ import annotations

from hplaw.catalogue.listing import list_recipes
from hplaw.cli.exit_status import OK
from hplaw.cli.options import Json, LawFolders
from hplaw.cli.page import Page, write, write_json
from hplaw.cli.reading import open_catalogue
from hplaw.formatting import number
from hplaw.messages.recipe import Recipe
from hplaw.messages.record import encode


def recipes(*, laws: LawFolders = None, json: Json = False) -> int:
    """List the recipes that --recipe takes, with the laws that hold for each and what they were fitted on."""
    found = list_recipes(open_catalogue(laws))
    if json:
        write_json(encode(found))
        return OK
    page = Page()
    for recipe in found:
        page.heading(recipe.name)
        page.text(recipe.title)
        page.text(f"gives {', '.join(recipe.gives)} by {', '.join(recipe.laws)}")
        page.text(f"fitted on {_seen(recipe)}")
    page.line()
    page.text("Without --recipe, intervals cover recipes that are not known.", indent=0)
    write(str(page))
    return OK


def _seen(recipe: Recipe) -> str:
    """Return what the laws of a recipe were fitted on, in one line."""
    parts = [] if recipe.runs is None else [f"{recipe.runs:,} runs"]
    for name, seen in recipe.domain.items():
        low, high = seen[0], seen[-1]
        if isinstance(low, str) or isinstance(high, str):
            parts.append(", ".join(map(str, seen)))
        else:
            parts.append(f"{name} {number(low)} to {number(high)}")
    return "; ".join(parts)
