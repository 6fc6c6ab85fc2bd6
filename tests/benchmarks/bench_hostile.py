"""How the time of the parser grows with the length of hostile texts: `python -m tests.benchmarks.bench_hostile`.

Each text at 50,000, 100,000 and 200,000 characters, some twenty times what a model writes. A ratio of 2 per step is
linear, 4 quadratic. CPU time, the best of three.
"""

import time
from contextlib import suppress

from rich.console import Console
from rich.table import Table

from r1sgg_cli.scene_graph.parse import ParseError, parse_answer
from tests.scene_graph.hostile import HOSTILE

LENGTHS = (50_000, 100_000, 200_000)
REPETITIONS = 3


def seconds_for(text: str) -> float:
    """CPU seconds to read a text, at best."""
    best = float("inf")
    for _ in range(REPETITIONS):
        started = time.process_time()
        with suppress(ParseError):
            parse_answer(text, (1000, 1000))
        best = min(best, time.process_time() - started)
    return best


def main() -> None:
    """Print one line for each shape, the slowest first."""
    times = {shape: [seconds_for(make(length)) for length in LENGTHS] for shape, make in HOSTILE.items()}
    table = Table("text", *(f"{length:,} (ms)" for length in LENGTHS), "ratio of the last two")
    for shape, seconds in sorted(times.items(), key=lambda item: -item[1][-1]):
        table.add_row(shape, *(f"{1000 * value:.2f}" for value in seconds), f"{seconds[-1] / seconds[-2]:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
