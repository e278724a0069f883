"""The vocabulary: every quantity that laws, queries and run tables may name, declared once.

A number has a unit and bounds; a category has names. Laws are edges between quantities, so that a law
written by anybody speaks of the same `n_params` as a query does. A law file may add quantities of its own.
"""

from __future__ import annotations

import functools as ft
from collections.abc import Mapping

import msgspec


class Quantity(msgspec.Struct, frozen=True, kw_only=True):
    """One quantity: its letter, unit, bounds and meaning.

    **Arguments:**

    - `name`: the word used in laws, queries and tables, its unit in the name where it has one.
    - `symbol`: the field's letter, as LaTeX.
    - `unit`: `"1"` for a pure number, `""` for a category.
    - `meaning`: one line of plain words.
    - `low`, `high`: the least and the greatest value allowed; `open_low` and `open_high` say that they themselves are not.
    - `categories`: the names a category may take; empty where laws' tables say them.
    - `whole`: true for a count.
    """

    name: str
    symbol: str
    unit: str
    meaning: str
    low: float | None = None
    high: float | None = None
    open_low: bool = False
    open_high: bool = False
    categories: tuple[str, ...] = ()
    categorical: bool = False
    whole: bool = False


def _count(name: str, symbol: str, unit: str, meaning: str, high: float = 1e18) -> Quantity:
    return Quantity(name=name, symbol=symbol, unit=unit, meaning=meaning, low=1.0, high=high, whole=True)


def _positive(name: str, symbol: str, unit: str, meaning: str, high: float | None = 1e40) -> Quantity:
    return Quantity(name=name, symbol=symbol, unit=unit, meaning=meaning, low=0.0, open_low=True, high=high)


def _non_negative(name: str, symbol: str, unit: str, meaning: str, high: float | None = 1e40) -> Quantity:
    return Quantity(name=name, symbol=symbol, unit=unit, meaning=meaning, low=0.0, high=high)


def _category(name: str, meaning: str, *categories: str) -> Quantity:
    return Quantity(
        name=name,
        symbol=rf"\mathrm{{{name.replace('_', ' ')}}}",
        unit="",
        meaning=meaning,
        categories=categories,
        categorical=True,
    )


