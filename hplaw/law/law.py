"""A law that has been read and checked: its file, its meaning, and its formulas compiled when first asked for."""

from __future__ import annotations

import functools as ft
import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from hplaw.expression import latex, latex_name, names_in
from hplaw.expression.backends import FLOATS, RATIONALS, Backend, numpy_backend
from hplaw.expression.compile import Function
from hplaw.law.derived import derived
from hplaw.law.format import InputSpec, LawSpec
from hplaw.law.program import Environment, Meaning, Program, compile_program, unroll
from hplaw.law.scope import Formula, Namespace, quantities_of
from hplaw.messages.law import Citation, LawRecord, LawSummary
from hplaw.narrowing import is_table, is_tuple
from hplaw.vocabulary.quantities import Quantity


ARRAYS = "posterior.npz"
"""The file of draws beside a law file."""


def arrays_beside(path: Path) -> Path | None:
    """Return the file of draws beside a law file, None where there is none."""
    file = path.parent / ARRAYS if path.name == "law.toml" else path.with_suffix(".npz")
    return file if file.is_file() else None


def digest_of(text: bytes, arrays: Path | None) -> str:
    """Return the first 12 hex digits of the sha256 over a law file and its arrays.

    **Raises:** `OSError` where the arrays cannot be read.
    """
    digest = hashlib.sha256(text)
    if arrays is not None:
        digest.update(arrays.read_bytes())
    return digest.hexdigest()[:12]


