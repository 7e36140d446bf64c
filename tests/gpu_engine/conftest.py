"""Every test that takes ``backend`` runs on all of them."""

import pytest

BACKENDS = ("reference", "numpy", "numba")


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param
