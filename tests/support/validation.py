"""Validation settings for tests that are about something else."""

#: Fields of `pipeline.config.validation.LuckTests`, made small.
LUCK = {
    "evidence": "full",
    "resamples": 99,
    "surrogate_count": 20,
    "memory_gb": 0.5,
}
