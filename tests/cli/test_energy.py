"""The screens of `hplaw hardware`."""

from hplaw.cli import main


def test_the_list_of_accelerators_fits_a_screen_and_one_is_shown_whole(capfd):
    assert main(["hardware"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.split()[:4] == ["gaudi2", "432", "865", "-"] for line in lines)
    assert main(["hardware", "NVIDIA GB300"]) == 0
    said = capfd.readouterr().out
    assert "peak nvfp4" in said
    assert "1.8T byte/s" in said


def test_prices_are_repeated_as_they_were_given(capfd):
    words = ["--params", "7B", "--tokens", "1T", "--hardware", "gb300", "mi355x", "--price", "gb300=6", "mi355x=3"]
    assert main(["energy", *words]) == 0
    assert "prices gb300=6, mi355x=3" in " ".join(capfd.readouterr().out.split())
