"""Sweep files, trials and their keys, packs and costs."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, strategies as st

import hplaw_experiments
from hplaw.errors import DataError
from hplaw_experiments.sweep.defaults import defaults_taken
from hplaw_experiments.sweep.plan import cost_of, given_fields, make_packs, make_trials, read_spec, space_of
from hplaw_experiments.sweep.space import enumerate_points
from hplaw_experiments.trial import TRACED, SweepSpec, Trial, key, shape_key, steps


SPECS = [
    *(Path(__file__).resolve().parents[2] / "experiments" / "specs").glob("*.toml"),
    *(Path(hplaw_experiments.__file__).parent / "presets").glob("*.toml"),
]
SMALL = """
name = "small"
seeds = [0, 1]
[model]
family = "mlp"
width = 16
[data]
source = "digits"
[training]
steps = 20
[space]
peak_lr = { log_grid = [1e-3, 1e-1, 3] }
batch_tokens = [16, 64]
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "sweep.toml"
    file.write_text(text)
    return file


def trials_of(spec: SweepSpec) -> list[Trial]:
    return make_trials(spec, enumerate_points(space_of(spec)))


def test_a_sweep_file_becomes_trials(tmp_path: Path) -> None:
    trials = trials_of(read_spec(write(tmp_path, SMALL)))
    assert len(trials) == 12
    assert {steps(trial) for trial in trials} == {20}
    assert [trial.seed for trial in trials] == [0] * 6 + [1] * 6


def test_changing_a_seed_adds_trials(tmp_path: Path) -> None:
    first = {key(t) for t in trials_of(read_spec(write(tmp_path, SMALL)))}
    more = {key(t) for t in trials_of(read_spec(write(tmp_path, SMALL.replace("[0, 1]", "[0, 2]"))))}
    assert len(first) == len(more) == 12
    assert len(first & more) == 6


@given(st.sampled_from(sorted(set(Trial.__struct_fields__) - {"curve_points"})))
def test_every_field_that_matters_enters_the_key(name: str) -> None:
    trial = Trial(tokens=1e4, batch_tokens=32, peak_lr=1e-3)
    other = {
        "family": "convnet",
        "precision": "bf16",
        "data_options": {"a": 1},
        "activation": "gelu",
        "parametrization": "mup",
        "data": "bytes",
        "optimizer": "sgd",
        "schedule": "wsd",
        "schedule_law": "uba",
    }
    value = getattr(trial, name)
    changed = msgspec.structs.replace(
        trial,
        **{
            name: other.get(
                name, (not value) if isinstance(value, bool) else value * 2 + 1 if name not in other else None
            )
        },
    )
    assert key(changed) != key(trial)
    assert (shape_key(changed) == shape_key(trial)) is (name in TRACED)


