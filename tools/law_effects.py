"""What each law changes: the first command of a table whose answer is another one without it, with both numbers.

`law_table.py` writes them into docs/laws.md. Nothing is looked up: an answer is that of the whole catalogue, and of one
without the law.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from hplaw.catalogue.catalogue import Catalogue
from hplaw.catalogue.listing import known_quantities
from hplaw.cli.query_options import OPTIONS, Asked, query_of
from hplaw.energy.device import LAW, device_energy
from hplaw.errors import HplawError
from hplaw.formatting import add_unit, numbers
from hplaw.law import Law
from hplaw.layout.layouts import THROUGHPUT, layouts
from hplaw.layout.memory import MEMORY
from hplaw.messages.decode import decode
from hplaw.messages.device import DeviceEnergyRequest
from hplaw.messages.layout import LayoutRequest
from hplaw.messages.parametrization import ParametrizeRequest
from hplaw.messages.pruning import PruneRequest
from hplaw.messages.schedule import ScheduleRequest
from hplaw.messages.transfer import TransferRequest
from hplaw.parametrization.layer_table import parametrize
from hplaw.pruning.advice import prune_advice
from hplaw.recommendation.record import recommend
from hplaw.theory.batch_transfer import transfer
from hplaw.theory.schedules import schedule_curve


Values = dict[str, float | str]

DENSE = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
}
MIXTURE = {
    "model_type": "mixtral",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
    "vocab_size": 32000,
    "max_position_embeddings": 32768,
}
MODELS = {"llama.json": DENSE, "mixtral.json": MIXTURE}
"""The configurations that commands name: Llama 3 8B and Mixtral 8x7B."""

PLAIN = "--params 7B --tokens 1.4T"
EXPERTS = "--params 10B --tokens 1T --experts 64 --experts-active 4"
SMALL = "--params 1B --tokens 100B"

QUESTIONS = (
    PLAIN,
    f"{EXPERTS} --granularity 8",
    EXPERTS,
    f"{PLAIN} --hardware h100-sxm --country FR",
    "--model llama.json --tokens 1T",
    "--model mixtral.json --tokens 1T",
    f"{EXPERTS} --active-params 1.3B",
    "--active-params 1B --tokens 1T --experts 64 --experts-active 8",
    "--flops 1e22",
    "--flops 1e22 --params 1B",
    "--flops 1e22 --tokens 1T",
    "--hardware h100-sxm --devices 64 --days 14 --given mfu=0.5",
    f"{SMALL} --unique-tokens 10B",
    *(f"{SMALL} --precision {precision}" for precision in ("fp8", "fp4", "int8")),
    f"{SMALL} --serve-precision int4",
    f"{SMALL} --hardware h100-sxm --serve-tokens 1T",
    "--params 400M --tokens 8B --recipe step-law",
    "--params 2.15B --active-params 300M --tokens 4B --recipe step-law",
    "--params 400M --tokens 8B --recipe marin-adamw",
    f"{SMALL} --recipe practice",
    *(
        f"--tuned-base batch=256,lr=1e-3 --batch-tokens 1024 --optimizer {optimizer}"
        for optimizer in ("adamw", "sgd", "momentum")
    ),
    "--tuned-base width=256,lr=3e-3 --width 4096 --scheme mup",
)
"""Questions of `hplaw recommend`, the plainest first."""

SETTINGS = (SMALL, EXPERTS, f"{PLAIN} --hardware h100-sxm", "--model llama.json --tokens 1T")
"""Questions that are asked for a quantity that the law gives."""

LONGEST = 140
"""Characters that a command of the table may have."""

ANSWERED = ("peak_lr", "batch_tokens", "loss", "weight_decay")
"""Quantities that are shown rather than others that a law gives, too."""


class Effect(NamedTuple):
    """A command and what it answers of one quantity, with and without a law."""

    command: str
    quantity: str
    value: str
    without: str
    how: str = "without it"

    @property
    def text(self) -> str:
        """Return the cell of the table."""
        return f"`{self.command}`: {self.quantity} {self.value}, {self.how} {self.without}"


class Answers:
    """Answers of a catalogue to commands, each worked out once; those without a law by the command and the law."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._whole: dict[str, tuple[Values, frozenset[str]]] = {}

    def whole(self, words: str) -> tuple[Values, frozenset[str]]:
        """Return the values of a question and the ids of the laws behind them."""
        if words not in self._whole:
            self._whole[words] = _recommended(words, self.catalogue)
        return self._whole[words]

    def lacking(self, law: Law) -> Catalogue:
        """Return the catalogue without a law."""
        return Catalogue([(other, self.catalogue.shelf(other)) for other in self.catalogue.laws if other is not law])


