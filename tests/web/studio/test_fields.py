import pytest

from pipeline.config import OptimizerConfig, ValidationConfig, meanings
from pipeline.web.service.requests import Random, WalkForward
from pipeline.web.studio.widgets.form import _plain, _typed


def _schema(model, name):
    return _plain(model.model_json_schema()["properties"][name])


@pytest.mark.parametrize(
    ("value", "held"), [(500.0, 500), (0.0, 0), (1.5, 1.5), (None, None), ("", None)]
)
def test_a_whole_number_is_an_int_and_nothing_is_none(value, held):
    typed = _typed(value, _schema(Random, "samples"))
    assert typed == held
    assert type(typed) is type(held)


def test_bounds_come_from_the_request():
    samples = _schema(Random, "samples")
    assert (samples["minimum"], samples["maximum"]) == (1, 10_000_000)
    assert _schema(WalkForward, "step")["maximum"] == 3650


def test_every_choice_has_a_sentence():
    from pipeline.web.service.composing import choices

    assert meanings(OptimizerConfig).keys() == set(choices().optimizers)
    assert meanings(ValidationConfig).keys() == set(choices().validations)
