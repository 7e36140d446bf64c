"""Tasks are drawn one by one; those whose worker died come first again."""

from pipeline.executors.base import Backlog


def test_a_task_is_given_again_before_a_new_one_is_drawn():
    backlog = Backlog("abc", retries=1)
    first = backlog.next()
    assert backlog.died(first, "by SIGKILL") is None
    assert [backlog.next().task for _ in range(3)] == ["a", "b", "c"]
    assert backlog.next() is None


def test_every_task_has_its_own_retries():
    backlog = Backlog("ab", retries=1)
    a, b = backlog.next(), backlog.next()
    assert backlog.died(a, "by SIGKILL") is None
    assert backlog.died(b, "by SIGKILL") is None
    assert backlog.next() is a
    assert "2 times, the last time by SIGKILL" in backlog.died(a, "by SIGKILL")
    assert backlog.next() is b
    assert backlog.next() is None
