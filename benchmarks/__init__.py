"""How fast and how good hplaw is: modules whose `run()` returns one row per measure; `python -m benchmarks` runs them all."""
