"""Jobs that a shard refuses, and shares of a load."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.load.protocol.shard_job import InvalidJob, ShardJob
from app.load.protocol.shard_share import ShardShare


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "cannot be parsed"),
        ('{"port": 1, "plan": {}}', "cannot be parsed"),
        ('{"host": "127.0.0.1", "port": 1, "plan": {"vux": 1}}', "vux"),
        ('{"host": "127.0.0.1", "port": 1, "plan": {}, "colour": 1}', "colour"),
        ('{"host": "192.0.2.1", "port": 1, "plan": {}}', "not a loopback"),
        ('{"host": "localhost", "port": 1, "plan": {}}', "not an IP address"),
        ('{"host": "127.0.0.1", "port": 1, "plan": {"executor": "constant-arrival-rate"}}', "rate_per_s"),
        ('{"host": "127.0.0.1", "port": 1, "plan": {"executor": "find-capacity"}}', "find-capacity"),
        ('{"host": "127.0.0.1", "port": 1, "plan": {"vus": 0}}', "vus"),
        ('{"host": "127.0.0.1", "port": 1, "plan": {"executor": "ramping-vus"}}', "stages"),
        ('{"host": "127.0.0.1", "port": 1, "plan": {"churn": true, "pipeline": 2}}', "pipeline"),
        ('{"host": "127.0.0.1", "port": 1, "plan": {}, "shards": 2}', "lifeline"),
        ('{"host": "127.0.0.1", "port": 1, "plan": {}, "waits": true}', "lifeline"),
        ('{"host": "127.0.0.1", "port": 1, "plan": {"groups": [{"name": "new"}]}}', "no groups"),
        ('{"host": "127.0.0.1", "port": 1, "plan": {"work": [{"kind": "nap"}]}}', "work must be of"),
        (
            '{"host": "127.0.0.1", "port": 1, "plan": {"work": [{"kind": "http"}]}}',
            "http request are invalid",
        ),
        (
            '{"host": "127.0.0.1", "port": 1, "plan": {"vus": 1}, "shard": 1, "shards": 2, "lifeline_fd": 0}',
            "too few",
        ),
    ],
)
def test_an_invalid_job_is_refused_with_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(InvalidJob, match=sentence) as refused:
        ShardJob.parse(text)
    assert len(str(refused.value).strip().splitlines()) == 1


SHARDS = st.integers(1, 5)


@given(st.integers(0, 10_000), SHARDS)
def test_the_portions_of_all_shards_add_up(count: int, shards: int) -> None:
    shares = [ShardShare(number, shards).portion(count) for number in range(shards)]
    assert sum(shares) == count
    assert max(shares) - min(shares) <= 1
