"""The benchmark: backends are first held against `reference`, then timed (`scripts/bench`)."""
