"""The tool that writes the prior over recipes."""

from pathlib import Path

import numpy as np
import pytest

from hplaw.catalogue.catalogue import load_catalogue
from hplaw_experiments.recipes.recipe import PRIOR, read_prior
from tests.helpers import shipped
from tools.learn_recipe_prior import main


@pytest.mark.slow
def test_it_writes_the_prior_that_is_shipped(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--data", str(data), "--to", str(tmp_path / PRIOR)])
    assert f"wrote {tmp_path / PRIOR}: {PRIOR}@" in capsys.readouterr().out
    written = read_prior(load_catalogue([tmp_path]).get(PRIOR))
    released = read_prior(shipped().get(PRIOR))
    np.testing.assert_allclose(written.mean, released.mean, rtol=1e-9)
    np.testing.assert_allclose(written.between, released.between, rtol=1e-9)
    assert "tools/learn_recipe_prior.py" in (tmp_path / PRIOR / "card.md").read_text()
