import pytest

from pipeline.web.service.answers import ParameterChoice
from pipeline.web.studio.widgets.form import _is_grid, _read, _written


def test_a_grid_is_written_and_read_back():
    grid = [None, 0.0005, 2.0, 150.0]
    assert _written(grid) == "off, 0.0005, 2, 150"
    assert _read(_written(grid)) == grid


@pytest.mark.parametrize("written", ["", "1,", "a", "nan", "inf", "1;2", "__import__"])
def test_what_is_no_list_of_numbers_is_refused(written):
    assert not _is_grid(written)


def test_the_shipped_grids_survive_being_shown():
    from pipeline.web.service.composing import choices

    for parameters in choices().strategies.values():
        for parameter in parameters:
            assert isinstance(parameter, ParameterChoice)
            assert _read(_written(parameter.grid)) == parameter.grid
