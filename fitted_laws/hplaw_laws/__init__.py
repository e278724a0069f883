"""The laws that ship with hplaw, as data: one TOML file per law under theory, published and calibrated."""

__all__: list[str] = []
