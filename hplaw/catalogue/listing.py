"""What a catalogue holds, as records: its laws, the words they use, and its health. Shared by service and client."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from hplaw.errors import QueryError, nearest
from hplaw.evaluation.domain import UNKNOWN
from hplaw.evaluation.inputs import categories_of
from hplaw.law.derived import derived
from hplaw.messages.law import Health, LawRecord, LawSummary
from hplaw.messages.recipe import Recipe
from hplaw.vocabulary.hardware_names import OWN
from hplaw.vocabulary.names import by_fold, meant_quantity, spelled
from hplaw.vocabulary.quantities import Quantity, vocabulary


if TYPE_CHECKING:
    from hplaw.catalogue.catalogue import Catalogue
    from hplaw.law import Law


STATUSES = ("calibrated", "published", "theory")
"""What a law's status may be: fitted here, as its authors published it, or from theory."""


@derived
def known_quantities(catalogue: Catalogue) -> Mapping[str, Quantity]:
    """Return the quantities that questions to this catalogue may use: the vocabulary, then the laws' own."""
    known = dict(vocabulary())
    for law in catalogue.laws:
        for name in (*law.inputs, *law.gives):
            if name not in known:
                known[name] = law.quantity(name)
    return known


@derived
def categories(catalogue: Catalogue, name: str) -> Mapping[str, str]:
    """Return the names that a category may take here, each by its `folded` spellings: the vocabulary's and the laws'."""
    words = known_quantities(catalogue)[name].categories
    laws = [law for law in catalogue.laws if name in law.inputs or name in law.spec.domain]
    return by_fold((*words, *(word for law in laws for word in categories_of(law, name))))


@derived
def full_quantities(catalogue: Catalogue) -> Mapping[str, Quantity]:
    """Return the quantities known here, accelerators and countries with all names that they may take."""
    return {
        name: msgspec.structs.replace(word, categories=tuple(dict.fromkeys(categories(catalogue, name).values())))
        if word.closed
        else word
        for name, word in known_quantities(catalogue).items()
    }


def read_category(catalogue: Catalogue, name: str, value: Any, *, field: str) -> Any:
    """Return the value of a category as it is spelled here; case does not matter.

    **Raises:** `QueryError` for an accelerator or a country that no law knows, with the nearest name.

    >>> from hplaw.catalogue.catalogue import load_catalogue
    >>> read_category(load_catalogue(), "country", "us", field="country")
    'US'
    """
    if not isinstance(value, str):
        return value
    words = categories(catalogue, name)
    found = spelled(name, value, words)
    if known_quantities(catalogue)[name].closed and words and found not in words:
        form, lists = _FORMS[name]
        message = f"{name}='{value[:80]}' is not known{nearest(found[:80], words.values())}; {form}"
        raise QueryError(message, field=field, lists=lists)
    return found


_FORMS: Mapping[str, tuple[str, str]] = {
    "hardware": (f"an accelerator of your own is described by {', '.join(OWN)}", "hardware"),
    "country": ("give two letters, such as US", "countries"),
    "carbon_year": ("give a year from 2015 on, such as 2022, or latest", ""),
    "recipe": ("a recipe of your own is measured by hplaw calibrate", "recipes"),
}
"""What else to give for a category whose names are closed, and the list that has these."""


def find_quantity(words: Mapping[str, Quantity], name: str, *, field: str, told: str = "") -> Quantity:
    """Return a quantity by name.

    **Raises:** `QueryError` at `field`, with the quantity that may be meant, where there is none; `told` comes before it.

    >>> find_quantity(vocabulary(), "tokens", field="want").unit
    'token'
    """
    if name not in words:
        short = name[:80]
        message = f"{told}'{short}' is not a quantity{meant_quantity(short, words)}"
        raise QueryError(message, field=field, lists="quantities")
    return words[name]


def law_summary(catalogue: Catalogue, law: Law) -> LawSummary:
    """Return the line of a law in a list: the folder it was found in, the law it hides, and of a mixture what its members
    take and give."""
    if law not in catalogue.laws:
        return law.summary()
    return msgspec.structs.replace(
        law.summary(),
        shelf=catalogue.shelf(law),
        shadows=catalogue.shadows(law),
        inputs=list(dict.fromkeys(name for member in catalogue.members(law) for name in member.inputs)),
        outputs=list(catalogue.gives(law)),
    )


def law_record(catalogue: Catalogue, law: Law) -> LawRecord:
    """Return a law whole, with its line in a list."""
    return msgspec.structs.replace(law.record(), summary=law_summary(catalogue, law))


def list_laws(catalogue: Catalogue, *, quantity: str | None = None, status: str | None = None) -> list[LawSummary]:
    """Return a line for each law, or for those that give `quantity` and have `status`.

    **Raises:** `QueryError` for a quantity or a status that does not exist.
    """
    if quantity is not None:
        find_quantity(known_quantities(catalogue), quantity, field="quantity", told="quantity: ")
    if status is not None and status not in STATUSES:
        message = f"status={status} is not known; give {', '.join(STATUSES)}"
        raise QueryError(message, field="status")
    return [
        law_summary(catalogue, law)
        for law in catalogue.laws
        if quantity is None or quantity in catalogue.gives(law)
        if status is None or status == law.spec.status
    ]


def list_recipes(catalogue: Catalogue) -> list[Recipe]:
    """Return the recipes that questions may name: those in the domains of laws, each with the laws that hold for it."""
    found: dict[str, list[Law]] = {}
    for law in catalogue.laws:
        for name in law.spec.domain.get("recipe", ()):
            if name != UNKNOWN:
                found.setdefault(str(name), []).append(law)
    return [_recipe(name, laws) for name, laws in sorted(found.items())]


def _recipe(name: str, laws: Sequence[Law]) -> Recipe:
    """Return what is known of a recipe, domains of several laws as one."""
    domain: dict[str, list[Any]] = {}
    for law in laws:
        for quantity, seen in law.spec.domain.items():
            if quantity == "recipe":
                continue
            both = [*domain.get(quantity, ()), *seen]
            domain[quantity] = sorted(set(both)) if law.quantity(quantity).categorical else [min(both), max(both)]
    runs = [law.spec.evidence.runs for law in laws if law.spec.evidence]
    return Recipe(
        name=name,
        laws=[law.id for law in laws],
        gives=list(dict.fromkeys(quantity for law in laws for quantity in law.gives)),
        domain=domain,
        runs=sum(runs) if runs else None,
        title=laws[0].spec.title,
    )


def health(catalogue: Catalogue | None, problems: Iterable[str] = ()) -> Health:
    """Return whether a catalogue can answer: `ready`, `degraded` where a file could not be read, `unavailable` without laws."""
    count = len(catalogue.laws) if catalogue else 0
    found = [error.text for error in catalogue.problems] if catalogue else []
    told = list(dict.fromkeys([*found, *problems]))
    status = "unavailable" if not count else "degraded" if told else "ready"
    return Health(status=status, laws=count, problems=told)
