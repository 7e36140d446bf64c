"""A row of a configuration whose stage and gates follow from its figures."""

from pipeline.results.records import Configuration
from pipeline.validation.stages import judge

#: What a row is of.
IDENTITY = {
    "id": "LIQUIDITY_SWEEP_V3_20230131_235959_a1b2c3",
    "job_id": "0" * 32,
    "strategy": "LIQUIDITY_SWEEP_V3",
    "exchange": "binance",
    "pair": "BTC/USDT",
    "timeframe": "5m",
}


def judged_row(out_of_sample, statistics, stage=None, **fields):
    """Judge figures and put them into a row; ``stage`` in place of what follows from them."""
    judged, gates = judge(out_of_sample | statistics)
    row = IDENTITY | {
        "lifecycle_stage": stage or judged,
        "synthetic": False,
        "gates": [gate.to_dict() for gate in gates],
        "artifacts": None,
    }
    empty = ("parameters", "in_sample", "circuit_breakers", "provenance", "document")
    row |= {name: {} for name in empty} | fields
    return Configuration(out_of_sample=out_of_sample, statistics=statistics, **row)