def test_the_key_stays_what_it_was() -> None:
    # stored runs are found by it: change KEY_VERSION when this must change
    trial = Trial(tokens=1e4, batch_tokens=32, peak_lr=1e-3)
    assert key(trial) == key(msgspec.json.decode(msgspec.json.encode(trial), type=Trial))
    assert key(trial)[:16] == "c2fff317c8baebb0"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("peak_lr =", "peek_lr ="), "peak_lr"),
        (("steps = 20", ""), "exactly one of tokens"),
        (("steps = 20", "steps = 20\ntokens = 5"), "tokens and steps"),
        (("width = 16", 'width = "wide"'), "width"),
        (("[0, 1]", "[]"), "seeds"),
        (("name =", "nam ="), "no sweep file"),
        (("[16, 64]", "[0, 64]"), "positive"),
        (("[16, 64]", "{ choise = [1] }"), "choice"),
        (('name = "small"', "name = "), "no sweep file"),
    ],
)
def test_a_bad_sweep_file_is_refused_by_name(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    with pytest.raises(DataError, match=says) as caught:
        read_spec(write(tmp_path, SMALL.replace(*change)))
    assert "sweep.toml" in str(caught.value)


def test_packs_hold_one_shape_and_like_lengths(tmp_path: Path) -> None:
    text = SMALL.replace("steps = 20", "").replace("[16, 64]", "[16, 64]\nsteps = [20, 30, 90]")
    trials = trials_of(read_spec(write(tmp_path, text)))
    packs = make_packs(trials, width=4)
    assert sorted(key(t) for pack in packs for t in pack) == sorted(key(t) for t in trials)
    for pack in packs:
        assert len(pack) <= 4
        assert len({shape_key(t) for t in pack}) == 1
        assert max(map(steps, pack)) <= 2 * min(map(steps, pack))


def test_a_cost_adds_up(tmp_path: Path) -> None:
    trials = trials_of(read_spec(write(tmp_path, SMALL)))
    packs = make_packs(trials)
    cost = cost_of(packs, flop=lambda t: t.tokens, rate=lambda t: 100.0, power_w=3.0)
    assert cost.trials == 12
    assert cost.training_flop == sum(t.tokens for t in trials)
    assert cost.energy_j == pytest.approx(3 * cost.seconds)
    assert cost_of(packs, flop=lambda t: t.tokens).seconds is None


@pytest.mark.parametrize("file", sorted(SPECS), ids=lambda file: file.stem)
def test_shipped_sweeps_read(file: Path) -> None:
    assert read_spec(file).name == file.stem


# What a sweep does not say

LANGUAGE = """
name = "context"
[model]
family = "transformer"
width = 16
[data]
source = "language"
[training]
steps = 4
[space]
peak_lr = [1e-3, 1e-2]
batch_tokens = [512, 1024]
"""


@pytest.mark.parametrize(
    ("batches", "context"),
    [("[512, 1024]", 256), ("[128, 1024]", 128), ("[96, 480]", 32), ("{ grid = [64, 128, 2] }", 64), ("640", 128)],
)
def test_transformers_have_one_context_that_divides_every_batch(tmp_path: Path, batches: str, context: int) -> None:
    spec = read_spec(write(tmp_path, LANGUAGE.replace("[512, 1024]", batches)))
    trials = trials_of(spec)
    assert {trial.seq_len for trial in trials} == {context}
    given = read_spec(
        write(tmp_path, LANGUAGE.replace("[512, 1024]", batches).replace("[data]", f"seq_len = {context}\n[data]"))
    )
    assert [key(trial) for trial in trials_of(given)] == [key(trial) for trial in trials]


@pytest.mark.parametrize(
    ("batches", "says"), [("[100, 512]", "give seq_len"), ("{ range = [64.5, 128] }", "batch_tokens")]
)
def test_batches_without_a_common_context_are_refused(tmp_path: Path, batches: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read_spec(write(tmp_path, LANGUAGE.replace("[512, 1024]", batches)))


def test_a_context_that_is_given_and_a_classifier_keep_their_keys(tmp_path: Path) -> None:
    short = read_spec(write(tmp_path, LANGUAGE.replace("[data]", "seq_len = 1\n[data]")))
    assert {trial.seq_len for trial in trials_of(short)} == {1}
    trial = trials_of(read_spec(write(tmp_path, SMALL)))[0]
    assert key(trial) == key(Trial(width=16, tokens=320, batch_tokens=16, peak_lr=1e-3))


def test_every_default_that_matters_is_listed(tmp_path: Path) -> None:
    spec = read_spec(write(tmp_path, LANGUAGE))
    found = defaults_taken(trials_of(spec), given_fields(spec))
    assert (found["seq_len"], found["d_ff"], found["schedule"], found["vocab_size"]) == ("256", "48", "cosine", "256")
    absent = {"width", "peak_lr", "tokens", "momentum", "activation", "decay_fraction", "parametrization"}
    assert not absent & set(found)
    small = read_spec(write(tmp_path, SMALL))
    assert not {"seq_len", "d_ff", "n_heads"} & set(defaults_taken(trials_of(small), given_fields(small)))
