"""No answer of any endpoint gives a size to what may not be traded, whatever was stored for it."""

from itertools import product

import pytest

from pipeline.validation.stages import STAGES, judge
from support.signals import a_signal, copy_of, follow

#: Keys under which an answer says how much is traded.
SIZES = ("size", "max_position_size", "current_allocation", "kelly_fraction", "notional")
LUCKY = {"surrogate_p": 0.01, "p_value": 0.01, "reality_check_p": 0.01, "sample_size": 500}
#: Stage, synthetic, switched on by force.
NOTHING = [
    (stage, synthetic, forced)
    for stage, synthetic, forced in product(STAGES, (False, True), (False, True))
    if synthetic or stage in ("PAPER", "DECAY")
]


@pytest.fixture
def service(trained_service):
    return trained_service


@pytest.fixture
def kept(repository):
    """Store a configuration of a stage with the largest sizes, and switch it on."""
    (found,) = repository.configurations.find()
    gates = [gate.to_dict() for gate in judge(LUCKY)[1]]
    whole = {"max_position_size": 1.0, "current_allocation": 1.0, "kelly_fraction": 1.0}

    def keep(number, stage, synthetic, forced):
        identity = f"{found.id[:-6]}{number:06x}"
        configuration = copy_of(
            repository,
            found,
            identity,
            lifecycle_stage=stage,
            synthetic=synthetic,
            gates=gates,
            document={
                "status": stage,
                "risk_allocation": found.document["risk_allocation"] | whole,
                "metadata": found.document["metadata"] | {"synthetic": synthetic},
            },
        )
        repository.configurations.set_active(identity, True, "a test of it", forced=forced)
        follow(repository, identity)
        repository.live.keep_signals({identity: a_signal(configuration)})
        return identity

    return keep


def sizes(answer, path=()):
    """Every size of an answer, by where it stands."""
    if isinstance(answer, dict):
        for key, value in answer.items():
            if key in SIZES and value is not None:
                yield (*path, key), value
            yield from sizes(value, (*path, key))
    elif isinstance(answer, list):
        for place, value in enumerate(answer):
            yield from sizes(value, (*path, place))


def addresses(client, repository):
    """Every address that can be read, of every configuration and of the newest jobs."""
    identities = {
        "configuration_id": [one.id for one in repository.configurations.find()],
        "job_id": [job.id for job in repository.jobs.find(limit=2)],
    }
    for path, methods in client.get("/api/openapi.json").json()["paths"].items():
        if "get" not in methods or path.endswith("/events"):
            continue
        for name, known in identities.items():
            if f"{{{name}}}" in path:
                yield from (path.replace(f"{{{name}}}", one) for one in known)
        if "{" not in path:
            yield path


def read(client, repository):
    """The places that gave a size, and those sizes."""
    given = {}
    for address in addresses(client, repository):
        answer = client.get(address)
        if answer.status_code == 200:
            given[address] = dict(sizes(answer.json()))
    return given


def test_what_may_not_be_traded_has_no_size_anywhere(client, kept, repository):
    ids = [kept(number, *case) for number, case in enumerate(NOTHING)]
    given = read(client, repository)
    assert {size for found in given.values() for size in found.values()} == {0.0}
    for one in ids:
        for part in ("", "/explanation"):
            assert given[f"/api/configurations/{one}{part}"]
    assert len(given["/api/signals"]) == 2 * len(ids)
    assert len(given["/api/configurations/active"]) == 3 * len(ids)


def test_what_may_be_traded_has_its_size_everywhere(client, kept, repository):
    one = kept(1, "MATURE", False, False)
    given = read(client, repository)
    for address in (
        f"/api/configurations/{one}",
        f"/api/configurations/{one}/explanation",
        "/api/configurations/active",
        "/api/signals",
        f"/api/signals/{one}",
    ):
        assert max(given[address].values()) == 1.0, address
