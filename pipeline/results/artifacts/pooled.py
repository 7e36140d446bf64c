"""Read the out-of-sample series of a sweep's markets and pool them (validation rules §3.19)."""

import operator
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import UserError, in_one_line
from pipeline.results.artifacts.artifact_set import OUT_OF_SAMPLE, read_series
from pipeline.results.artifacts.digests import check_file
from pipeline.results.records import SweepMember
from pipeline.validation.pooling import MarketSeries, PooledVerdict, pooled_verdict


def search_of(label: str) -> str:
    """Return what follows the market in a label: it tells several searches of a market apart."""
    return label.partition(" ")[2]


def pooled_verdicts(root: Path, members: Mapping[str, SweepMember | None]) -> list[PooledVerdict]:
    """Pool the markets of each search, strategies apart, and real candles apart from generated.

    Parameters
    ----------
    root : Path
        The folder of the artifacts.
    members : mapping of str to SweepMember or None
        What the markets that completed stored, by label; None where that was nothing, so that no
        pool has it.

    Returns
    -------
    list of PooledVerdict
        Of real candles first; none of fewer than two markets.

    Raises
    ------
    UserError
        When the series of one is not in ``root``, or cannot be read.
    """
    left_out = Counter(search_of(label) for label, member in members.items() if member is None)
    families: dict[tuple[bool, str, str], list[MarketSeries]] = {}
    for label, member in members.items():
        if member is not None:
            key = (member.synthetic, member.strategy, search_of(label))
            families.setdefault(key, []).append(_series(root, member))
    pools = [
        pooled_verdict(
            series,
            strategy=f"{strategy} ({search})" if "=" in search else strategy,
            synthetic=synthetic,
            left_out=left_out[search],
        )
        for (synthetic, strategy, search), series in sorted(
            families.items(), key=operator.itemgetter(0)
        )
    ]
    return [pool for pool in pools if pool is not None]


def _series(root: Path, member: SweepMember) -> MarketSeries:
    file = root / member.configuration_id / OUT_OF_SAMPLE
    try:
        if member.artifact_digests:  # of whatever a training stored
            check_file(file, member.artifact_digests[OUT_OF_SAMPLE])
        daily = read_series(file)
    except (OSError, ValueError) as error:
        reason = in_one_line(error)
        raise UserError(
            f"The markets cannot be pooled: the out-of-sample days of {member.configuration_id}"
            f" cannot be read from {root}: {reason}"
        ) from None
    return MarketSeries(member.pair.partition("/")[0], daily.day, daily.returns)
