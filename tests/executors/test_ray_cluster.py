"""The same promises on Ray: its workers and whole nodes may die, every task ends once."""

import os
import signal
import time

import pytest

from pipeline.config import RayExecutor
from pipeline.errors import UserError
from pipeline.executors import TaskResult, make_executor
from pipeline.executors.signs_of_life import started
from support import work

pytest.importorskip("ray", reason="Ray is not installed: pip install -e .[ray]")

pytestmark = [
    pytest.mark.slow,  # a cluster takes up to a quarter of a minute to start
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Ray leaves its log files open
]


def on_ray(**changes):
    values = {"name": "ray", "address": "local", "num_cpus": 1, "num_gpus": 0.0, "retries": 2}
    return make_executor(RayExecutor(**values | changes))


@pytest.fixture(scope="module")
def cluster():
    """A cluster of one node with two cores in this machine, joined by this process."""
    import ray
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "num_gpus": 0})
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def test_every_task_ends_once_and_few_are_drawn_ahead(cluster):
    executor, drawn, results = on_ray(), 0, []

    def tasks():
        nonlocal drawn
        for drawn in range(1, 101):  # noqa: UP028  (counts)
            yield drawn

    assert executor.slots == 2
    for yielded, ended in enumerate(executor.run(work.multiply, 3, tasks())):
        assert drawn - yielded <= 4 * executor.slots
        results.append(ended)
    results.sort(key=lambda ended: ended.task)
    assert results == [TaskResult(task, 3 * task, None) for task in range(1, 101)]


def test_an_error_is_a_sentence_and_the_others_go_on(cluster):
    ended = sorted(on_ray().run(work.refuse, "shared", range(4)), key=lambda e: e.task)
    assert [e.result for e in ended] == [0, None, None, 3]
    assert ended[1].error == "market.base must be letters; given: 'a1'."
    assert ended[2].error == "ZeroDivisionError"


def test_every_call_of_a_worker_is_given_the_same_shared_object(cluster):
    calls = {}
    for ended in on_ray().run(work.count_calls, [], range(12)):
        process, before = ended.result
        calls.setdefault(process, []).append(before)
    assert all(sorted(counts) == list(range(1, len(counts) + 1)) for counts in calls.values())


def test_workers_have_the_cores_of_their_task_and_see_no_gpu(cluster):
    (ended,) = on_ray(num_cpus=2).run(work.share_of_machine, None, [0])
    assert ended.result[1:] == (2, "", 2)
    assert on_ray(num_cpus=2).slots == 1


def test_a_task_that_no_node_has_room_for_is_refused(cluster):
    with pytest.raises(UserError, match=r"executor.num_gpus=0.5; a node has at most"):
        next(on_ray(num_gpus=0.5).run(work.multiply, 1, [1]))


def test_tasks_whose_worker_was_killed_are_done_by_another(cluster, tmp_path):
    ended = list(on_ray().run(work.die_at_first, str(tmp_path), range(8)))
    assert sorted(e.task for e in ended) == list(range(8))
    assert all(e.result == e.task for e in ended)
    assert {mark.name for mark in tmp_path.iterdir()} == {"1", "3", "5", "7"}


def test_a_task_that_kills_every_worker_is_given_up_after_its_retries(cluster):
    ended = {e.task: e for e in on_ray(retries=1).run(work.die, 3, range(3))}
    assert [ended[task].result for task in (0, 2)] == [0, 2]
    assert "2 times, the last time with WorkerCrashedError" in ended[1].error


def test_a_node_that_is_lost_loses_no_task(cluster, tmp_path):
    node = cluster.add_node(num_cpus=2)
    executor = on_ray()
    assert executor.slots == 4
    run = executor.run(work.note_node_and_nap, str(tmp_path), range(40))
    ended = [next(run) for _ in range(10)]
    cluster.remove_node(node, allow_graceful=False)
    ended += run
    assert sorted((e.task, e.error) for e in ended) == [(task, None) for task in range(40)]
    assert len({e.result for e in ended}) == 2, "both nodes had work"
    wait_for(lambda: executor.slots == 2)


def test_closing_the_iterator_stops_the_workers(cluster, tmp_path):
    run = on_ray().run(work.announce_unless_first, str(tmp_path), range(9))
    assert next(run).task == 0
    wait_for(lambda: list(tmp_path.iterdir()))
    busy = [int(mark.name) for mark in tmp_path.iterdir()]
    run.close()
    wait_for(lambda: all(started(process) is None for process in busy))


def test_workers_end_with_a_killed_command(tmp_path):
    with work.start_run("ray", "announce_and_sleep", tmp_path) as parent:
        wait_for(lambda: len(list(tmp_path.iterdir())) == 2)
        busy = [int(mark.name) for mark in tmp_path.iterdir()]
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        wait_for(lambda: all(started(process) is None for process in busy))


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)