class Law:
    """One law, immutable.

    - `spec`: the file's tables; `text` its bytes; `digest` the first 12 hex digits of the sha256 over file and arrays.
    - `path`: where it was read; `arrays`: its draws or grid.
    - `inputs`: long form of the inputs by quantity; `gives`: the quantities it chooses or outputs.

    **Arguments:**

    - `mean`: reads and checks the formulas, when they are first asked for.
    """

    def __init__(
        self,
        spec: LawSpec,
        mean: Callable[[LawSpec], Meaning],
        *,
        text: bytes,
        digest: str,
        path: Path | None,
        arrays: Path | None,
    ) -> None:
        self.spec: Final = spec
        self.text: Final = text
        self.digest: Final = digest
        self.path: Final = path
        self.arrays: Final = arrays
        self._mean = mean
        self.id: Final = spec.id
        self.version: Final = spec.version
        self.exact: Final = spec.exact
        """Whether the law is computed in rationals."""
        self.inputs: Final[Mapping[str, InputSpec]] = {item.quantity: item for item in spec.input_specs()}
        self.chosen: Final[tuple[str, ...]] = tuple(spec.decision.choose) if spec.decision else ()
        self.gives: Final[tuple[str, ...]] = tuple(dict.fromkeys((*self.chosen, *spec.output_specs())))
        self.address: Final = f"{spec.id}@{spec.version}+{digest}"
        self.only_given: Final = frozenset(item.known or name for name, item in self.inputs.items() if item.given)
        """Quantities that the law takes from a question alone, not from other laws."""
        self.over_steps: Final = any(item.of is not None for item in self.inputs.values())
        """Whether the law has inputs over the steps of a schedule."""
        self.derived: Final[dict[Any, Any]] = {}
        """What other rooms derive from the law, each under keys of its own."""

    def unchanged(self) -> bool:
        """Return whether the files that the law was read from hold what they held then."""
        if self.path is None:
            return False
        try:
            text = self.path.read_bytes()
            beside = arrays_beside(self.path) if self.spec.grid is None else self.arrays
            return beside == self.arrays and digest_of(text, self.arrays) == self.digest
        except OSError:
            return False

    def __repr__(self) -> str:
        return f"Law({self.address!r})"

    @ft.cached_property
    def meaning(self) -> Meaning:
        """Return what the formulas say.

        **Raises:** `LawError` naming table and key.
        """
        return self._mean(self.spec)

    @ft.cached_property
    def namespace(self) -> Namespace:
        """Return the names of the law."""
        return self.meaning.namespace

    @ft.cached_property
    def outputs(self) -> Mapping[str, tuple[Formula, str | None]]:
        """Return the formulas of the outputs by quantity, with the index they go over."""
        return self.meaning.outputs

    @ft.cached_property
    def optimum(self) -> Mapping[str, Formula]:
        """Return the closed forms of the decision by quantity."""
        return self.meaning.optimum

    @ft.cached_property
    def cases(self) -> tuple[tuple[Formula, str, str], ...]:
        """Return the cases: condition, status and words."""
        return self.meaning.cases

    def quantity(self, name: str) -> Quantity:
        """Return a quantity that the law uses, its own ones included."""
        return self._quantities[name]

    @ft.cached_property
    def _quantities(self) -> Mapping[str, Quantity]:
        # without the formulas, which not every question that comes by this law needs
        return quantities_of(self.spec)

    @property
    def arithmetic(self) -> Backend:
        """Return the arithmetic of one point: floats, rationals for an exact law, arrays for one over the steps of a schedule."""
        if self.over_steps:
            return numpy_backend()
        return RATIONALS if self.exact else FLOATS

    @ft.cached_property
    def point(self) -> Program:
        """Return the law compiled for one point."""
        return self.program(self.arithmetic)

    def program(self, backend: Backend) -> Program:
        """Return the law compiled for a backend, once."""
        return _program(self, backend)

    def function(self, text: str, backend: Backend, *, table: str, key: str) -> Function:
        """Return a formula of the law's names that is one value, compiled.

        **Raises:** `LawError` naming table and key.
        """
        return unroll(self.namespace, self.namespace.formula(text, table=table, key=key), backend, ())

    def formulas(self) -> dict[str, str]:
        """Return what the law gives, as text: its outputs and the closed forms of its decision."""
        return {name: formula.text for name, formula in self.optimum.items()} | {
            name: formula.text for name, (formula, _) in self.outputs.items()
        }

    def _formula(self, name: str) -> Formula:
        """Return the formula of an output, a let, or the closed form of a chosen quantity."""
        if name in self.optimum:
            return self.optimum[name]
        return self.outputs[name][0] if name in self.outputs else self.namespace.lets[name]

    def text_of(self, name: str) -> str:
        """Return the text of a formula by the name that it defines."""
        return self._formula(name).text

    def words_of(self, name: str) -> frozenset[str]:
        """Return the names that a formula uses."""
        return frozenset(names_in(self._formula(name).tree))

    def lets_behind(self, names: Iterable[str]) -> list[str]:
        """Return the lets that formulas rest on, those used first coming first."""
        found: dict[str, None] = {}
        queue = list(names)
        for name in queue:
            for word in names_in(self._formula(name).tree):
                if word in self.namespace.lets and word not in found:
                    found[word] = None
                    queue.append(word)
        return list(found)

    @ft.cached_property
    def latex(self) -> dict[str, str]:
        """Return outputs, closed forms and lets as LaTeX equations, with the letters of the vocabulary."""
        symbols = {name: self.quantity(name).symbol for name in {*self.inputs, *self.gives}}
        names = (*self.optimum, *self.outputs, *self.namespace.lets)
        return {
            name: f"{symbols.get(name) or latex_name(name)} = {latex(self._formula(name).tree, symbols)}"
            for name in names
        }

    def citation(self) -> Citation:
        """Return the source of the law."""
        source = self.spec.source
        return Citation(
            law=self.address,
            title=source.title,
            authors=source.authors,
            year=source.year,
            arxiv=source.arxiv,
            doi=source.doi,
            where=source.where,
            checked=self.spec.checked,
            bibtex=source.bibtex.strip() or self._bibtex(),
        )

    def _bibtex(self) -> str:
        source = self.spec.source
        fields = {
            "title": source.title,
            "author": source.authors.replace(", ", " and "),
            "year": str(source.year or ""),
            "eprint": source.arxiv or "",
            "archivePrefix": "arXiv" if source.arxiv else "",
            "doi": source.doi or "",
        }
        lines = ",\n".join(f"  {key} = {{{value}}}" for key, value in fields.items() if value)
        return f"@misc{{{self.id},\n{lines}\n}}"

    def summary(self) -> LawSummary:
        """Return the line of the law in a list, wherever it was found."""
        return LawSummary(
            id=self.id,
            version=self.version,
            address=self.address,
            title=self.spec.title,
            kind=self.spec.kind,
            status=self.spec.status,
            checked=self.spec.checked,
            inputs=list(self.inputs),
            outputs=list(self.gives),
            shelf="",
        )

    def record(self) -> LawRecord:
        """Return the law whole."""
        return LawRecord(
            summary=self.summary(),
            formulas=self.formulas() | dict(self.spec.let),
            latex=self.latex,
            domain={name: list(seen) for name, seen in self.spec.domain.items()},
            citation=self.citation(),
            notes=self.spec.notes.strip(),
            evidence=_plain(self.spec.evidence),
            examples=[_plain(example) or {} for example in self.spec.examples],
            text=self.text.decode(),
        )


@derived
def _program(law: Law, backend: Backend) -> Program:
    number = backend.number
    constants = {name: number(repr(value)) for name, value in law.spec.constants.items()}
    tables = {name: _exact_table(table, number) for name, table in law.namespace.tables.items()}
    return compile_program(law.meaning, backend, constants=constants | tables)


def numpy_environment(law: Law, values: Mapping[str, object]) -> Environment:
    """Return an environment of the law over numpy: constants, tables, and `values` over them."""
    return law.program(numpy_backend()).environment(values)


def _plain(spec: object) -> dict[str, Any] | None:
    return msgspec.to_builtins(spec) if spec is not None else None


def _exact_table(table: Any, number: Any) -> Any:
    """Return a table with its entries as the backend's numbers; curves stay floats."""
    if is_table(table):
        return {key: _exact_table(entry, number) for key, entry in table.items()}
    if is_tuple(table):
        return tuple(number(repr(float(entry))) for entry in table)
    return number(repr(table)) if isinstance(table, int | float) else table
