"""What every executor promises: each task ends once, tasks are drawn late, errors are words."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.executors import Local, TaskResult
from pipeline.executors.processes import Processes
from support import work

EXECUTORS = [
    pytest.param(Local(), id="local"),
    pytest.param(Processes(1, 0), id="one process"),
    pytest.param(Processes(3, 2), id="three processes"),
]


@given(st.lists(st.integers()), st.integers())
def test_local_ends_every_task_in_order(tasks, factor):
    ended = list(Local().run(work.multiply, factor, tasks))
    assert ended == [TaskResult(task, factor * task, None) for task in tasks]


@settings(max_examples=5)
@given(st.lists(st.integers(0, 99), max_size=20), st.integers(1, 3), st.integers(0, 2))
def test_processes_end_every_task_once(tasks, workers, retries):
    ended = list(Processes(workers, retries).run(work.nap_and_multiply, 7, tasks))
    assert sorted((e.task, e.result) for e in ended) == sorted((t, 7 * t) for t in tasks)
    assert all(e.error is None for e in ended)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_tasks_are_drawn_as_they_are_needed(executor):
    drawn = 0

    def tasks():
        nonlocal drawn
        for drawn in range(1, 31):  # noqa: UP028  (counts)
            yield drawn

    run = executor.run(work.multiply, 1, tasks())
    assert drawn == 0
    for yielded, _ in enumerate(run):
        assert drawn - yielded <= executor.slots + 1
    assert (yielded, drawn) == (29, 30)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_steps_are_heard_of_before_their_task_ends(executor, tmp_path):
    heard = []
    for ended in executor.run(work.tell_steps, str(tmp_path), [2, 4, 6], heard.append):
        assert sum(heard) >= ended.task
    assert sum(heard) == 12


@pytest.mark.parametrize("executor", EXECUTORS)
def test_an_error_is_a_sentence_and_the_others_go_on(executor):
    ended = {e.task: e for e in executor.run(work.refuse, "shared", range(4))}
    assert ended == {
        0: TaskResult(0, 0, None),
        1: TaskResult(1, None, "market.base must be letters; given: 'a1'."),
        2: TaskResult(2, None, "ZeroDivisionError"),
        3: TaskResult(3, 3, None),
    }


def test_a_result_that_cannot_be_pickled_is_an_error_of_its_task():
    (ended,) = Processes(1, 2).run(work.lambda_of, None, [5])
    assert ended.result is None
    assert "lambda_of.<locals>.<lambda>" in ended.error


@pytest.mark.parametrize("executor", EXECUTORS)
def test_every_call_of_a_worker_is_given_the_same_shared_object(executor):
    calls = {}
    for ended in executor.run(work.count_calls, [], range(12)):
        process, before = ended.result
        calls.setdefault(process, []).append(before)
    assert len(calls) <= executor.slots
    assert sum(len(counts) for counts in calls.values()) == 12
    assert all(counts == list(range(1, len(counts) + 1)) for counts in calls.values())


def test_no_worker_starts_without_a_task():
    assert list(Processes(50, 0).run(work.multiply, 1, [])) == []
    ended = list(Processes(50, 0).run(work.count_calls, [], [1]))
    assert [e.result[1] for e in ended] == [1]
