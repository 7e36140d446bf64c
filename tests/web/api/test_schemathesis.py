"""Whatever a client sends that the description allows, or does not, no endpoint breaks.

Cases are drawn through Hypothesis: schemathesis's own pytest plugin asks for an older pytest.
"""

import pytest
import schemathesis
from hypothesis import HealthCheck, errors, given, settings

from pipeline.web.api.app import create_app

GenerationMode = schemathesis.GenerationMode

HERE = {"Host": "127.0.0.1"}

#: A stream without an end, which this client would wait for.
ENDLESS = "/api/signals/events"

#: Cases of every endpoint and mode.
FEW, MANY = 3, 40


@pytest.mark.filterwarnings("ignore")  # schemathesis warns of what it cannot generate
@pytest.mark.parametrize("examples", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
@pytest.mark.parametrize("mode", list(GenerationMode), ids=str)
def test_no_endpoint_breaks(service, mode, examples):
    described = schemathesis.openapi.from_asgi(
        "/api/openapi.json", create_app(service, starts_a_minute=10_000), headers=HERE
    )
    operations = [found.ok() for found in described.get_all_operations()]
    for operation in operations:
        if operation.path != ENDLESS:
            _send_many(operation, mode, examples)
    assert len(operations) == 43


def _send_many(operation, mode, examples):
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def send(case):
        answer = case.call(headers=HERE)
        assert answer.status_code < 500, (operation.label, answer.status_code, answer.text)

    try:
        send()
    except errors.Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE  # an endpoint that takes nothing
