"""`hplaw transfer`: the record of the library, a page for people, and what is refused."""

import json
from typing import Any

from hplaw.messages.record import encode
from hplaw.messages.transfer import TransferRequest
from hplaw.theory.batch_transfer import transfer
from tests.helpers import shipped


def test_the_command_prints_the_record_of_the_library(run: Any) -> None:
    done = run("transfer", "--lr", "1e-3", "--batch", "256", "--to-batch", "1024", "--beta1", "0.8", "--json")
    query = TransferRequest(peak_lr=1e-3, batch_tokens=256, to_batch_tokens=1024, given={"base_beta1": 0.8})
    assert done.status == 0
    assert json.loads(done.out) == json.loads(encode(transfer(query, shipped())))
    page = run("transfer", "--lr", "0.1", "--batch", "256", "--to-batch", "4k", "--optimizer", "sgd").out
    assert "batch^1" in page
    assert "batch^0.5" in page
    for words in (
        ["--batch", "0", "--to-batch", "2"],
        ["--batch", "2", "--to-batch", "inf"],
        ["--batch", "2", "--to-batch", "4", "--beta1", "1"],
    ):
        wrong = run("transfer", "--lr", "1e-3", *words)
        assert wrong.status == 2
        assert "allowed" in wrong.err or "give" in wrong.err


def test_the_command_takes_a_rate_of_adamw_to_muon(run: Any) -> None:
    words = ["--lr", "3e-4", "--optimizer", "muon", "--from-optimizer", "adamw"]
    page = run("transfer", *words, "--given", "d_model=4096")
    assert page.status == 0
    assert "0.00384" in page.out
    matched = run("transfer", *words, "--given", "d_model=4096", "--muon-scale", "rms", "--json")
    assert json.loads(matched.out)["conversion"]["peak_lr"] == 3e-4
    lacking = run("transfer", *words)
    assert lacking.status == 2
    assert "give given.d_model" in lacking.err
