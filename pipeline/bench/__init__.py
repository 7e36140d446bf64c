"""The benchmark: backends first held against `reference`, then timed (`scripts/bench`)."""
