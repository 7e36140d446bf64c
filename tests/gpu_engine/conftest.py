"""Every test that takes ``backend`` runs on all of them."""

import pytest

from support.backends import ALL


@pytest.fixture(params=ALL)
def backend(request):
    return request.param
