"""Where each golden value of the theory is shown: by a law at a point, a table of layers, or a function."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hplaw.answer.evaluate_law import evaluate
from hplaw.parametrization.factors import attention_factor, factors
from hplaw.pruning.connectivity import linear_cka, mode_connectivity
from hplaw.theory.surge import surge_form, surge_rate
from tests.helpers import shipped


def law(name: str, want: str | Sequence[str], **given: Any) -> Any:
    """Return outputs of a law at a point, as a number or a list."""
    found = evaluate(shipped().get(name), given, shipped())
    values = [
        [e.value for e in found.tables[word].values()] if word in found.tables else found.outputs[word].value
        for word in ([want] if isinstance(want, str) else want)
    ]
    return values[0] if isinstance(want, str) else values


def over(points: Sequence[Any], one: Callable[[Any], Any]) -> list[Any]:
    return [one(point) for point in points]


def zhang_exponent() -> float:
    """Return the power of the data in the critical batch; the value that was recalled had two digits of it."""
    few, many = over([1e10, 4e10], lambda d: law("zhang-critical-batch-2024", "critical_batch_tokens", tokens=d))
    return float(np.log(many / few) / np.log(4))


def edge(batch: float) -> Any:
    return law("largest-stable-rate", "batch_hessian_edge", batch_tokens=batch, hessian_edge=10, hessian_noise=100)


def stable(batch: float) -> Any:
    return law("largest-stable-rate", "largest_stable_lr", batch_tokens=batch, hessian_edge=10, hessian_noise=100)


def simulated_edge(spike: float, noise: float) -> list[float]:
    """Return the largest eigenvalue of a spike in symmetric noise, by simulation and by the law."""
    rng, size = np.random.default_rng(0), 500
    wigner = rng.normal(size=(size, size)) * np.sqrt(noise / size)
    matrix = (wigner + wigner.T) / np.sqrt(2)
    matrix[0, 0] += spike
    by_law = law("largest-stable-rate", "batch_hessian_edge", batch_tokens=1, hessian_edge=spike, hessian_noise=noise)
    return [float(np.linalg.eigvalsh(matrix)[-1]), by_law]


def simulated_noise(size: int = 2000, draws: int = 500) -> list[float]:
    """Return the noise scale of synthetic gradients whose square is 5.2013 and whose noise has variance one, by the law."""
    rng = np.random.default_rng(0)
    mean = np.full(size, np.sqrt(5.201348605046686 / size))
    square = [
        float(np.mean([np.sum((mean + rng.normal(size=size) / np.sqrt(batch)) ** 2) for _ in range(draws)]))
        for batch in (64, 4096)
    ]
    return law(
        "gradient-noise-estimate",
        ["gradient_square", "gradient_covariance_trace", "noise_scale_tokens"],
        small_batch_tokens=64,
        large_batch_tokens=4096,
        small_gradient_square=square[0],
        large_gradient_square=square[1],
    )


def rates(batch: float) -> list[Any]:
    noise = {"batch_tokens": batch, "noise_scale_tokens": 1024, "peak_lr_without_noise": 1}
    surge = {"batch_tokens": batch, "surge_batch_tokens": 1024, "surge_peak_lr": 1}
    return [
        law("noise-scale-rate", "peak_lr", **noise),
        law("noise-scale-rate-adam", "peak_lr", **noise),
        law("surge-best-rate", "peak_lr", **surge),
    ]


def roles(entry: Any, hidden: Any, out: Any) -> dict[str, Any]:
    return {"input": entry, "hidden": hidden, "output": out}


A = {"SP": roles(0, 0, 0), "NTK": roles(0, "1/2", "1/2"), "muP": roles("-1/2", 0, "1/2"), "MFP": roles(0, "1/2", 1)}
B = {"SP": roles(0, "1/2", "1/2"), "NTK": roles(0, 0, 0), "muP": roles("1/2", "1/2", "1/2"), "MFP": roles(0, 0, 0)}


def regime(a: Any, b: Any, c: Any, layers: int = 1) -> list[Any]:
    given = {"abc_a": a, "abc_b": b, "abc_c": roles(c, c, c), "hidden_to_hidden_layers": layers}
    return law("abc-classification", ["abc_r", "abc_regime"], **given)


def rate_exponents(scheme: str) -> list[Any]:
    a, b = A[scheme], B[scheme]
    full = law("adam-lr-exponents", "layer_lr_exponent", abc_a=a)
    none = law("adam-lr-exponents", "layer_lr_exponent", abc_a=a, alignment="1/2")
    return [full, none, law("abc-classification", "layer_lr_exponent", abc_a=a, abc_b=b, abc_c=roles(0, 0, 0))]


def mup_adam() -> list[Any]:
    by = factors("mup", "adam", width=8.0)
    rate, init = by["lr_factor"], by["init_factor"]
    return [
        [1e-3 * rate["hidden"], 0.02 * init["hidden"]],
        [1e-3 * rate["input"], 0.02 * init["input"]],
        [1e-3 * rate["output"], by["forward_factor"]["output"], 0.02 * init["output"]],
    ]


def mup_sgd() -> list[Any]:
    rate = factors("mup", "sgd", width=8.0)["lr_factor"]
    return [0.1 * rate[kind] for kind in ("hidden", "input", "output")]


def by_depth(scheme: str) -> list[Any]:
    by = factors(scheme, "adamw", width=4.0, depth=4.0)
    return [
        by["branch_factor"],
        by["lr_factor"]["hidden"],
        by["decay_factor"]["hidden"],
        by["epsilon_factor"]["hidden"],
        by["epsilon_factor"]["embedding"],
        by["lr_factor"]["block_vector"],
    ]


def cosine_power(power: float) -> list[Any]:
    given = {"total_steps": 100, "peak_lr": 0.1, "final_lr": 1e-4, "cosine_power": power}
    # the source counts its steps from one
    at = lambda step: law("schedule-cosine-power", "learning_rate", step=step - 1, **given)
    return over([1, 25, 50, 75, 100], at)


def uba(phi: float) -> list[Any]:
    at = lambda share: law(
        "schedule-uba", "learning_rate", step=1000 * share, total_steps=1000, peak_lr=1.0, uba_phi=phi
    )
    return over([0, 0.25, 0.5, 0.75, 1], at)


def alignments() -> list[Any]:
    x = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 0.0]])
    turned = 3 * x @ np.array([[0.6, -0.8], [0.8, 0.6]])
    return [linear_cka(x, x), linear_cka(x, turned), linear_cka(x, x[:, :1])]


MEAN = np.array([0.1, -0.2, 0.05, 0.3])
TOY = (MEAN, np.ones(4), np.where(np.eye(4) > 0, 1, 0.1 * np.outer(np.sign(MEAN), np.sign(MEAN))))
"""Gradients of four parameters, their deviation, and a Hessian whose signs go with theirs."""


def toy_rates() -> list[Any]:
    batch, peak = surge_form(*TOY)
    by_form = law("surge-best-rate", "peak_lr", batch_tokens=1, surge_batch_tokens=batch, surge_peak_lr=peak)
    return [surge_rate(1, *TOY), by_form]


def toy_limit() -> list[Any]:
    signs = np.sign(MEAN)
    return [surge_rate(np.inf, *TOY), float(np.abs(MEAN).sum() / (signs @ TOY[2] @ signs))]


GOLDENS: dict[str, Callable[[], Any]] = {
    **{f"rmt.lam1(lam1=10,P=1e6,sig=0.01,B={b:g})": (lambda b=b: edge(b)) for b in (1, 2, 16, 128, 1024)},
    "rmt.lam1(lam1=10,P=1e6,sig=0.01,B=1e+09)": lambda: edge(1e9),
    **{f"rmt.lrmax B={b:g}": (lambda b=b: stable(b)) for b in (1, 2, 16, 128, 1024, 1e9)},
    "rmt.B_threshold = P sig^2/lam1^2": lambda: law(
        "largest-stable-rate", "threshold_batch_tokens", batch_tokens=1, hessian_edge=10, hessian_noise=100
    ),
    "rmt.lam1(B=0.25) below threshold = 2*sqrt(P/B)*sig": lambda: edge(0.25),
    "rmt.b_eff(B=128,N=50000)": lambda: law(
        "largest-stable-rate",
        "effective_batch_tokens",
        batch_tokens=128,
        unique_tokens=50000,
        hessian_edge=10,
        hessian_noise=100,
    ),
    **{
        f"rmt.sim lam={s:.1f} Psig2/b={v:.1f}: (simulated,theory)": (lambda s=s, v=v: simulated_edge(s, v))
        for s, v in ((3, 1), (2, 1), (1.2, 1), (0.5, 1), (10, 25))
    },
    "lanczos.polyak(lam1=100,lamn=1) (lr,momentum)": lambda: law(
        "heavy-ball-rate", ["peak_lr_heavy_ball", "momentum"], hessian_edge=100, hessian_floor=1
    ),
    "lanczos.gd 2/(l1+ln)": lambda: law(
        "heavy-ball-rate", "peak_lr_gradient_descent", hessian_edge=100, hessian_floor=1
    ),
    "linear(lr=.1,B0=256,B=8192)": lambda: law(
        "linear-rule", "peak_lr", base_peak_lr=0.1, base_batch_tokens=256, batch_tokens=8192
    ),
    "goyal warmup: step at epoch 1 of 5, ref .1 -> 3.2": lambda: law(
        "linear-rule-warmup", "learning_rate", step=1, warmup_steps=5, base_peak_lr=0.1, peak_lr=3.2
    ),
    "sqrt(lr=1e-3,B0=256,B=1024)": lambda: law(
        "square-root-rule", "peak_lr", base_peak_lr=1e-3, base_batch_tokens=256, batch_tokens=1024
    ),
    "malladi kappa=4: lr,b1,b2,eps from 1e-3,.9,.999,1e-8": lambda: law(
        "adam-sde-rule",
        ["peak_lr", "beta1", "beta2", "adam_epsilon"],
        base_peak_lr=1e-3,
        base_batch_tokens=256,
        batch_tokens=1024,
    ),
    "b2 half-life tokens rule: b2*=b2^(B*/B), .999, x4": lambda: law(
        "adam-half-life-rule", "beta2", base_batch_tokens=256, batch_tokens=1024
    ),
    **{f"B={b} Bn=1024 emax=1: sgd, adam a=.5, surge": (lambda b=b: rates(b)) for b in (64, 256, 1024, 4096)},
    "surge limit small B: ratio surge(B)/(2 emax sqrt(B/Bn)) at B=1e-4*Bn": lambda: (
        law("surge-best-rate", "peak_lr", batch_tokens=0.1024, surge_batch_tokens=1024, surge_peak_lr=1)
        / (2 * 1e-4**0.5)
    ),
    "surge.exact toy: Bn, emax": lambda: surge_form(*TOY),
    "surge.exact eta(1),approx": toy_rates,
    "surge.exact B->inf, sum|mu|/sum sign sign H": toy_limit,
    "counterexample Thm4 mu=(1,0),H=I: limit": lambda: surge_rate(np.inf, [1, 0], [1, 1], np.eye(2)),
    "gns(|Gs|^2=5,|Gb|^2=2,Bs=64,Bb=1024): |G|^2,trSigma,B_simple": lambda: law(
        "gradient-noise-estimate",
        ["gradient_square", "gradient_covariance_trace", "noise_scale_tokens"],
        small_batch_tokens=64,
        large_batch_tokens=1024,
        small_gradient_square=5,
        large_gradient_square=2,
    ),
    "gns simulated: est (G2,S,B), truth": lambda: [simulated_noise()] * 2,
    "S/Smin,E/Emin at B=Bn/4,Bn,4Bn": lambda: over(
        [256, 1024, 4096],
        lambda b: law(
            "time-data-tradeoff", ["steps_over_least", "tokens_over_least"], batch_tokens=b, critical_batch_tokens=1024
        ),
    ),
    "Kaplan Bcrit(L=3) = 2e8*3^(-1/.21)": lambda: law(
        "kaplan-critical-batch-2020", "critical_batch_tokens", target_loss=3
    ),
    "Kaplan Bcrit(L=2)": lambda: law("kaplan-critical-batch-2020", "critical_batch_tokens", target_loss=2),
    "Zhang CBS 22.91*D^.47 (D in M tokens? recalled) ratio for 4x data": lambda: 4 ** round(zhang_exponent(), 2),
    "PowerLines recalled: Bopt=.0306 D^.383 seqs, Bcrit=.0471 D^.462 seqs at D=20e9 tokens": lambda: [
        v / 2048 for v in law("power-lines-batch-2025", ["batch_tokens", "critical_batch_tokens"], tokens=2e10)
    ],
    "tau_EMA(B=1e6 tok,lr=3e-4,wd=.1,D=2e10)": lambda: law(
        "adamw-timescale", "ema_timescale", batch_tokens=1e6, peak_lr=3e-4, weight_decay=0.1, tokens=2e10
    ),
    "tau_opt=1.084*TPP^-.527 at TPP=20 (recalled)": lambda: law(
        "power-lines-weight-decay-2025", "ema_timescale", n_params=1e9, tokens=2e10, batch_tokens=1e6, peak_lr=3e-4
    ),
    "wd_opt for B=1e6,lr=3e-4... D=2e10,TPP=20": lambda: law(
        "power-lines-weight-decay-2025", "weight_decay", n_params=1e9, tokens=2e10, batch_tokens=1e6, peak_lr=3e-4
    ),
    "Wang-Aitchison tau_iter, tau_epoch: lr=1e-3 wd=.1 M=390 steps/epoch": lambda: law(
        "adamw-timescale-steps", ["ema_steps", "ema_epochs"], peak_lr=1e-3, weight_decay=0.1, steps_per_epoch=390
    ),
    "Step law N=1e9,D=1e11: lr,B(tokens)": lambda: law(
        "step-law-2025", ["peak_lr", "batch_tokens"], n_params=1e9, tokens=1e11
    ),
    "abc SP c=0": lambda: regime(A["SP"], B["SP"], 0),
    "abc SP c=1": lambda: regime(A["SP"], B["SP"], 1),
    "abc NTK": lambda: regime(A["NTK"], B["NTK"], 0),
    "abc muP": lambda: regime(A["muP"], B["muP"], 0),
    "abc MFP L=1": lambda: regime(roles(0, 0, 1), roles(0, "1/2", 0), -1, 0),
    "abc muP L=1": lambda: regime(A["muP"], B["muP"], 0, 0),
    "abc muP c=.5": lambda: regime(A["muP"], B["muP"], "1/2"),
    "abc gauge invariance muP theta=.3": lambda: regime(
        roles("-1/5", "3/10", "4/5"), roles("1/5", "1/5", "1/5"), "-3/5"
    ),
    **{
        f"lr exponents c (emb,hid,out) {s}: adam full(1), adam none(1/2), sgd full": (lambda s=s: rate_exponents(s))
        for s in A
    },
    "muTransfer Adam m=8 base lr 1e-3, std .02: hidden(lr,std), in(lr,std), out(lr,mult,std)": mup_adam,
    "muTransfer SGD m=8 lr .1: hidden square, input, output": mup_sgd,
    "CompleteP alpha=1.0 mN=4 mL=4: resid mult, hidden lr factor, hidden wd factor, eps hidden, eps emb, ln/bias lr": lambda: (
        by_depth("completep")
    ),
    "CompleteP alpha=0.5 mN=4 mL=4: resid mult, hidden lr factor, hidden wd factor, eps hidden, eps emb, ln/bias lr": lambda: (
        by_depth("depth_mup")
    ),
    "attention scale: 8/d at d=64 equals 1/sqrt(64)": lambda: [
        law("mup-attention-scale", "attention_scale", d_head=64),
        attention_factor("mup", head=1.0) / 64**0.5,
    ],
    "u-muP tau(0..3,L=4)": lambda: over(
        range(4), lambda i: law("u-mup-residual", "branch_weight", branch=i, branches=4)
    ),
    "u-muP adam lr factor fan_in=1024 depth=8": lambda: law("u-mup-rates", "size_lr_factor", fan_in=1024, branches=8)[
        2
    ],
    "lmc([.1,.3,.6,.3,.1])": lambda: mode_connectivity([0.1, 0.3, 0.6, 0.3, 0.1]),
    "lmc([.2,.1,.05,.1,.2])": lambda: mode_connectivity([0.2, 0.1, 0.05, 0.1, 0.2]),
    "cka(X,X), cka(X,3XQ), cka(X,X[:,:1])": alignments,
    **{f"cosine power p={p}, T=100,.1->1e-4 at t=1,25,50,75,100": (lambda p=p: cosine_power(p)) for p in (1, 2, 10)},
    **{f"UBA(recalled) phi={p:g} t/T=0,.25,.5,.75,1": (lambda p=p: uba(p)) for p in (0.5, 1, 2, 5)},
    "autolrs forecast of 2exp(-.05x)+.5 at x=1000": lambda: law(
        "autolrs-forecast", "forecast_loss", step=1000, curve_amplitude=2, curve_rate=0.05, curve_floor=0.5
    ),
    "LR2VQ bits: d_in*d_out=512*512 weights fp32, m=8 (subvector), k=256 -> code bits/weight, ratio ignoring codebook": lambda: (
        law(
            "low-rank-vector-quantisation",
            ["bits_per_weight", "compression_ratio"],
            n_clusters=256,
            subvector_size=8,
            cluster_dim=4,
        )
    ),
    "LR2VQ with codebook k*d fp32 + projection d*m fp32": lambda: law(
        "low-rank-vector-quantisation",
        "compression_ratio_with_codebook",
        n_clusters=256,
        subvector_size=8,
        cluster_dim=4,
    ),
    "PHM params n=4, 512x512 vs 262144": lambda: law(
        "hypercomplex-layer", ["layer_params", "compression_ratio"], d_in=512, d_out=512
    ),
    "HFT: half of 7e9 trainable, Adam state bytes saved (8 B/param fp32 m,v)": lambda: (
        law("half-fine-tuning-memory", "bytes_saved", n_params_with_embedding=7e9) / 1e9
    ),
    "RLHF memory (mixed-precision Adam 16 B/param trained + 2 B/param frozen): PPO 4 models 7B, ReMax 3 models": lambda: (
        over(
            ["ppo", "remax"],
            lambda m: law("rlhf-memory", "rlhf_bytes", n_params_with_embedding=7e9, rlhf_method=m) / 2**30,
        )
    ),
    "LoGAH low-rank decoder: full d*d vs 2*d*r, d=2048,r=90": lambda: law(
        "low-rank-hypernetwork", "decoder_saving", d_in=2048, decoder_rank=90
    ),
    "tuning curve E max of k from n uniform scores 1..10, k=3": lambda: law(
        "best-of-ranks", "expected_best_rank", n_trials=3, n_scored=10
    ),
    "random search success: P(top 5% in 60)": lambda: law(
        "random-search-hit", "hit_probability", n_trials=60, top_share=0.05
    ),
    "hoeffding |S| for eps=.05,delta=.05,|Lambda|=100 configs": lambda: law(
        "tuning-tasks-for-grid", "tasks_needed", n_settings=100, score_error=0.05
    ),
    "pdim bound eps=.1 d=10 delta=.05 (H^2/eps^2)(d+ln 1/delta), const 1": lambda: law(
        "tuning-tasks-by-dimension", "tasks_order", pseudo_dimension=10, score_error=0.1
    ),
}
"""How each golden value is computed, by its name."""
