"""Both ways to the event table of one combination: vectorised, and the plain loop."""

import pytest

from support.events import plain, vectorised


@pytest.fixture(params=[vectorised, plain], ids=["vectorised", "plain"])
def events(request):
    return request.param
