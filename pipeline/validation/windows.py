"""Cut candles into train and test windows over whole UTC days (validation rules §1)."""

from dataclasses import dataclass

import numpy as np

from gpu_engine import DAY_MS, Candles, Window
from pipeline.config.validation import MovingWindows, TrainTestSplit
from pipeline.errors import UserError


@dataclass(frozen=True)
class Split:
    """One train window, and the test window that starts ``gap`` days after its end."""

    train: Window
    test: Window


@dataclass(frozen=True)
class Days:
    """The whole UTC days of some candles: day ``i`` starts at bar ``first_bar + i * per_day``."""

    first_bar: int
    per_day: int
    count: int

    def window(self, start: int, end: int) -> Window:
        """Days ``[start, end)`` as bars."""
        return Window(self.first_bar + start * self.per_day, self.first_bar + end * self.per_day)

    @property
    def whole(self) -> Window:
        """All full days, one window."""
        return self.window(0, self.count)


def whole_days(candles: Candles) -> Days:
    """From the first UTC midnight to the last (validation rules §1)."""
    per_day = DAY_MS // candles.step_ms
    midnights = np.flatnonzero(candles.timestamp[:per_day] % DAY_MS == 0)
    if not len(midnights):
        return Days(0, per_day, 0)
    first = int(midnights[0])
    return Days(first, per_day, (len(candles) - first) // per_day)


def splits(validation: MovingWindows | TrainTestSplit, days: Days) -> list[Split]:
    """Return the windows of a history.

    Raises
    ------
    UserError
        When the history is too short for them; it says how many days there are and are needed.
    """
    complaint = validation.complaint(days.count)
    if complaint:
        raise UserError(complaint)
    if isinstance(validation, TrainTestSplit):
        train = validation.train_days(days.count)
        return [Split(days.window(0, train), days.window(train + validation.gap, days.count))]
    gap, test = validation.gap, validation.test
    return [
        Split(
            days.window(end - validation.train_days(end), end),
            days.window(end + gap, end + gap + test),
        )
        for end in range(validation.train, days.count - gap - test + 1, validation.stride)
    ]


def final_window(validation: MovingWindows | TrainTestSplit, days: Days) -> Window:
    """Days on which the stored configuration is found (validation rules §1.7).

    Those that the next window would train on; the train part of a split.
    """
    train = validation.train_days(days.count)
    if isinstance(validation, TrainTestSplit):
        return days.window(0, train)
    return days.window(days.count - train, days.count)
