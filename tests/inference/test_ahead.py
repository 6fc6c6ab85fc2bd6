"""Work done ahead: in order, and never far ahead."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from r1sgg_cli.inference.ahead import PER_THREAD, in_order_ahead, num_threads


def test_results_come_in_order_whichever_is_done_first() -> None:
    def work(number: int) -> int:
        time.sleep(0.002 if number % 3 == 0 else 0)
        return number

    with ThreadPoolExecutor(num_threads()) as threads:
        assert list(in_order_ahead(threads, work, range(50))) == list(range(50))


@pytest.mark.parametrize(("at_most", "num_ahead"), [(None, num_threads() * PER_THREAD), (3, 3)])
def test_as_much_is_done_ahead_as_may_be_and_no_more_is_taken(at_most: int | None, num_ahead: int) -> None:
    taken: list[int] = []
    done: list[int] = []

    def given() -> Iterator[int]:
        for number in range(10_000):
            taken.append(number)
            yield number

    with ThreadPoolExecutor(num_threads()) as threads:
        results = in_order_ahead(threads, done.append, given(), at_most)
        for _ in range(10):
            next(results)
        assert len(taken) == 10 + num_ahead
        results.close()
    assert sorted(done) == taken, "by the threads, though nobody took it"


def test_an_error_is_raised_where_its_result_would_come() -> None:
    def work(number: int) -> float:
        return 1 / number

    with ThreadPoolExecutor(num_threads()) as threads:
        results = in_order_ahead(threads, work, [1, 0])
        assert next(results) == 1
        with pytest.raises(ZeroDivisionError):
            next(results)
