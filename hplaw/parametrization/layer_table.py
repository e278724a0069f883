"""The table of a parametrization at a size: every kind of layer, or every named weight of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from msgspec import structs

from hplaw.answer.muon import ADAMW, check_optimizers, muon_ratio
from hplaw.errors import ConflictingQuery
from hplaw.law import Law
from hplaw.messages.parametrization import AbcRequest, Decay, LayerRow, LayerTable, ParametrizeRequest, WeightRow
from hplaw.parametrization.abc_regime import ROLES, adam_like, classify, largest_rates
from hplaw.parametrization.factors import KINDS, LayerKind, LayerRule, factors, find_parametrization, layer_rule
from hplaw.parametrization.named_weights import NamedWeight, named_weights, sizes_of
from hplaw.vocabulary.names import folded


CONVENTIONS: Mapping[Decay, str] = {
    "coupled": "each step shrinks a weight by its rate times its decay, as in PyTorch's AdamW",
    "independent": "each step shrinks a weight by its decay alone, whatever its rate",
}
"""What a weight decay means, in words."""

MOST = 1e6
"""Largest ratio of a size to the base's."""

_ROLES: Mapping[LayerKind, str] = {"hidden": "hidden", "output": "output"}
"""The role in an abc-parametrization of a kind of layer; all others are the input's."""


def parametrize(request: ParametrizeRequest) -> LayerTable:
    """Return the table that a request asks for.

    **Raises:** `QueryError` naming the field at fault: an unknown scheme or optimizer, sizes that are missing or whose
    ratio is out of bounds, a model whose names are not known.

    >>> parametrize(ParametrizeRequest(width=2048.0, base_width=256.0)).layers[2].rate
    0.125
    """
    before = None if request.from_optimizer is None else folded(request.from_optimizer)
    request = structs.replace(request, optimizer=folded(request.optimizer), from_optimizer=before)
    law = find_parametrization(request.scheme)
    check_optimizers(request.optimizer, before, request.muon_scale)
    width, depth, head = _ratios(request)
    table = _Table(law, request, depth)
    whole = factors(request.scheme, request.optimizer, width=width, depth=depth, head=head)
    return LayerTable(
        scheme=law.id.removeprefix("parametrization-"),
        title=law.spec.title,
        law=law.address,
        optimizer=request.optimizer,
        from_optimizer=None if before == request.optimizer else before,
        muon_scale=request.muon_scale if request.optimizer == "muon" else None,
        width_multiplier=width,
        depth_multiplier=depth,
        head_multiplier=head,
        decay=request.decay,
        convention=CONVENTIONS[request.decay],
        regime=_regime(law, request),
        branch_factor=whole["branch_factor"],
        attention_factor=whole["attention_factor"],
        layers=[table.row(kind, width) for kind in KINDS],
        weights=table.weights(width, head),
        citation=law.citation(),
    )


def _ratios(request: ParametrizeRequest) -> tuple[float, float, float]:
    """Return the size over the base's in width, depth and head.

    **Raises:** `QueryError` where a size or its base is missing, or said twice.
    """
    own: dict[str, float | None] = {}
    base: dict[str, float | None] = {}
    for config, into, prefix in ((request.config, own, ""), (request.base_config, base, "base_")):
        given = {name: getattr(request, f"{prefix}{name}") for name in ("width", "depth", "d_head")}
        if config is None:
            into.update(given)
            continue
        twice = next((f"{prefix}{name}" for name, value in given.items() if value is not None), "")
        if twice:
            message = f"{twice} and {prefix}config both say it; give one of them"
            raise ConflictingQuery(message, field=twice)
        sizes = sizes_of(config)
        into.update(width=sizes["width"], depth=sizes["layers"], d_head=sizes["d_head"])
    if request.base_config is not None and request.config is None:
        message = "base_config needs config, the model that it is the base of; give both"
        raise ConflictingQuery(message, field="config")
    if request.config is not None and request.base_config is None:
        # with widths alone the base has heads of the same size, and is as deep unless it says otherwise
        base["depth"] = base["depth"] or own["depth"]
        base["d_head"] = base["d_head"] or own["d_head"]
    found: list[float] = []
    for name in ("width", "depth", "d_head"):
        size, of = own[name], base[name]
        if size is None and of is None and name != "width":
            found.append(1.0)
        elif size is None or of is None:
            missing = f"base_{name}" if of is None and size is not None else name
            message = f"{missing} is missing: factors are over a base model that was tuned; give width and base_width, or a config and base_width"
            raise ConflictingQuery(message, field=missing)
        elif not 1 / MOST <= size / of <= MOST:
            message = f"{name}={size:g} is {size / of:.3g} times base_{name}={of:g}; give sizes of a ratio from {1 / MOST:g} to {MOST:g}"
            raise ConflictingQuery(message, field=name)
        else:
            found.append(size / of)
    width, depth, head = found
    return width, depth, head


_Arrays = tuple[tuple[float, float], tuple[float, float]]
"""Rows and columns of a matrix as it is stored, and of the base model's."""


def _two(shape: Sequence[int]) -> tuple[float, float]:
    return float(shape[0]), float(shape[1])