_ALL = (
    # model size
    _positive("n_params", "N", "1", "parameters without embedding and unembedding, all experts counted", 1e18),
    _positive(
        "n_active_params",
        r"N_\mathrm{act}",
        "1",
        "parameters without embedding that one token uses; dense: n_params",
        1e18,
    ),
    _positive(
        "n_params_with_embedding", r"N_\mathrm{tot}", "1", "all parameters, embedding and unembedding counted", 1e18
    ),
    _count("n_layers", "n_l", "1", "blocks of a transformer, or layers of another network", 1e6),
    _count("d_model", "d", "1", "width of the residual stream", 1e7),
    _count("d_ff", r"d_\mathrm{ff}", "1", "inner width of the feed-forward block", 1e8),
    _count("n_heads", "h", "1", "attention heads for queries", 1e5),
    _count("n_kv_heads", r"h_\mathrm{kv}", "1", "attention heads for keys and values; n_heads without grouping", 1e5),
    _count("d_head", r"d_\mathrm{h}", "1", "width of one attention head", 1e6),
    _count("vocab_size", "V", "1", "tokens in the vocabulary", 1e8),
    _count("seq_len", "s", "token", "tokens in one sequence", 1e9),
    _count("n_ffn_matrices", r"m_\mathrm{ff}", "1", "weight matrices of one feed-forward block: 2 plain, 3 gated", 8),
    _count("n_embeddings", "m_e", "1", "embedding tables: 1 tied with the output, 2 apart", 2),
    _count("n_experts", "E_x", "1", "routed experts in one mixture-of-experts layer", 1e6),
    _count("n_active_experts", "k_x", "1", "routed experts that one token uses", 1e6),
    _non_negative("n_shared_experts", "E_s", "1", "experts that every token uses beside the routed ones", 1e6),
    _count("d_expert", "d_x", "1", "inner width of one expert", 1e8),
    _non_negative("n_dense_layers", "n_d", "1", "leading layers of a mixture of experts that are dense", 1e6),
    _count("width", "n", "1", "width of the hidden layers", 1e9),
    _count("base_width", "n_0", "1", "width at which the hyperparameters were tuned", 1e9),
    _positive(
        "width_multiplier",
        "m",
        "1",
        "a layer's width over that of the base model that was tuned: its input's, or its output's where the input does not grow",
        1e9,
    ),
    _positive("depth_multiplier", r"m_\mathrm{L}", "1", "residual blocks over those of the base model", 1e9),
    _positive(
        "fan_out_multiplier",
        r"m_\mathrm{out}",
        "1",
        "width of a hidden layer's output over that of the base model",
        1e9,
    ),
    _positive("head_multiplier", r"m_\mathrm{h}", "1", "width of an attention head over that of the base model", 1e9),
    _positive("init_factor", r"f_\sigma", "1", "a layer's initial standard deviation over that of the base model"),
    _positive("forward_factor", "f_y", "1", "multiplier of what a layer puts out over that of the base model"),
    _positive("lr_factor", r"f_\eta", "1", "a layer's learning rate over that of the base model"),
    _positive(
        "decay_factor",
        r"f_\lambda",
        "1",
        "a layer's weight decay, multiplied by its learning rate in each step, over that of the base model",
    ),
    _positive("epsilon_factor", r"f_\epsilon", "1", "a layer's epsilon of Adam over that of the base model"),
    _positive(
        "branch_factor", r"f_\mathrm{res}", "1", "multiplier of each residual branch over that of the base model"
    ),
    _positive(
        "attention_factor",
        r"f_\mathrm{att}",
        "1",
        "factor of attention's logits beside 1 / sqrt(d_head), over that of the base model",
    ),
    _positive("tokens_per_param", "r", "token", "training tokens per parameter without embedding"),
    # data, batch and time
    _positive("tokens", "D", "token", "training tokens, repetitions counted", 1e22),
    _positive("unique_tokens", "U_D", "token", "different training tokens", 1e22),
    _positive("batch_tokens", "B", "token", "tokens in one optimizer step", 1e15),
    _positive("batch_seqs", r"B_\mathrm{seq}", "1", "sequences in one optimizer step", 1e12),
    _positive(
        "critical_batch_tokens", r"B_\mathrm{crit}", "token", "batch at which time and data are traded evenly", 1e18
    ),
    _positive("steps", "S", "1", "optimizer steps of the run", 1e15),
    _non_negative("step", "t", "1", "the step now, counted from zero", 1e15),
    _positive("total_steps", "T", "1", "steps that a schedule lasts", 1e15),
    _non_negative("warmup_steps", r"T_\mathrm{w}", "1", "steps of the learning rate's rise", 1e15),
    _non_negative("warmup_tokens", r"D_\mathrm{w}", "token", "tokens of the learning rate's rise", 1e22),
    # optimizer
    _positive("peak_lr", r"\eta", "1", "largest learning rate of the schedule", 1e6),
    _non_negative("learning_rate", r"\eta_t", "1", "learning rate of one step", 1e6),
    _non_negative("final_lr", r"\eta_\mathrm{end}", "1", "learning rate at the end of the schedule", 1e6),
    _non_negative(
        "weight_decay", r"\lambda", "1", "decoupled decay, multiplied by the learning rate (AdamW of PyTorch)", 1e6
    ),
    _positive(
        "ema_timescale",
        r"\tau",
        "1",
        "share of the run over which AdamW averages its weights, B / (eta lambda D)",
        1e12,
    ),
    Quantity(name="beta1", symbol=r"\beta_1", unit="1", meaning="decay of Adam's first moment", low=0.0, high=1.0),
    Quantity(name="beta2", symbol=r"\beta_2", unit="1", meaning="decay of Adam's second moment", low=0.0, high=1.0),
    _non_negative("adam_epsilon", r"\epsilon", "1", "constant in Adam's denominator", 1e6),
    _non_negative("momentum", r"\mu", "1", "momentum of SGD", 1.0),
    _category(
        "optimizer",
        "update rule",
        "sgd",
        "momentum",
        "adam",
        "adamw",
        "muon",
        "adafactor",
        "lion",
        "nadamw",
        "cautious",
        "mars",
        "adam-mini",
        "soap",
        "scion",
        "kron",
        "sophia",
    ),
    _category(
        "muon_scale",
        "factor on Muon's update of an A x B matrix: shape is sqrt(max(1, A / B)), rms is 0.2 sqrt(max(A, B))",
        "shape",
        "rms",
    ),
    _category(
        "schedule",
        "shape of the learning rate over the run",
        "constant",
        "cosine",
        "linear",
        "wsd",
        "inverse_sqrt",
        "uba",
    ),
    _category("architecture", "dense decoder or mixture of experts", "dense", "moe"),
    _category(
        "parametrization",
        "how init and rates go with width",
        "standard",
        "ntk",
        "mean_field",
        "mup",
        "depth_mup",
        "completep",
        "u_mup",
    ),
    _category("recipe", "corpus, tokenizer, schedule and decay together, by name"),
    # from one batch to another, and what decides how
    _positive("base_peak_lr", r"\eta_0", "1", "learning rate that suits the batch it was tuned at", 1e6),
    _positive(
        "base_batch_tokens",
        "B_0",
        "token",
        "batch at which hyperparameters were tuned; an example of a classifier counts as a token",
        1e15,
    ),
    Quantity(
        name="base_beta1",
        symbol=r"\beta_{1,0}",
        unit="1",
        meaning="beta1 at the batch that was tuned; 0 for none",
        low=0.0,
        high=1.0,
        open_high=True,
    ),
    Quantity(
        name="base_beta2",
        symbol=r"\beta_{2,0}",
        unit="1",
        meaning="beta2 at the batch that was tuned",
        low=0.0,
        high=1.0,
        open_high=True,
    ),
    _non_negative(
        "base_adam_epsilon", r"\epsilon_0", "1", "constant in Adam's denominator at the batch that was tuned", 1e6
    ),
    _non_negative("base_weight_decay", r"\lambda_0", "1", "weight decay at the batch that was tuned", 1e6),
    _positive(
        "noise_scale_tokens",
        r"B_\mathrm{noise}",
        "token",
        "gradient noise scale: batch at which noise and gradient are level",
    ),
    _positive(
        "noise_exponent", r"\alpha", "1", "exponent of the noise scale's form under Adam, between 0.5 and 1", 10.0
    ),
    _positive("surge_batch_tokens", r"B_\mathrm{peak}", "token", "batch at which the best rate under Adam is greatest"),
    _positive("hessian_edge", r"\lambda_1", "1", "largest eigenvalue of the Hessian of the loss over all data"),
    _positive("hessian_noise", "V", "token", "parameters times the variance of one entry of the Hessian over tokens"),
    _positive("batch_hessian_edge", r"\lambda_1'", "1", "largest eigenvalue of the Hessian of a batch"),
    _positive("largest_stable_lr", r"\eta_\mathrm{max}", "1", "learning rate above which training is unstable"),
    # outcome
    _positive("loss", "L", "nat/token", "smoothed training or validation loss at the end of the run", 1e6),
    _positive("target_loss", r"L^*", "nat/token", "loss that the run is to reach", 1e6),
    _positive("downstream_error", r"\mathrm{Err}", "1", "mean top-1 error over a set of downstream tasks", 1.0),
    # compute, memory
    _positive("compute_flop", "C", "FLOP", "training compute by 6 N D, N active parameters without embedding", 1e36),
    _positive(
        "flop_per_token",
        "M",
        "FLOP/token",
        "training compute of one token without embedding, attention counted; 2 per multiply-add",
        1e24,
    ),
    _positive(
        "training_flop",
        r"C_\mathrm{att}",
        "FLOP",
        "training compute with attention counted, flop_per_token times tokens",
        1e36,
    ),
    _positive("parameter_bytes", r"m_\mathrm{w}", "byte", "memory of the weights used in the forward pass", 1e20),
    _positive("gradient_bytes", r"m_\mathrm{g}", "byte", "memory of the gradients", 1e20),
    _non_negative(
        "optimizer_bytes", r"m_\mathrm{o}", "byte", "memory of the optimizer's state and master weights", 1e20
    ),
    _positive(
        "training_state_bytes",
        r"m_\mathrm{s}",
        "byte",
        "weights, gradients and optimizer state together, activations apart",
        1e20,
    ),
    _positive(
        "activation_bytes", r"m_\mathrm{a}", "byte", "memory of the activations kept for the backward pass", 1e20
    ),
    # hardware and energy
    _category("precision", "number format of the matrix products", "fp32", "tf32", "bf16", "fp16", "fp8", "fp4"),
    _category("hardware", "accelerator, by the name in the hardware table"),
    _category("accelerator_generation", "family of accelerators"),
    _category("country", "country whose electricity is used, two letters"),
    _category("developer", "who trained the model"),
    _category("family", "model family"),
    _category("run", "one training run, by name"),
    _count("devices", r"n_\mathrm{dev}", "1", "accelerators used", 1e8),
    _positive(
        "peak_flop_per_s",
        r"\Pi",
        "FLOP/s",
        "peak of one accelerator's matrix units in the precision used, without sparsity",
        1e20,
    ),
    _positive("device_memory_bytes", r"m_\mathrm{dev}", "byte", "memory of one accelerator", 1e16),
    _positive("memory_bytes_per_s", r"\beta_\mathrm{mem}", "byte/s", "bandwidth of one accelerator's memory", 1e18),
    _positive("board_power_w", r"P_\mathrm{max}", "W", "power that an accelerator's maker states for its board", 1e6),
    _non_negative(
        "tokens_per_device_s",
        r"v",
        "token/s",
        "tokens per second and accelerator, measured over some 50 steps; 0 where not measured",
        1e12,
    ),
    _non_negative(
        "measured_board_w",
        r"P_\mathrm{meas}",
        "W",
        "mean power of one accelerator's board, measured over some 50 steps; 0 where not measured",
        1e6,
    ),
    _category(
        "hours_basis",
        "what accelerator-hours count: those reported, all days that accelerators were held, or steps alone without restarts",
        "reported",
        "calendar",
        "steps",
        "unstated",
    ),
    _positive("accelerator_hours", "h_a", "h", "accelerators times hours", 1e15),
    _positive("duration_s", r"t_\mathrm{wall}", "s", "time from start to end", 1e15),
    Quantity(
        name="pue",
        symbol=r"\mathrm{PUE}",
        unit="1",
        meaning="energy of the machine room over that of its computers",
        low=1.0,
        high=10.0,
    ),
    _positive("energy_j", "E", "J", "energy drawn by the run", 1e30),
    _positive("energy_kwh", r"E_\mathrm{kWh}", "kWh", "energy drawn by the run", 1e24),
    _non_negative("carbon_kg", r"m_{\mathrm{CO_2}}", "kg", "carbon dioxide equivalent emitted", 1e20),
    _positive("power_w", "P", "W", "mean power drawn", 1e12),
    _positive("board_energy_kwh", r"E_\mathrm{board}", "kWh", "energy drawn by the accelerators' boards", 1e24),
    _positive(
        "system_energy_kwh", r"E_\mathrm{sys}", "kWh", "energy drawn by whole computers in the machine room", 1e24
    ),
    _positive(
        "site_energy_kwh",
        r"E_\mathrm{site}",
        "kWh",
        "energy drawn by whole computers and the machine room around them",
        1e24,
    ),
    _non_negative(
        "carbon_g_per_kwh", r"\gamma", "g/kWh", "carbon dioxide equivalent emitted for one kWh of electricity", 1e5
    ),
    _non_negative(
        "carbon_spread", r"\sigma_\gamma", "1", "standard deviation of the logarithm of carbon_g_per_kwh", 10.0
    ),
)


