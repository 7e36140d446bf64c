"""Names of the strategy's parameters, as tests spell them. They stand here, in conf and in the
strategy's own tests; whoever renames one changes those.
"""

#: In the order of ``conf/strategy/liquidity_sweep.yaml``.
NAMES = (
    "pierce_depth",
    "rejection_candles",
    "volume_spike_threshold",
    "reversal_candle_size",
    "key_level_lookback",
    "stop_distance",
    "target_multiple",
    "min_stop_density_score",
    "max_spread_tolerance",
)
DEPTH, REJECTION, VOLUME, SIZE, LOOKBACK, STOP, TARGET, DENSITY, SPREAD = NAMES


def combination(*values):
    """One value a parameter, in order; the two filters are off where they are left out."""
    return dict(zip(NAMES, (*values, *(0.5, None)[len(values) - 7 :]), strict=True))
