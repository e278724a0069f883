"""Random subspaces: enough directions solve the task, few do not, and how many does not depend on the width."""

import json

import msgspec
import pytest

from hplaw.cli import main
from hplaw_experiments.diagnostics.intrinsic_dimension import intrinsic_dimension
from hplaw_experiments.trial import Trial


TRIAL = Trial(
    width=16, n_layers=1, tokens=64 * 60, batch_tokens=64, peak_lr=0.01, optimizer="adam", warmup_fraction=0.0
)


def test_more_directions_do_better_and_the_least_that_will_do_is_found() -> None:
    found = intrinsic_dimension(TRIAL, (4, 200), rates=(0.1,), n_seeds=1, share=0.6)
    few, many = found.subspaces
    assert found.n_params == 64 * 16 + 16 * 10
    assert few.accuracy < 0.5 < many.accuracy < found.full_accuracy
    assert (found.below, found.d90) == (4, 200)
    assert found.say.startswith("200 of 1184 directions reach 60%")


@pytest.mark.parametrize("wrong", [(), (0, 5), (5, 1185)])
def test_dimensions_that_the_model_does_not_have_are_refused(wrong: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="between 1 and the 1184 parameters"):
        intrinsic_dimension(TRIAL, wrong)


def test_the_command_measures_and_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["intrinsic-dimension", "--width", "16", "--steps", "10", "--seeds", "1"]
    assert main([*words, "--dimensions", "2", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["below"], found["d90"]) == (2, None)
    assert "no dimension up to 2 reaches 90%" in found["say"]
    assert main([*words, "--dimensions", "5000"]) == 2
    assert "1184 parameters" in capsys.readouterr().err
    assert main([*words, "--share", "0"]) == 2
    assert "share" in capsys.readouterr().err


@pytest.mark.slow
def test_four_times_the_parameters_need_hardly_more_directions() -> None:
    long = msgspec.structs.replace(TRIAL, tokens=64 * 400)
    found = {
        width: intrinsic_dimension(msgspec.structs.replace(long, width=width), (32, 64, 96, 128, 192, 256), n_seeds=2)
        for width in (32, 128)
    }
    assert found[128].n_params == 4 * found[32].n_params
    for report in found.values():
        assert report.full_accuracy > 0.95
        assert report.d90 is not None
        assert 64 < report.d90 <= 256
    assert found[128].d90 <= 2 * found[32].d90
