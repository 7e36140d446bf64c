"""All ways to the event table of one combination: compiled, NumPy, and the plain loop."""

import pytest

from support.events import in_numpy, plain, vectorised


@pytest.fixture(params=[vectorised, in_numpy, plain], ids=["compiled", "numpy", "plain"])
def events(request):
    return request.param
