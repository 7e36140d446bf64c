"""List the markets that a calibration is made of."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipeline.errors import UserError
from pipeline.studies.calibrate.markets import KINDS, Kind, Market
from pipeline.studies.calibrate.measure import Outcome


@dataclass(frozen=True)
class Plan:
    """``nulls`` markets of each of ``null_kinds``, ``planted`` of each of ``strengths``."""

    nulls: int
    null_kinds: tuple[Kind, ...]
    planted: int
    strengths: tuple[float, ...]

    def markets(self, known: Mapping[Market, Outcome]) -> list[Market]:
        """Every market, in the order in which they are measured; seeds count from 0.

        A seed whose candles cannot carry a planted strength makes room for the next one. What is
        not ``known`` yet is taken to carry it, so the list grows while markets are measured; the
        one at the end does not depend on the order of measuring.

        Raises
        ------
        UserError
            If most candles cannot carry a strength.
        """
        wanted = [Market(kind, seed) for kind in self.null_kinds for seed in range(self.nulls)]
        for strength in self.strengths if self.planted else ():
            wanted += self._planted(strength, known)
        return sorted(wanted, key=lambda m: (m.seed, KINDS.index(m.kind), m.strength or 0.0))

    def _planted(self, strength: float, known: Mapping[Market, Outcome]) -> Iterator[Market]:
        carried = seed = 0
        while carried < self.planted:
            market = Market("planted", seed, strength)
            out_of_reach = market in known and known[market].stage is None
            carried += not out_of_reach
            seed += 1
            if seed - carried > 10 + 2 * self.planted:
                raise UserError(
                    f"--strengths {strength:g}: {seed - carried} of {seed} generated years cannot"
                    f" carry it; the last says: {known[market].source} Leave it out or lower it."
                )
            yield market
