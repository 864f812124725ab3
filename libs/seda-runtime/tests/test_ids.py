"""UUIDv7 as RFC 9562 has it, and always greater than the one before."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from seda_runtime.ids import lowest_id_at, uuid7


def test_version_variant_and_time_are_where_the_rfc_puts_them() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid7()
    assert made.version == 7
    assert made.variant == "specified in RFC 4122"
    assert before <= made.int >> 80 <= before + 1_000


def test_ids_rise_even_when_many_are_made_within_a_millisecond() -> None:
    made = [uuid7() for _ in range(20_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_of_several_threads_are_distinct() -> None:
    with ThreadPoolExecutor(4) as pool:
        batches = pool.map(lambda _: [uuid7() for _ in range(2_000)], range(4))
        made = [one for batch in batches for one in batch]
    assert len(set(made)) == len(made)


def test_a_moment_lies_between_the_ids_before_and_after_it() -> None:
    earlier = uuid7()
    moment = datetime.now(UTC) + timedelta(seconds=1)
    assert earlier < lowest_id_at(moment)
    assert lowest_id_at(moment - timedelta(hours=1)) < earlier
