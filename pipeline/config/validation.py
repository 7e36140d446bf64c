"""How a search is tested: unseen days and luck (`conf/validation`, validation rules §1, §4)."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

from omegaconf import OmegaConf
from pydantic import Field, ValidationInfo, field_validator

from pipeline.config.loading import CONFIG_DIR
from pipeline.config.section import Days, Section


class LuckTests(Section):
    """How much of the evidence against luck is gathered (validation rules §3 to §5).

    ``evidence=deciding`` leaves out whatever cannot change the stage of this configuration: the
    stage is the same, what is only reported is missing. ``resamples`` of the reality check;
    ``surrogates`` repeats the search on up to ``surrogate_count`` surrogate histories of each
    kind, at least 20: the smallest p of 19 is 0.05, which passes no gate. ``memory_gb`` bounds
    what the daily returns of all combinations may hold at a time.
    """

    evidence: Literal["full", "deciding"]
    resamples: Annotated[int, Field(ge=99, le=100_000)]
    surrogates: bool
    surrogate_count: Annotated[int, Field(ge=20, le=1_000_000)]
    memory_gb: Annotated[float, Field(gt=0)]


class WalkForward(LuckTests):
    """Search on ``train`` days, skip ``gap``, test on ``test``; move on by ``step``; repeat.

    All in days. ``step`` None means ``test``. ``anchored`` lets every train part begin on day 0.
    """

    method: Literal["walk_forward"]
    train: Days
    gap: Annotated[int, Field(ge=0)]
    test: Days
    step: Days | None
    anchored: bool

    @field_validator("step")
    @classmethod
    def _no_overlap(cls, step: int | None, info: ValidationInfo) -> int | None:
        test = info.data.get("test")
        if step is not None and test is not None and step < test:
            raise ValueError(f"must be at least validation.test ({test}): tests must not overlap")
        return step

    @property
    def stride(self) -> int:
        """Days from one window to the next."""
        return self.test if self.step is None else self.step

    def complaint(self, days: float) -> str | None:
        """Say why ``days`` of history are too few, if they are: two windows must fit."""
        span = self.train + self.gap + self.test
        needed = span + self.stride
        if days >= needed:
            return None
        advice = (
            "Ask for more history, shorten validation.train or use validation=train_test_split."
            if _split_would_do(days)
            else "Ask for more history or shorten validation.train and validation.test."
        )
        return (
            f"validation needs {needed} days for two windows (train {self.train} + gap {self.gap}"
            f" + test {self.test} + step {self.stride}), the history has {days:g}. {advice}"
        )


class TrainTestSplit(LuckTests):
    """Search on the first ``ratio`` of the days, skip ``gap`` days, test on the rest.

    ``test`` is the smallest number of days worth testing on.
    """

    method: Literal["train_test_split"]
    ratio: Annotated[float, Field(gt=0, lt=1)]
    gap: Annotated[int, Field(ge=0)]
    test: Days

    def train_days(self, days: int) -> int:
        """Whole days to train on, of ``days`` of history."""
        return int(Fraction(str(self.ratio)) * days)  # 0.7 of 90 is 63, in floats 62.99...

    def complaint(self, days: float) -> str | None:
        """Say why ``days`` of history are too few, if they are."""
        left = int(days) - self.train_days(int(days)) - self.gap
        if self.train_days(int(days)) < 1:
            return (
                f"validation.ratio={self.ratio:g} leaves no day of {days:g} to train on: raise it"
                " or ask for more history."
            )
        if left >= self.test:
            return None
        return (
            f"validation leaves {max(left, 0)} of {days:g} days to test on (ratio {self.ratio:g},"
            f" gap {self.gap}), at least {self.test} are needed. Ask for more history or lower"
            " validation.ratio, validation.gap or validation.test."
        )


def _split_would_do(days: float) -> bool:
    """Whether `conf/validation/train_test_split.yaml` as it stands takes ``days`` of history."""
    choice = OmegaConf.load(CONFIG_DIR / "validation" / "train_test_split.yaml")
    return TrainTestSplit.model_validate(OmegaConf.to_container(choice)).complaint(days) is None


ValidationConfig = Annotated[WalkForward | TrainTestSplit, Field(discriminator="method")]