def effects(catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    """Yield each law by its id with the cell that says what it changes."""
    answers = Answers(catalogue)
    for law in catalogue.laws:
        yield law.id, effect_text(law, answers)


def effect_text(law: Law, answers: Answers) -> str:
    """Return what a law changes, or why it changes nothing."""
    # a measured law is best shown beside what comes before it, a rule of theory by an example of its own
    last = (_worked, _preferred) if law.spec.status == "theory" else (_preferred, _worked)
    for search in (_asked, _commanded, _wanted, *last):
        found = search(law, answers)
        if found is not None:
            return found.text
    if law.spec.kind == "procedure":
        return f"no answer: a procedure of the library, `{law.spec.call}`"
    before = _before(law, answers)
    if before is not None:
        return f"an alternative only: `{before}` comes before it and gives the same to three digits"
    return f"no answer: a formula for `hplaw evaluate {law.id}`"


def _asked(law: Law, answers: Answers) -> Effect | None:
    """Return the first plain question that the law is behind and that has another answer without it."""
    return next((found for words in QUESTIONS if (found := _question(law, words, answers))), None)


def _wanted(law: Law, answers: Answers) -> Effect | None:
    """Return the first question for a quantity that the law gives."""
    questions = (f"{words} --want {name}" for name in answers.catalogue.gives(law) for words in SETTINGS)
    return next((found for words in questions if (found := _question(law, words, answers))), None)


def _worked(law: Law, answers: Answers) -> Effect | None:
    """Return the question of the law's own example, as it would be asked of all laws."""
    return next((found for words in _examples(law) if (found := _question(law, words, answers))), None)


def _examples(law: Law) -> Iterator[str]:
    for example in law.spec.examples:
        given = {name: value for name, value in example.given.items() if isinstance(value, int | float | str)}
        if len(given) == len(example.given) and example.expect:
            pairs = " ".join(f"{name}={_written(value)}" for name, value in given.items())
            words = f"--given {pairs} --want {next(iter(example.expect))}"
            if len(words) <= LONGEST:
                yield words


def _preferred(law: Law, answers: Answers) -> Effect | None:
    """Return a question with the law preferred, and its answer without that."""
    wanted = (f"{words} --want {name}" for words in (SMALL, EXPERTS, PLAIN) for name in answers.catalogue.gives(law))
    for words in (PLAIN, SMALL, f"{PLAIN} --hardware h100-sxm", *wanted, *_examples(law)):
        plain, _ = answers.whole(words)
        found, used = answers.whole(f"{words} --law {law.id}")
        if law.id in used and (changed := _first(law, answers.catalogue, found, plain)):
            return Effect(f"hplaw recommend {words} --law {law.id}", *changed, how="without the option")
    return None


def _before(law: Law, answers: Answers) -> str | None:
    """Return the law that answers in place of one that could."""
    for name in answers.catalogue.gives(law):
        for words in SETTINGS:
            _, used = answers.whole(f"{words} --want {name} --law {law.id}")
            leading = answers.whole(f"{words} --want {name}")[1] & {one.id for one in answers.catalogue.givers[name]}
            if law.id in used and leading:
                return min(leading)
    return None


def _question(law: Law, words: str, answers: Answers) -> Effect | None:
    whole, used = answers.whole(words)
    if law.id not in used:
        return None
    without, _ = _recommended(words, answers.lacking(law))
    changed = _first(law, answers.catalogue, whole, without)
    return changed and Effect(f"hplaw recommend {words}", *changed)


def _commanded(law: Law, answers: Answers) -> Effect | None:
    """Return the first other command whose answer changes."""
    for command, ask in COMMANDS.items():
        whole = _tried(ask, answers.catalogue)
        carries = command.startswith(TRANSFER) and any(name.startswith("base_") for name in law.inputs)
        if not carries and not any(name.endswith(f" by {law.id}") for name in whole):
            continue
        changed = _first(law, answers.catalogue, whole, _tried(ask, answers.lacking(law)))
        if changed:
            quantity, value, without = changed
            return Effect(f"hplaw {command}", quantity.partition(" by ")[0], value, without)
    return None


def _first(law: Law, catalogue: Catalogue, whole: Values, without: Values) -> tuple[str, str, str] | None:
    """Return the first value that differs in what is shown of it, those that the law gives before others."""
    gives = catalogue.gives(law)
    first = dict.fromkeys((*(name for name in ANSWERED if name in gives), *gives))
    rank = {name: place for place, name in enumerate(first)}
    words = known_quantities(catalogue)
    for name in sorted(whole, key=lambda name: rank.get(name.partition(" by ")[0], len(rank))):
        unit = words[name].unit if name in words else "1"
        with_it, without_it = (_shown(values.get(name), unit) for values in (whole, without))
        if with_it != without_it:
            return name, with_it, without_it
    return None


def _recommended(words: str, catalogue: Catalogue) -> tuple[Values, frozenset[str]]:
    """Return the values that `hplaw recommend` answers, and the laws behind them; nothing where it refuses."""
    try:
        found = recommend(_query(words), catalogue)
    except HplawError:
        return {}, frozenset()
    values: Values = {name: one.value for name, one in found.answers.items() if isinstance(one.value, float | str)}
    laws = [str(one.law) for one in found.answers.values() if one.value is not None]
    laws += [step.law for one in found.answers.values() if one.value is not None for step in one.derivation]
    return values, frozenset(map(_id, laws))


def _query(words: str) -> Any:
    """Return the query of the options of `hplaw recommend`; a model is one of `MODELS`."""
    fields: dict[str, Any] = {}
    names = {f"--{option.replace('_', '-')}": option for option in (*OPTIONS.values(), "given", "want", "law", "model")}
    option = ""
    for word in shlex.split(words):
        if word in names:
            option = names[word]
        elif option in ("given", "want", "law"):
            fields.setdefault(option, []).append(word)
        else:
            fields[option] = word
    model = fields.pop("model", None)
    query = query_of(Asked(**fields))
    return (
        query if model is None else type(query)(**{name: getattr(query, name) for name in FIELDS}, model=MODELS[model])
    )


FIELDS = ("tokens", "given", "want", "laws")
"""Fields of the questions that have a model."""


def _tried(ask: Callable[[Catalogue], Mapping[str, Any]], catalogue: Catalogue) -> Values:
    try:
        return {name: value for name, value in ask(catalogue).items() if isinstance(value, float | str)}
    except HplawError:
        return {}


def _transferred(optimizer: str, **given: float) -> Callable[[Catalogue], Values]:
    def ask(catalogue: Catalogue) -> Values:
        fields = {"peak_lr": 3e-4, "batch_tokens": 256.0, "to_batch_tokens": 2048.0}
        found = transfer(decode_fields({**fields, "optimizer": optimizer, "given": given}, TransferRequest), catalogue)
        return {
            f"{name} by {_id(rule.law)}": value
            for rule in found.rules
            for name, value in {**rule.follows, **rule.values}.items()
        }

    return ask


def _scheduled(name: str, **given: float) -> Callable[[Catalogue], Values]:
    def ask(catalogue: Catalogue) -> Values:
        fields = {"schedule": name, "total_steps": 1000.0, "given": given}
        law = catalogue.get(f"schedule-{name}")
        found = schedule_curve(decode_fields(fields, ScheduleRequest), catalogue)
        return {f"mean rate by {law.id}": found.mean_share}

    return ask


def _parametrized(scheme: str, behind: str = "", **fields: Any) -> Callable[[Catalogue], Values]:
    def ask(catalogue: Catalogue) -> Values:
        # the command takes shipped laws by their ids, so that without one there is no answer
        law = catalogue.get(behind or f"parametrization-{scheme}")
        found = parametrize(ParametrizeRequest(scheme=scheme, width=4096.0, base_width=256.0, **fields))
        if "classification" in law.id:
            return {f"regime by {law.id}": found.regime or ""}
        return {f"rate of hidden layers by {law.id}": float(found.layers[2].rate)}

    return ask


def _pruned(**fields: Any) -> Callable[[Catalogue], Values]:
    def ask(catalogue: Catalogue) -> Values:
        found: Any = prune_advice(decode_fields(fields, PruneRequest), catalogue)
        behind = fields.get("map", "pruning-regime" if "lmc" in fields else "pruning-preresnet20-cifar10")
        answer: Values = {f"regime by {behind}": found.regime}
        change = found.error_change
        return answer if change is None else {**answer, f"change of error by {_id(change.law)}": change.value}

    return ask


def decode_fields(fields: Mapping[str, Any], kind: type) -> Any:
    """Return fields as a request of a kind, as a body would be."""
    return decode(msgspec.json.encode(fields), kind)


PROBES = (
    {"batch_samples": 16, "power_limit_w": 300, "energy_per_sample_j": 0.925, "time_per_sample_s": 0.00384},
    {"batch_samples": 256, "power_limit_w": 300, "energy_per_sample_j": 0.706, "time_per_sample_s": 0.003},
    {"batch_samples": 256, "power_limit_w": 125, "energy_per_sample_j": 0.946, "time_per_sample_s": 0.00753},
)
"""Three settings of a GPU, as docs/energy.md has them in probes.csv."""


def _metered(catalogue: Catalogue) -> Values:
    found = device_energy(decode_fields({"probes": PROBES}, DeviceEnergyRequest), catalogue).least_energy
    return {f"power limit of minimum energy (W) by {LAW}": found.power_limit_w}


def _laid_out(catalogue: Catalogue) -> Values:
    best = layouts(LayoutRequest(n_params=7e10, devices=64.0, hardware="h100-sxm"), catalogue).layouts[0]
    return {
        f"memory of the best (GB) by {MEMORY}": best.device_bytes / 1e9,
        f"share of the peak by {THROUGHPUT}": best.utilization,
    }


TRANSFER = "transfer --lr 3e-4 --batch 256 --to-batch 2048"

MUP = "parametrize --scheme mup --base-width 256 --width 4096"

COMMANDS: dict[str, Callable[[Catalogue], Values]] = {
    TRANSFER: _transferred("adamw"),
    f"{TRANSFER} --optimizer sgd": _transferred("sgd"),
    f"{TRANSFER} --weight-decay 0.1": _transferred("adamw", base_weight_decay=0.1),
    f"{TRANSFER} --noise-scale 4096": _transferred("adamw", noise_scale_tokens=4096.0),
    f"{TRANSFER} --optimizer sgd --noise-scale 4096": _transferred("sgd", noise_scale_tokens=4096.0),
    f"{TRANSFER} --given surge_batch_tokens=4096": _transferred("adamw", surge_batch_tokens=4096.0),
    f"{TRANSFER} --given hessian_edge=10 hessian_noise=1e5": _transferred(
        "adamw", hessian_edge=10.0, hessian_noise=1e5
    ),
    f"{TRANSFER} --optimizer sgd --given hessian_edge=10 hessian_noise=1e5": _transferred(
        "sgd", hessian_edge=10.0, hessian_noise=1e5
    ),
    **{
        f"schedule {name}{''.join(f' --set {key}={_value:g}' for key, _value in given.items())}": _scheduled(
            name, **given
        )
        for name, given in {
            "constant": {},
            "cosine": {},
            "linear": {},
            "wsd": {"decay_steps": 200.0},
            "inverse-sqrt": {"warmup_steps": 100.0},
            "uba": {"uba_phi": 0.5},
            "cosine-power": {"cosine_power": 10.0},
        }.items()
    },
    **{
        f"{MUP.replace('mup', scheme)} --lr 1": _parametrized(scheme)
        for scheme in ("standard", "ntk", "mean-field", "mup", "depth-mup", "completep", "u-mup")
    },
    f"{MUP} --optimizer sgd": _parametrized("mup", "abc-classification", optimizer="sgd"),
    MUP: _parametrized("mup", "abc-classification-adam"),
    f"{MUP} --alignment 0.5": _parametrized("mup", "adam-lr-exponents", alignment=0.5),
    "device --probes probes.csv": _metered,
    "layout --params 70B --devices 64 --hardware h100-sxm": _laid_out,
    "prune-advice --density 0.1 --epochs 80": _pruned(density=0.1, epochs=80.0),
    "prune-advice --density 0.1 --epochs 80 --map pruning-digits-mlp": _pruned(
        density=0.1, epochs=80.0, map="pruning-digits-mlp"
    ),
    "prune-advice --lmc -0.2 --cka 0.8": _pruned(lmc=-0.2, cka=0.8),
}
"""Other commands than `recommend`, by the law behind each value."""


def _id(address: str) -> str:
    return address.partition("@")[0]


def _shown(value: float | str | None, unit: str) -> str:
    if value is None or isinstance(value, str):
        return value or "none"
    return add_unit(numbers([value], unit=unit, digits=3)[0], unit)


def _written(value: float | str) -> str:
    """Return a value as one would type it: 1.4e12, not 1400000000000."""
    if isinstance(value, str):
        return value
    plain, short = f"{value:.12g}", f"{value:.12e}"
    mantissa, _, power = short.partition("e")
    short = f"{mantissa.rstrip('0').rstrip('.')}e{int(power)}"
    return short if len(short) < len(plain) else plain.replace("e+", "e")
