"""The word of the command line becomes an executor, or a sentence."""

import importlib.util

import pytest

from pipeline.config import RayExecutor, TrainConfig, load
from pipeline.errors import UserError
from pipeline.executors import Local, make_executor
from pipeline.executors.processes import Processes


def configured(*overrides):
    return load(["market=demo", *overrides], TrainConfig, "train").executor


def test_local_is_the_default():
    executor = make_executor(configured())
    assert isinstance(executor, Local)
    assert executor.slots == 1


def test_processes_take_workers_and_retries():
    executor = make_executor(configured("executor=processes", "executor.workers=3"))
    assert isinstance(executor, Processes)
    assert executor.slots == 3


def test_ray_without_its_package_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"Use executor=processes, or add it: \S.* ray"):
        make_executor(configured("executor=ray"))


@pytest.mark.parametrize(
    ("address", "several"), [("local", False), ("auto", True), ("ray://10.0.0.7:10001", True)]
)
def test_only_ray_beyond_this_machine_has_several_nodes(address, several):
    config = configured("executor=ray", f"executor.address={address}")
    assert isinstance(config, RayExecutor)
    assert config.several_nodes is several
    assert not configured().several_nodes
    assert not configured("executor=processes").several_nodes


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["executor=rey"], "Did you mean 'ray'?"),
        (["executor=ray", "executor.address=null"], "executor.address must be text; given: null."),
        (
            ["executor=ray", "executor.address=10.0.0.7:6379"],
            'executor.address must be local, auto or ray://HOST:PORT; given: "10.0.0.7:6379".',
        ),
        (["executor=ray", "executor.num_gpus=-1"], "executor.num_gpus must be at least 0"),
        (["executor=ray", "executor.num_cpus=0"], "executor.num_cpus must be at least 1"),
        (["executor=processes", "executor.workers=0"], "executor.workers must be at least 1"),
        (["executor=processes", "executor.retries=-1"], "executor.retries must be at least 0"),
        (["executor=local", "executor.workers=2"], "executor.workers is not a key"),
    ],
)
def test_an_impossible_executor_is_refused(overrides, sentence):
    with pytest.raises(UserError) as refused:
        configured(*overrides)
    assert sentence in str(refused.value)