class _Table:
    """The rows of one request."""

    def __init__(self, law: Law, request: ParametrizeRequest, depth: float) -> None:
        self.law, self.request, self.depth = law, request, depth
        self.init_std = request.init_std
        self.size = request.width or sizes_of(request.config or {})["width"]
        for config in (request.base_config, request.config):
            stated = (config or {}).get("initializer_range")
            if self.init_std is None and isinstance(stated, int | float) and stated > 0:
                self.init_std = float(stated)

    def row(
        self, kind: LayerKind, width: float, fan_out: float | None = None, arrays: _Arrays | None = None
    ) -> LayerRow:
        """Return the row of a kind of layer; `arrays` are the shape of its weight and of the base's, square if not given."""
        request = self.request
        rule = layer_rule(
            kind,
            parametrization=request.scheme,
            optimizer=request.optimizer,
            width=width,
            depth=self.depth,
            fan_out=fan_out,
        )
        if request.alignment is not None:
            if request.optimizer == "muon":
                message = "alignment has no rule for muon; leave it out, or give another optimizer"
                raise ConflictingQuery(message, field="alignment")
            rule = self._aligned(kind, rule, width)
        if request.optimizer == "muon" and kind == "hidden":
            rule = self._on_scale(rule, arrays or ((self.size, self.size), (self.size / width, self.size / width)))
        decay = rule.decay if request.decay == "coupled" else rule.rate * rule.decay
        drawn = kind not in ("vector", "block_vector")  # biases start at zero, gains at one
        return LayerRow(
            kind=kind,
            init=rule.init,
            multiplier=rule.multiplier,
            rate=rule.rate,
            decay=decay,
            epsilon=rule.epsilon,
            init_std=_times(self.init_std, rule.init) if drawn else None,
            peak_lr=_times(request.peak_lr, rule.rate),
            weight_decay=_times(request.weight_decay, decay),
            adam_epsilon=_times(request.adam_epsilon, rule.epsilon),
        )

    def _on_scale(self, rule: LayerRule, arrays: _Arrays) -> LayerRule:
        """Return the rule of a matrix for Muon on the scale asked for, over the base's rate; rate times decay stays as it was.

        The rules of parametrizations are those of the original scale; a rate of AdamW is taken over at the base's shape.
        """
        request, rate = self.request, rule.rate
        shape, base = arrays
        if request.from_optimizer in ADAMW or request.muon_scale == "match_rms_adamw":
            rate *= muon_ratio(*base)
        if request.muon_scale == "match_rms_adamw":
            rate /= muon_ratio(*shape)
        return structs.replace(rule, rate=rate, decay=rule.decay * rule.rate / rate)

    def _aligned(self, kind: LayerKind, rule: LayerRule, width: float) -> LayerRule:
        """Return a rule with the largest rate that an alignment allows; rate times decay stays as it was over width."""
        request = self.request
        c = largest_rates(_abc(self.law, request))[_ROLES.get(kind, "input")]
        base = layer_rule(kind, parametrization=request.scheme, optimizer=request.optimizer, depth=self.depth)
        by_width = width ** -float(c)
        return structs.replace(rule, rate=base.rate * by_width, decay=base.decay / by_width)

    def weights(self, width: float, head: float) -> list[WeightRow]:
        """Return the rows of a config's weights, or none; without a base's config all widths grow alike."""
        request = self.request
        if request.config is None:
            return []
        sizes = sizes_of(request.config)
        if request.base_config is not None:
            base = sizes_of(request.base_config)
            ratios = {name: size / base[name] for name, size in sizes.items()}
        else:
            ratios = {**dict.fromkeys(sizes, width), "d_head": head}
        rows: list[WeightRow] = []
        for weight in named_weights(request.config):
            row = self._named(weight, sizes, ratios)
            if weight.tied_to:
                table = next(found.row for found in rows if found.name == weight.tied_to)
                # the readout's own deviation goes into its multiplier
                row = structs.replace(table, kind=row.kind, multiplier=row.multiplier * row.init)
            rows.append(
                WeightRow(
                    name=weight.name, count=weight.count, shape=weight.shape(sizes), row=row, tied_to=weight.tied_to
                )
            )
        return rows

    def _named(self, weight: NamedWeight, sizes: Mapping[str, float], ratios: Mapping[str, float]) -> LayerRow:
        if weight.kind == "hidden":
            shape, base = weight.shape(sizes), weight.shape({name: sizes[name] / ratios[name] for name in sizes})
            return self.row(weight.kind, ratios[weight.ins], ratios[weight.outs], (_two(shape), _two(base)))
        return self.row(weight.kind, ratios[weight.ins if weight.kind == "output" else weight.outs])


def _times(base: float | None, factor: float) -> float | None:
    return None if base is None else base * factor


def _exponents(law: Law, table: str) -> dict[str, float | str]:
    """Return exponents of a parametrization by role, as fractions are written."""
    kinds = law.namespace.scope.indices["layer_kind"]
    values: tuple[float, ...] = law.namespace.tables[table]
    by_kind = dict(zip(kinds, values, strict=True))
    return {role: str(Fraction(by_kind[role])) for role in ROLES}


def _abc(law: Law, request: ParametrizeRequest) -> AbcRequest:
    adam = adam_like(request.optimizer)
    return AbcRequest(
        a=_exponents(law, "a"),
        b=_exponents(law, "b"),
        c=_exponents(law, "c_adam" if adam else "c_sgd"),
        optimizer="adam" if adam else "sgd",
        alignment=1.0 if request.alignment is None else request.alignment,
    )


def _regime(law: Law, request: ParametrizeRequest) -> str | None:
    if request.optimizer == "muon":
        return None  # no theorem is at hand for orthogonal updates
    asked = _abc(law, request)
    if request.alignment is not None:
        asked = structs.replace(asked, c={role: str(c) for role, c in largest_rates(asked).items()})
    return classify(asked).regime
