"""What a node knows of one of its inputs."""

from __future__ import annotations

from vla_mbpo_ros.nodes.topic_watch import TopicWatch

S = 10**9


def test_rate_age_latency_and_losses() -> None:
    watch = TopicWatch("head", max_age_s=0.5)
    for index in (0, 1, 2, 5, 6):
        watch.tick(stamp_ns=index * S // 10, now_ns=index * S // 10 + S // 100, sequence=index)
    assert watch.lost == 2
    assert abs(watch.hz() - 4 / 0.6) < 1e-9
    assert abs(watch.latency_s - 0.01) < 1e-9
    assert watch.complaint(S * 7 // 10) == ""
    assert "head is 1.40 s old" in watch.complaint(2 * S)


def test_silence_from_the_start_is_a_complaint_only_where_a_limit_is_set() -> None:
    assert "Nothing has come on head" in TopicWatch("head", max_age_s=0.5).complaint(S)
    assert TopicWatch("instruction").complaint(S) == ""
