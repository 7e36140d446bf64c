"""Cores and GPUs of a machine are divided among its workers before they load anything."""

import os

import pytest

from pipeline.executors.processes import Processes
from pipeline.executors.share import CORES, GPUS, cores, environment, gpus
from support import work


@pytest.mark.parametrize(("divided", "allowed"), [("3", 3), ("0", None), ("", None), ("all", None)])
def test_cores_are_the_share_or_all_that_the_process_may_run_on(monkeypatch, divided, allowed):
    monkeypatch.setenv(CORES, divided)
    assert cores() == (allowed or len(os.sched_getaffinity(0)))


@pytest.mark.parametrize(
    ("visible", "names"), [("0,2", ("0", "2")), ("", ()), (" GPU-5a, 1", ("GPU-5a", "1"))]
)
def test_gpus_are_those_that_cuda_shows(monkeypatch, visible, names):
    monkeypatch.setenv(GPUS, visible)
    assert gpus() == names


def test_the_environment_leaves_gpus_alone_unless_told():
    assert GPUS not in environment(2, None)
    assert environment(2, ())[GPUS] == ""
    assert environment(2, ("1", "GPU-5a")) == {
        "NUMBA_NUM_THREADS": "2",
        "OMP_NUM_THREADS": "2",
        "OPENBLAS_NUM_THREADS": "2",
        "MKL_NUM_THREADS": "2",
        "VECLIB_MAXIMUM_THREADS": "2",
        GPUS: "1,GPU-5a",
    }


def test_workers_have_their_share_and_gpus_are_dealt_out_in_turn(monkeypatch):
    monkeypatch.setenv(CORES, "7")
    monkeypatch.setenv(GPUS, "4,6")
    ended = list(Processes(3, 0).run(work.share_of_machine, None, range(6)))
    of_worker = {e.result[0]: e.result[1:] for e in ended}
    assert sorted(of_worker.values()) == [(2, "4", 2), (2, "4", 2), (2, "6", 2)]
    assert os.environ[CORES] == "7", "this process keeps its own"


def test_more_workers_than_cores_have_a_core_each(monkeypatch):
    monkeypatch.setenv(CORES, "1")
    (ended,) = Processes(4, 0).run(work.share_of_machine, None, [0])
    assert ended.result[1] == 1


def test_the_number_of_workers_is_the_number_of_cores_unless_given(monkeypatch):
    monkeypatch.setenv(CORES, "5")
    assert Processes(None, 0).slots == 5
    assert Processes(2, 0).slots == 2
