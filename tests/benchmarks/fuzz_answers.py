"""A million mutated answers through parser, rewards, gathering, files, evaluation and report.

Run `python -m tests.benchmarks.fuzz_answers --cases 1000000 --seed 0`.

Each batch has a seed of its own, made of `--seed` and its number, so that what is found comes back whatever the number
of processes: `--only BATCH` runs that batch alone. Prints every text that breaks a rule, the rate, and what the texts
were: how many could be read, why others could not, which defects were counted. Ends with code 1 where a rule broke.

Real answers are the 591 of the rewards' golden file, and those of `--golden` where there is such a folder.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import cache, lru_cache
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from r1sgg_cli.inference.label_mapping import Dictionary
from r1sgg_cli.inference.wordnet import DEBIAN_FOLDER, WordNet, load_wordnet
from r1sgg_cli.scene_graph.vocabulary import load_vocabulary
from tests.inference.all_stages import AllStages, BrokenRuleError, Counts
from tests.scene_graph.real_answers import MutatedAnswers, RealAnswer, load_real_answers

BATCH = 500
GATHERED = 4
"""One batch in so many goes on from the parser and the rewards to gathering, files, evaluation and report."""
GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"
MOST_PRINTED = 20


@cache
def _answers(golden: Path | None) -> tuple[RealAnswer, ...]:
    return load_real_answers(golden)


class _Remembering:
    """WordNet with a memory: a look-up takes milliseconds, and the same labels come in batch after batch."""

    def __init__(self, wordnet: WordNet) -> None:
        self.source = wordnet.source
        self.object_class = lru_cache(maxsize=100_000)(wordnet.object_class)
        self.predicate_class = lru_cache(maxsize=100_000)(wordnet.predicate_class)


@cache
def _dictionary() -> Dictionary | None:
    """WordNet where this machine has it; one gathered batch in four looks its labels up."""
    has_wordnet = (DEBIAN_FOLDER / "data.noun").is_file()
    return _Remembering(load_wordnet(load_vocabulary("vg150"))) if has_wordnet else None


def run_batch(seed: int, number: int, num_cases: int, golden: Path | None) -> tuple[Counts, str | None]:
    """What the texts of one batch were, and what broke."""
    with tempfile.TemporaryDirectory() as folder:
        answers = MutatedAnswers(_answers(golden), random.Random(f"{seed} {number}").randrange(2**32))
        turn, is_gathered = number // GATHERED, number % GATHERED == 0
        stages = AllStages(answers, Path(folder), turn, _dictionary() if is_gathered and turn % 4 == 1 else None)
        try:
            stages.run(num_cases, gather=is_gathered)
        except BrokenRuleError as error:
            return stages.counts, f"batch {number}: {error}"
    return stages.counts, None


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def main() -> None:
    """Run all batches, or one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1_000_000, help=f"texts; in batches of {BATCH}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--golden", type=Path, default=GOLDEN, help="a folder with more real answers")
    parser.add_argument("--first", type=int, default=0, metavar="BATCH", help="go on from here after an interruption")
    parser.add_argument("--only", type=int, metavar="BATCH", help="this batch alone")
    arguments = parser.parse_args()
    golden = arguments.golden if arguments.golden.is_dir() else None
    numbers = range(arguments.first, -(-arguments.cases // BATCH)) if arguments.only is None else [arguments.only]
    sizes = [min(BATCH, arguments.cases - BATCH * number) if arguments.only is None else BATCH for number in numbers]
    started = time.monotonic()
    counts: Counts = Counter()
    broken: list[str] = []
    progress = Progress(
        BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True)
    )
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts jobs in the background without it
    pool = ProcessPoolExecutor(arguments.processes, initializer=_leave_interrupts_to_the_parent)
    with pool, progress:
        task = progress.add_task("", total=sum(sizes))
        columns = [arguments.seed] * len(sizes), numbers, sizes, [golden] * len(sizes)
        try:
            for size, (found, error) in zip(sizes, pool.map(run_batch, *columns), strict=True):
                counts += found
                if error is not None:
                    broken.append(error)
                    if len(broken) <= MOST_PRINTED:
                        progress.console.print(error, markup=False, soft_wrap=True)
                progress.advance(task, size)
        except KeyboardInterrupt:  # what is done is worth its table
            pool.shutdown(wait=False, cancel_futures=True)
    seconds = time.monotonic() - started
    _print(counts, seconds, arguments.processes, len(broken))
    sys.exit(1 if broken else 0)


def _print(counts: Counts, seconds: float, num_processes: int, num_broken: int) -> None:
    total = counts["cases", "all"]
    table = Table("what", "kind", "times", "of 1,000 texts")
    for (what, kind), times in sorted(counts.items(), key=lambda item: (item[0][0], -item[1])):
        table.add_row(what, kind, f"{times:,}", f"{1000 * times / total:.1f}")
    console = Console()
    console.print(table)
    rate = f"{total / seconds:,.0f}/s with {num_processes} processes"
    console.print(f"{total:,} texts in {seconds:,.0f} s, {rate}; {num_broken} batches broke a rule")


if __name__ == "__main__":
    main()
