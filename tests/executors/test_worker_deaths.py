"""A worker that dies takes nothing with it but its task, and that is tried again."""

from pipeline.executors.processes import Processes
from support import work


def test_tasks_whose_worker_was_killed_are_done_by_another(tmp_path):
    ended = list(Processes(2, 1).run(work.die_at_first, str(tmp_path), range(8)))
    assert sorted(e.task for e in ended) == list(range(8))
    assert all(e.result == e.task and e.error is None for e in ended)
    assert {mark.name for mark in tmp_path.iterdir()} == {"1", "3", "5", "7"}


def test_a_task_that_kills_every_worker_is_given_up_after_its_retries():
    ended = {e.task: e for e in Processes(2, 2).run(work.die, 3, range(4))}
    assert [ended[task].result for task in (0, 2, 3)] == [0, 2, 3]
    assert ended[1].result is None
    assert ended[1].error == (
        "The worker of this task ended without an answer 3 times, the last time with status 3;"
        " often memory ran out: try fewer workers at once (executor.workers, or backend.threads"
        " with executor=local)."
    )


def test_without_retries_a_death_is_the_end_of_its_task(tmp_path):
    (ended,) = Processes(1, 0).run(work.die_at_first, str(tmp_path), [1])
    assert ended.error == (
        "The worker of this task ended without an answer by SIGKILL; often memory ran out: try"
        " fewer workers at once (executor.workers, or backend.threads with executor=local)."
    )


def test_steps_of_a_worker_that_died_are_taken_back(tmp_path):
    heard = []
    ended = list(Processes(2, 1).run(work.tell_steps, str(tmp_path), range(4), heard.append))
    assert sorted(e.result for e in ended) == [0, 1, 2, 3]
    assert sum(heard) == 0 + 1 + 2 + 3
    assert sorted(n for n in heard if n < 0) == [-3, -1]
