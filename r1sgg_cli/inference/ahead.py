"""Work done ahead by threads, a bounded way, so that whoever takes its results rarely waits and memory stays flat."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Given = TypeVar("Given")
Found = TypeVar("Found")

PER_THREAD = 4
"""Results that a thread may be ahead."""


def num_threads() -> int:
    """One for each core of this process, 16 at most: pictures are decoded and resized outside Python's lock."""
    return min(16, len(os.sched_getaffinity(0)))


def in_order_ahead(
    threads: ThreadPoolExecutor, work: Callable[[Given], Found], given: Iterable[Given], at_most: int | None = None
) -> Generator[Found, None, None]:
    """`work` of each of `given`, in order; as many are under way as the pool's threads may be ahead, or `at_most`."""
    num_ahead = num_threads() * PER_THREAD if at_most is None else min(at_most, num_threads() * PER_THREAD)
    waiting = iter(given)
    under_way: deque[Future[Found]] = deque(threads.submit(work, one) for one in islice(waiting, num_ahead))
    while under_way:
        found = under_way.popleft().result()
        for one in islice(waiting, 1):
            under_way.append(threads.submit(work, one))
        yield found
