"""Draw points at random: without replacement on a discrete space, else uniform."""

import numpy as np

from gpu_engine import Float
from pipeline.search.space import Space

BATCH = 4096


class RandomSearch:
    """``samples`` points drawn at once from one seeded generator (see `Method`)."""

    def __init__(self, space: Space, samples: int, seed: np.random.SeedSequence) -> None:
        generator = np.random.default_rng(seed)
        if space.discrete:
            index = generator.choice(space.size, size=min(samples, space.size), replace=False)
            self._points = space.points(index)
        else:
            columns = [d.draw(samples, generator) for d in space.dimensions]
            self._points = np.column_stack(columns)
        self._asked = 0

    def ask(self) -> Float:
        """Return up to 4,096 of the points still to evaluate."""
        batch = self._points[self._asked : self._asked + BATCH]
        self._asked += len(batch)
        return batch

    def tell(self, points: Float, scores: Float) -> None:
        """Nothing to learn."""
