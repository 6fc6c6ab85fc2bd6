"""vLLM as the engine of `r1sgg infer` beside batches of 8 one after another, as the published script asks it.

    python -m tests.benchmarks.bench_infer                                           a small model, also on a CPU
    python -m tests.benchmarks.bench_infer --model Qwen/Qwen2-VL-2B-Instruct --images 1024 --shrink 1

Both ask one vLLM the same questions, in turn, `--rounds` times over. Weights are random, at the shape of `--model` (a
known name, or a folder with a config.json), photos have the sizes of Visual Genome's. A random model ends no answer:
each is as long as a real one, 50 to 600 tokens with a long tail, by its limit. `--shrink` divides sizes and lengths.
Memory is that of this process and the engine's, at its largest while so many images, and four times as many, are
answered. On a CPU seconds are CPU seconds: other work disturbs them less.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from datasets import Dataset

from r1sgg_cli.data.prompts import Prompting, build_messages, system_prompt, user_prompt
from r1sgg_cli.data.rows import decoded, undecoded
from r1sgg_cli.inference.engine import Question, Reply
from r1sgg_cli.inference.room import room_for
from r1sgg_cli.inference.vllm_start import CPU_AT_ONCE, GPU_AT_ONCE, vllm_engine_class
from r1sgg_cli.models.families import FAMILIES
from r1sgg_cli.models.images import ImageLimits, fit_image, image_limits
from r1sgg_cli.models.sampling import Sampling
from tests.benchmarks.random_models import SMALL, model_of, processor_of, published, rows

PUBLISHED_BATCH = 8
LONGEST = 600
MAX_PIXELS = 512 * 28 * 28


def lengths(number: int, shrink: float) -> list[int]:
    """Tokens of answers as long as real ones."""
    drawn = np.random.default_rng(2).lognormal(np.log(200), 0.6, number)
    return [max(1, round(one)) for one in np.clip(drawn, 50, LONGEST) / shrink]


def questions(examples: Dataset, number: int, family: str, limits: ImageLimits) -> Iterator[Question]:
    """As `infer` asks them: pictures are decoded as they are taken. Rows come again after the last."""
    prompting = Prompting(think=False, predefined=False)
    stored = undecoded(examples)
    for i in range(number):
        row = stored[i % len(stored)]
        image = fit_image(decoded(row)["image"], limits)
        text = user_prompt(row, prompting, FAMILIES[family].box_sentence, None)
        yield Question(str(i), build_messages(system_prompt(prompting), text), image, image.size)


class Measured:
    """An engine whose answers have given lengths, and what it takes."""

    def __init__(self, engine: Any, tokens: list[int]) -> None:
        self.engine = engine
        by_seed = {engine.sampling.seeds(str(i))[0]: length for i, length in enumerate(tokens)}
        params_of = engine._params

        def params(num_prompt_tokens: int, seed: int) -> Any:
            found = params_of(num_prompt_tokens, seed)
            found.min_tokens = found.max_tokens = by_seed[seed]
            return found

        engine._params = params

    def answer(self, asked: Iterable[Question]) -> tuple[float, int]:
        """Seconds for all of them, and the most bytes that were held meanwhile."""
        began, most = now(), 0
        for number, _ in enumerate(self.engine.replies(asked)):
            if number % 16 == 0:
                most = max(most, held_bytes())
        return now() - began, most

    def answer_in_batches(self, asked: Iterator[Question]) -> float:
        """Seconds for all of them, each batch after the last answer of the one before."""
        began = now()
        while batch := list(islice(asked, PUBLISHED_BATCH)):
            replies: list[Reply] = list(self.engine.replies(batch))
            assert len(replies) == len(batch)
        return now() - began


def now() -> float:
    """On a CPU the seconds of this process, in which the engine then is."""
    return time.perf_counter() if torch.cuda.is_available() else time.process_time()


def held_bytes() -> int:
    """Of this process and those that it has started."""
    own = psutil.Process()
    return sum(process.memory_info().rss for process in (own, *own.children(recursive=True)))


def started(given: argparse.Namespace, examples: Dataset, folder: Path) -> tuple[Any, str, ImageLimits]:
    """The engine, its model's family and the limits of its images."""
    config = SMALL if given.model == "small" else published(given.model)
    family = config["model_type"]
    processor = processor_of(family, examples, folder / "processor")
    model_of(config, processor, "cpu", lora=False).to(torch.bfloat16).save_pretrained(folder / "model")
    processor.save_pretrained(folder / "model")
    limits = image_limits(FAMILIES[family].fitting, processor, MAX_PIXELS)
    model = str(folder / "model")
    at_once = given.at_once or (GPU_AT_ONCE if torch.cuda.is_available() else CPU_AT_ONCE)
    room = room_for(model, MAX_PIXELS, LONGEST)
    return vllm_engine_class()(model, Sampling(LONGEST), limits, room, at_once, None), family, limits


def main() -> None:
    """Print the answers per second of both, their ratio in each round, and the memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="small")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--at-once", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shrink", type=float, default=4.0)
    given = parser.parse_args()
    examples = rows(min(given.images, 256), given.shrink)
    with tempfile.TemporaryDirectory() as folder:
        engine, family, limits = started(given, examples, Path(folder))
        measured = Measured(engine, lengths(4 * given.images, given.shrink))

        def asked(number: int) -> Iterator[Question]:
            return questions(examples, number, family, limits)

        measured.answer(asked(PUBLISHED_BATCH))  # warm-up
        for _ in range(given.rounds):
            ours, held = measured.answer(asked(given.images))
            batches = measured.answer_in_batches(asked(given.images))
            found = {"answers/s": given.images / ours, "in batches of 8": given.images / batches}
            print(json.dumps({**found, "ratio": batches / ours, "MiB": held / 2**20}), flush=True)
        _, held = measured.answer(asked(4 * given.images))
        print(json.dumps({"images": 4 * given.images, "MiB": held / 2**20}))


if __name__ == "__main__":
    main()
