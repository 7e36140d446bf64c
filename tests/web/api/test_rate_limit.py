from pipeline.web.api.guard import RateLimit


def test_so_many_pass_in_any_minute():
    now = [0.0]
    limit = RateLimit(2, 60.0, lambda: now[0])
    assert [limit.wait(), limit.wait(), limit.wait()] == [0, 0, 60]
    now[0] = 59.5
    assert limit.wait() == 1
    now[0] = 60.0
    assert [limit.wait(), limit.wait(), limit.wait()] == [0, 0, 60]
