"""Read the out-of-sample series of a sweep's markets and pool them (validation rules §3.19)."""

import operator
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import UserError
from pipeline.results.artifacts import read_out_of_sample
from pipeline.results.records import SweepMember
from pipeline.validation.pooling import MarketSeries, PooledVerdict, pooled_verdict


def pooled_verdicts(
    root: Path, members: Sequence[SweepMember], left_out: int
) -> list[PooledVerdict]:
    """Pool the markets of a sweep, strategies apart, and real candles apart from generated ones.

    Parameters
    ----------
    root : Path
        The folder of the artifacts.
    members : sequence of SweepMember
        What the markets stored.
    left_out : int
        Markets that completed and stored nothing, which no pool has.

    Returns
    -------
    list of PooledVerdict
        Of real candles first; none of fewer than two markets.

    Raises
    ------
    UserError
        When the series of one is not in ``root``, or cannot be read.
    """
    families: dict[tuple[bool, str], list[MarketSeries]] = {}
    for member in members:
        family = families.setdefault((member.synthetic, member.strategy), [])
        family.append(_series(root, member))
    pools = [
        pooled_verdict(series, strategy=strategy, synthetic=synthetic, left_out=left_out)
        for (synthetic, strategy), series in sorted(families.items(), key=operator.itemgetter(0))
    ]
    return [pool for pool in pools if pool is not None]


def _series(root: Path, member: SweepMember) -> MarketSeries:
    try:
        daily = read_out_of_sample(root, member.configuration_id)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"The markets cannot be pooled: the out-of-sample days of {member.configuration_id}"
            f" cannot be read from {root}: {reason}"
        ) from None
    return MarketSeries(member.pair.partition("/")[0], daily.day, daily.returns)
