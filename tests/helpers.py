"""What the tests of the core share: the fixtures, laws written in a few lines, and catalogues of given laws."""

import functools as ft
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hplaw.catalogue.catalogue import Catalogue, load_catalogue
from hplaw.errors import HplawError, LawError
from hplaw.law import Law, parse_law, read_law


FIXTURES = Path(__file__).parent / "law" / "fixtures"
_SHIPPED = {"abc-classification": files("hplaw_laws") / "theory" / "abc-classification.toml"}
"""Fixtures that are shipped as they are."""
_FILES = {file.stem: file for file in FIXTURES.glob("*.toml")} | {
    name: Path(str(file)) for name, file in _SHIPPED.items()
}
FIXTURE_NAMES = tuple(sorted(_FILES))


LLAMA_3_8B: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 128000,
    "eos_token_id": 128001,
    "hidden_act": "silu",
    "hidden_size": 4096,
    "initializer_range": 0.02,
    "intermediate_size": 14336,
    "max_position_embeddings": 8192,
    "model_type": "llama",
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "rope_theta": 500000.0,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.40.0.dev0",
    "use_cache": True,
    "vocab_size": 128256,
}
"""A config.json of Llama 3 8B."""

MIXTRAL_8X7B: dict[str, Any] = {
    "architectures": ["MixtralForCausalLM"],
    "hidden_act": "silu",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "max_position_embeddings": 32768,
    "model_type": "mixtral",
    "num_attention_heads": 32,
    "num_experts_per_tok": 2,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "num_local_experts": 8,
    "output_router_logits": False,
    "rope_theta": 1000000.0,
    "router_aux_loss_coef": 0.02,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "vocab_size": 32000,
}
"""A config.json of Mixtral 8x7B."""


@ft.cache
def fixture_law(name: str) -> Law:
    """Return one of the six fixtures."""
    return read_law(_FILES[name])


@ft.cache
def shipped() -> Catalogue:
    """Return the laws that are shipped, and no others."""
    return load_catalogue(environ={})


def fixture_text(name: str) -> str:
    return _FILES[name].read_text()


def replaced(text: str, *pairs: tuple[str, str]) -> str:
    """Return a text with parts replaced, each of which must be there."""
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


def law_text(
    body: str = '[outputs]\nsteps = "tokens / batch_tokens"',
    *,
    name: str = "test-law",
    inputs: str = '["tokens", "batch_tokens"]',
    head: str = "",
    status: str = "theory",
    checked: str = "derived",
    examples: str = "[[examples]]\ngiven = { tokens = 8, batch_tokens = 2 }\nexpect = { steps = 4 }",
) -> str:
    """Return a small law file; the parts that a test is about are given."""
    return f"""schema = 1
id = "{name}"
version = 1
title = "A law of the tests"
status = "{status}"
checked = "{checked}"
inputs = {inputs}
{head}
[source]
title = "The tests"

{body}

{examples}
"""


def make_law(*arguments: str, **parts: str) -> Law:
    """Return a small law; see `law_text`."""
    return parse_law(law_text(*arguments, **parts).encode())


def catalogue_of(*laws: Law) -> Catalogue:
    return Catalogue([(law, "test") for law in laws])


def write_arrays(path: Path, **arrays: Any) -> Path:
    """Write an npz beside a law, numbers as float64."""
    np.savez(path, **arrays)
    return path


def is_one_sentence(error: HplawError | str) -> bool:
    """Return whether a message is a line for people: no traceback, no type of Python's, not too long."""
    text = str(error)
    leaks: Iterable[str] = ("Traceback", "<class", "object at 0x", "NoneType", "msgspec", "Error(")
    return 0 < len(text) < 700 and "\n" not in text and not any(leak in text for leak in leaks)


def refused(text: str) -> LawError:
    """Return the error with which a law file is refused, one sentence for people."""
    with pytest.raises(LawError) as caught:
        parse_law(text.encode())
    assert is_one_sentence(caught.value)
    return caught.value


def check_refused(text: str, place: str, says: str) -> None:
    """Assert that a law file is refused, with table and key and some words of the problem."""
    error = refused(text)
    assert ".".join(part for part in (error.table, error.key) if part) == place, error
    assert says in error.problem, error


def problems_in(catalogue: Catalogue, folder: Path) -> list[LawError]:
    """Return what could not be read of a folder."""
    return [problem for problem in catalogue.problems if problem.file.startswith(str(folder))]