@ft.cache
def vocabulary() -> Mapping[str, Quantity]:
    """Return all quantities of the vocabulary by name.

    >>> vocabulary()["n_params"].symbol
    'N'
    """
    return {q.name: q for q in _ALL}


SUFFIXES = {"k": 1e3, "K": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
"""What the letters behind a number stand for on the command line; B is a thousand million, as in 7B."""


def parse_number(text: str) -> float:
    """Return the number that `text` writes, with an optional suffix k, M, B or T.

    **Raises:** `QueryError` for anything else, infinities and NaN included.

    >>> parse_number("1.4T")
    1400000000000.0
    """
    import math

    from hplaw.errors import QueryError

    body = text.strip()
    scale = SUFFIXES.get(body[-1:])
    try:
        value = float(body[:-1]) * scale if scale else float(body)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or "_" in body or not body.isascii():
        message = f"{text[:40]!r} is not a number; give digits with an optional suffix k, M, B or T, for example 1.4T"
        raise QueryError(message)
    return value


def check_value(quantity: Quantity, value: object) -> str | None:
    """Return what is wrong with `value` for `quantity`, in one sentence, or None.

    >>> check_value(vocabulary()["tokens"], -3.0)
    'tokens=-3 is not positive; give training tokens, repetitions counted'
    """
    name = quantity.name
    if quantity.categorical:
        if not isinstance(value, str):
            return f"{name}={value!r} is not a name; give {_choices(quantity)}"
        if quantity.categories and value not in quantity.categories:
            return f"{name}={value!r} is not known; give {_choices(quantity)}"
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"{name}={value!r} is not a number; give {quantity.meaning}"
    try:
        number = float(value)
    except OverflowError:  # an integer of more than 308 digits
        number = float("inf")
    if number != number or number in (float("inf"), float("-inf")):
        return f"{name}={number} is not finite; give {quantity.meaning}"
    low, high = quantity.low, quantity.high
    if low is not None and quantity.open_low and number <= low:
        return f"{name}={number:g} is not {'positive' if low == 0 else f'above {low:g}'}; give {quantity.meaning}"
    if low is not None and number < low:
        return f"{name}={number:g} is below {low:g}, the least allowed; give {quantity.meaning}"
    if high is not None and quantity.open_high and number >= high:
        return f"{name}={number:g} is not below {high:g}; give {quantity.meaning}"
    if high is not None and number > high:
        return f"{name}={number:g} is above {high:g}, the greatest allowed; give {quantity.meaning}"
    return None


def _choices(quantity: Quantity) -> str:
    return ", ".join(quantity.categories) if quantity.categories else quantity.meaning
