"""`hplaw recommend` for one question: the record, the page, and wrong questions."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hplaw.catalogue.catalogue import load_catalogue
from hplaw.cli import main, query_options as asking, recommend as options
from hplaw.cli.query_options import Asked, plain_question, query_of
from hplaw.messages.query import Bounds, Query
from hplaw.messages.record import encode
from hplaw.recommendation.record import recommend
from tests.vocabulary.released_models import RELEASED


def ask(run: Any, words: str) -> Any:
    return run("recommend", *words.split())


@pytest.mark.parametrize(
    ("words", "query"),
    [
        ("--params 7B --tokens 1.4T", Query(n_params=7e9, tokens=1.4e12)),
        (
            "--params 1e9 --tokens 100B --batch-tokens 1M --law step-law-2025",
            Query(n_params=1e9, tokens=1e11, batch_tokens=1e6, laws=["step-law-2025"]),
        ),
        (
            "--params 2B --active-params 400M --tokens 8B --want peak_lr,steps loss",
            Query(n_params=2e9, n_active_params=4e8, tokens=8e9, want=["peak_lr", "steps", "loss"]),
        ),
        (
            "--tokens 8B --given n_params=2B weight_decay=0.1 --given schedule=cosine --optimizer muon",
            Query(n_params=2e9, tokens=8e9, optimizer="muon", given={"weight_decay": 0.1, "schedule": "cosine"}),
        ),
        (
            "--tuned-base batch=256,lr=1e-3 --batch-tokens 1k --width 512 --scheme mup",
            Query(
                batch_tokens=1000.0,
                given={"width": 512.0, "parametrization": "mup", "base_batch_tokens": 256.0, "base_peak_lr": 1e-3},
            ),
        ),
        (
            "--params 10B --tokens 1T --experts 64 --experts-active 4 --granularity 8",
            Query(n_params=1e10, tokens=1e12, given={"n_experts": 64.0, "n_active_experts": 4.0, "granularity": 8.0}),
        ),
        (
            "--params 2B --tokens 8B --bound batch_tokens=1M..4M --bound peak_lr=..1e-3",
            Query(
                n_params=2e9,
                tokens=8e9,
                bounds={"batch_tokens": Bounds(low=1e6, high=4e6), "peak_lr": Bounds(high=1e-3)},
            ),
        ),
    ],
)
def test_json_is_the_record_of_the_library_byte_for_byte(run: Any, words: str, query: Query) -> None:
    done = ask(run, f"{words} --json")
    assert (done.status, done.err) == (0, "")
    assert done.out.encode() == encode(recommend(query, load_catalogue())) + b"\n"


def test_numbers_that_are_none_are_refused_by_their_option(run: Any) -> None:
    for text in ("7BB", "nan", "inf", "-inf", "", "seven", "1_000", "1,4T", "0x10", "--json"):
        done = run("recommend", "--params", "7B", f"--tokens={text}")
        assert (done.status, done.out) == (2, "")
        assert "--tokens" in done.err
        assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--params 0 --tokens 1T", "n_params=0 is not positive"),
        ("--params -3 --tokens 1T", "n_params=-3 is not positive"),
        ("--params 7B --tokens -1T", "tokens=-1e+12 is not positive"),
        ("--params 1e30 --tokens 1T", "n_params=1e+30 is above 1e+18"),
        ("--params 7B --tokens 1T --optimizer adan", "optimizer='adan' is not known"),
        ("--params 7B --tokens 1T --want peak_rl", "did you mean 'peak_lr'?"),
        ("--params 7B --tokens 1T --given weight_decy=1", "did you mean 'weight_decay'?"),
        ("--params 7B --tokens 1T --given loss=2", "target_loss"),
        ("--params 7B --tokens 1T --given weight_decay=much", "weight_decay='much' is not a number"),
        ("--params 7B --tokens 1T --given n_params=8B", "n_params is given twice"),
        ("--params 7B --tokens 1T --given weight_decay", "give name=value"),
        ("--params 7B --tokens 1T --given beta1=0.9 beta1=0.8", "beta1 is given twice"),
        ("--params 7B --tokens 1T --bound peak_lr=3", "give LOW..HIGH"),
        ("--params 7B --tokens 1T --bound peak_lr=2..1", "leaves nothing"),
        ("--params 7B --tokens 1T --bound peak_lr=1..x", "'x' is not a number"),
        ("", "give --params and --tokens, a budget (--flops"),
        ("--params 7B", "tokens is not given; give --params and --tokens"),
        ("--params 90k --tokens 1T", "is below 100000"),
        ("--params 7B --tokens 1M --batch-tokens 2M", "less than one step"),
        ("--params 7B --tokens 1T --target-loss 11", "above 10.8"),
        ("--params 1B --target-loss 0.3", "out of reach"),
        ("--compute 1e24", "did you mean '--flops'?"),
        ("--devices 64 --days 14", "give hardware"),
        ("--params 7B --tokens 1T --to out.csv", "--to needs --from"),
        ("--params 7B --from in.csv --json", "exclude each other"),
    ],
)
def test_a_wrong_question_is_one_sentence(run: Any, words: str, says: str) -> None:
    done = ask(run, words)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("hplaw: ")
    assert done.err.count("\n") == 1
    assert says in done.err


def test_an_unknown_law_is_named_with_the_nearest(run: Any) -> None:
    done = ask(run, "--params 7B --tokens 1T --law step-law-2024")
    assert (done.status, done.out) == (1, "")
    assert "did you mean 'step-law-2025'?" in done.err


def test_a_model_file_is_read(run: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("[1, 2]")
    done = ask(run, f"--tokens 1T --model {broken}")
    assert (done.status, done.out) == (1, "")
    assert "is no JSON object" in done.err
    shape = tmp_path / "config.json"
    shape.write_text('{"hidden_size": 64}')
    assert query_of(Asked(model=str(shape))).model == {"hidden_size": 64}


def test_when_nothing_can_be_answered_the_status_says_so(run: Any) -> None:
    done = ask(run, "--tokens 1T --want carbon_kg")
    assert done.status == 1
    assert "carbon_kg" in done.out


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_the_page_keeps_to_the_width(run: Any, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    done = ask(run, "--params 7B --tokens 1.4T")
    assert (done.status, done.err) == (0, "")
    # only words that cannot be broken, such as the id and an address, may be out
    long = [line for line in done.out.splitlines() if len(line) > columns]
    assert all(len(line.split()) == 1 or line.startswith("id ") for line in long), long
    assert "\x1b" not in done.out


def test_the_page_says_what_to_set_then_what_to_expect_then_the_rest(run: Any) -> None:
    lines = ask(run, "--params 1B --tokens 100B --law step-law-2025 --all").out.splitlines()
    headings = [line for line in lines if line and not line.startswith((" ", "Example: "))]
    assert headings[0] == "For n_params 1B, tokens 100B, by step-law-2025, optimizer adamw"
    assert [head.partition(":")[0] for head in headings[1:]] == [
        "Set",
        "Expect",
        *(["Warnings"] if "Warnings" in headings else []),
        "Alternatives",
        "Published trainings nearby",
        "Elasticities",
        "Intervals",
        "Derivation",
        "Sources",
    ]
    rate = next(line for line in lines if line.startswith("  peak_lr"))
    assert rate.split()[1] == "0.00163"
    assert rate.split()[-1] == "step-law-2025@1"


def test_a_broken_law_is_named_and_the_others_answer(run: Any, tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("schema = 1\nid = 3\n")
    done = ask(run, f"--params 1B --tokens 100B --laws {tmp_path}")
    assert done.status == 0
    assert done.err.startswith(f"hplaw: skipped a law: {tmp_path}/broken.toml: ")
    assert done.err.count("\n") == 1


def test_a_law_of_ones_own_goes_before_the_shipped_one(run: Any, tmp_path: Path) -> None:
    assert run("laws", "new", "step-law-2025", "--to", tmp_path / "mine.toml").status == 0
    words = f"--params 4B --tokens 1.6T --law step-law-2025 --want peak_lr --laws {tmp_path} --json"
    answer = json.loads(ask(run, words).out)
    assert answer["answers"]["peak_lr"]["value"] == pytest.approx(1e-3)


# The short cut past the parser


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[Asked]:
    """Catch what the parser gives for a command line."""
    caught: list[Asked] = []

    def catch(asked: Asked) -> int:
        caught.append(asked)
        return 0

    monkeypatch.setattr(options, "answer", catch)
    monkeypatch.setattr(asking, "answer", catch)
    monkeypatch.setattr("hplaw.cli.app.answer", catch)
    return caught


def test_the_short_cut_reads_as_the_parser_does(parsed: list[Asked], monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "--params 7B --tokens 1.4T",
        "--params=7B --tokens=1.4T --json",
        "--json --optimizer muon --precision bf16 --hardware h100 --devices 8",
        "--active-params 1B --batch-tokens 4M --target-loss 2.1 --model config.json",
        "--optimizer=a=b",
    ]
    for line in lines:
        short = plain_question(["recommend", *line.split()])
        assert short is not None
        main(["recommend", *line.split()])
        with monkeypatch.context() as without:
            without.setattr("hplaw.cli.app.plain_question", lambda _: None)
            main(["recommend", *line.split()])
        assert parsed[-2:] == [short, short]


words = st.sampled_from(
    ["--params", "--tokens", "7B", "-3", "--json", "--json=1", "--want", "--help", "--params=", "--no-json", "-", "--"]
)


@given(st.lists(words, max_size=5))
def test_the_short_cut_takes_nothing_that_the_parser_refuses(tokens: list[str]) -> None:
    short = plain_question(["recommend", *tokens])
    if short is None:
        return
    from cyclopts import CycloptsError

    from hplaw.cli.app import create_app

    try:
        _, bound, _ = create_app().parse_args(
            ["recommend", *tokens], exit_on_error=False, print_error=False, help_on_error=False
        )
    except CycloptsError as error:
        pytest.fail(f"{tokens}: {error}")
    renamed = {"from_": "source", "to": "target"}
    assert {k: v for k, v in vars_of(short).items() if v} == {
        renamed.get(k, k): v for k, v in bound.arguments.items() if v
    }


def vars_of(asked: Asked) -> dict[str, Any]:
    return {name: getattr(asked, name) for name in asked.__struct_fields__}


def test_the_page_is_bold_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    from hplaw.cli.page import Page, coloured

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert coloured()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not coloured()
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not coloured()
    page = Page(80, bold=True)
    page.heading("Set")
    assert str(page) == "\x1b[1mSet\x1b[0m\n"


def answers_of(run: Any, words: str) -> dict[str, Any]:
    done = ask(run, f"{words} --json")
    assert (done.status, done.err) == (0, "")
    return {name: found["value"] for name, found in json.loads(done.out)["answers"].items()}


def test_machines_and_days_are_used_up_as_by_the_frontier(run: Any) -> None:
    found = answers_of(run, "--devices 64 --hardware h100-sxm --days 14")
    assert found["accelerator_hours"] == pytest.approx(21_504, rel=0.01)
    best = json.loads(run(*["frontier", "--budget", "14d", "--devices", "64", "--hardware", "h100-sxm", "--json"]).out)[
        "best"
    ]
    assert {name: found[name] for name in ("n_params", "tokens", "loss")} == pytest.approx(
        {name: best[name] for name in ("n_params", "tokens", "loss")}
    )


def test_compute_is_an_option(run: Any) -> None:
    found = answers_of(run, "--flops 1e24")
    assert 6 * found["n_params"] * found["tokens"] == pytest.approx(1e24)
    best = json.loads(run(*["frontier", "--budget", "1e24FLOP", "--json"]).out)["best"]
    assert best["n_params"] == pytest.approx(found["n_params"])
    assert best["loss"] == pytest.approx(found["loss"])


def test_a_target_gives_the_tokens_at_which_it_is_reached(run: Any) -> None:
    found = answers_of(run, "--target-loss 2.3 --params 1B")
    assert found["loss"] == pytest.approx(2.3)
    assert answers_of(run, f"--params 1B --tokens {found['tokens']!r}")["loss"] == pytest.approx(2.3)


def test_a_run_over_its_budget_says_what_it_needs(run: Any) -> None:
    page = ask(run, "--params 7B --tokens 1T --hardware h100-sxm --devices 64 --days 14").out
    assert "the run needs 39.7k accelerator hours, and the budget is 21.5k" in page


def test_a_loss_above_that_of_guessing_is_not_shown(run: Any) -> None:
    page = ask(run, "--params 7B --tokens 10M --law pretrain-surface --want loss").out
    assert "gives a loss above 10.8" in " ".join(page.split())
    assert "nat/token" not in page


def test_rows_that_cannot_be_are_errors_of_their_own(run: Any, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("n_params,tokens,target_loss\n7e9,1e12,\n1e4,1e12,\n7e9,,\n1e9,,2.4\n1e9,,0.3\n")
    done = run("recommend", "--from", str(tmp_path / "in.csv"), "--to", str(tmp_path / "out.jsonl"))
    assert done.status == 3
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    says = [None, "is below 100000", "give --params and --tokens", None, "out of reach"]
    for row, words in zip(rows, says, strict=True):
        assert (row["error"] is None) if words is None else (words in row["error"])


# Fine-tuning, and what is not covered


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    """Return the config.json of a Llama of 8B."""
    path = tmp_path / "config.json"
    shape = {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32}
    heads = {"num_key_value_heads": 8, "vocab_size": 128256, "tie_word_embeddings": False}
    path.write_text(json.dumps({"model_type": "llama", "hidden_act": "silu", **shape, **heads}))
    return path


def test_fine_tuning_fits_on_a_screen(run: Any, llama: Path) -> None:
    done = ask(run, f"--finetune lora --model {llama} --tokens 500M --lora-rank 64")
    assert (done.status, done.err) == (0, "")
    assert "peak_lr               2.86e-4" in done.out
    assert "min_lora_rank         191" in done.out
    assert "fewer parameters than there are training tokens" in done.out
    assert len(done.out.splitlines()) <= 25


def test_what_is_counted_from_a_config_comes_first(run: Any, tmp_path: Path) -> None:
    for name in ("llama-3-8b", "deepseek-v3"):
        (tmp_path / f"{name}.json").write_text(json.dumps(RELEASED[name].config))
    done = ask(run, f"--model {tmp_path / 'llama-3-8b.json'} --tokens 1T")
    assert (done.status, done.err) == (0, "")
    assert done.out.index("\nModel\n") < done.out.index("\nSet\n")
    for line in ("n_params                 6.98B", "n_params_with_embedding  8.03B", "flop_per_token           54.8B"):
        assert line in done.out
    assert "training_flop            5.48e22 FLOP" in done.out
    assert all(len(line) <= 80 for line in done.out.splitlines())
    experts = ask(run, f"--model {tmp_path / 'deepseek-v3.json'} --tokens 14.8T").out
    assert "n_params_with_embedding  671B" in experts
    assert "n_active_params          35.7B" in experts[: experts.index("\nSet\n")]


def test_a_config_that_lacks_a_size_says_so_first(run: Any, llama: Path) -> None:
    config = json.loads(llama.read_text())
    del config["num_attention_heads"]
    llama.write_text(json.dumps(config))
    warnings = ask(run, f"--model {llama} --tokens 1T").out.partition("Warnings\n")[2]
    assert warnings.lstrip().startswith("the config.json lacks num_attention_heads,")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--params 1B --tokens 20B --task vision", "task=vision is not covered"),
        ("--params 1B --tokens 20B --task speech", "give language, vision, rl, diffusion"),
        ("--finetune lora --tokens 1B", "give its config.json as model"),
        ("--finetune lora --lora-rank 0 --model {llama}", "lora_rank=0 is below 1"),
        ("--finetune lora --lora-rank big --model {llama}", "--lora-rank"),
        ("--finetune full --lora-rank 8 --model {llama}", "trains all weights"),
        ("--finetune both --model {llama}", "give lora, full"),
        ("--params 1B --tokens 20B --model {resnet}", "resnet is of no transformer, which is not covered"),
    ],
)
def test_what_is_not_covered_or_wrong_is_one_sentence(
    run: Any, llama: Path, tmp_path: Path, words: str, says: str
) -> None:
    resnet = tmp_path / "resnet.json"
    resnet.write_text(json.dumps({"model_type": "resnet", "hidden_sizes": [256, 512], "depths": [3, 4]}))
    done = ask(run, words.format(llama=llama, resnet=resnet))
    assert (done.status, done.out) == (2, "")
    assert says in done.err
    assert len(done.err.splitlines()) == 1
