"""Answers that are constrained to scene graphs beside free ones: the same engine, prompts and numbers of tokens.

    python -m tests.benchmarks.bench_structured                                          a small model, also on a CPU
    python -m tests.benchmarks.bench_structured --model Qwen/Qwen2-VL-2B-Instruct --images 256     random weights, a GPU
    python -m tests.benchmarks.bench_structured --open --think

A round answers all images in form, then freely, each as long as it was in form (no end token ends it earlier), so that
both write the same numbers of tokens in the same batches. Lists are made long by a bias against `]`.
Printed are tokens per second of both, what the grammar costs, and where: compiling it (once), finding the allowed
tokens of each step, and the rest, which is handing them over and applying them. On a CPU seconds are CPU seconds of
this process, in which the engine runs: other work disturbs them less.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from r1sgg_cli.data.prompts import Prompting, build_messages, system_prompt, user_prompt
from r1sgg_cli.inference.form import ENGINE_OPTIONS, answer_grammar
from r1sgg_cli.models.families import FAMILIES
from r1sgg_cli.models.images import fit_image, image_limits
from r1sgg_cli.scene_graph.vocabulary import load_vocabulary
from tests.benchmarks.random_models import SMALL, model_of, processor_of, published, rows

AGAINST_ENDING = -8.0


def now() -> float:
    """Seconds: of this process's CPU, or on the wall beside a GPU."""
    return time.perf_counter() if torch.cuda.is_available() else time.process_time()


def save_model(given: argparse.Namespace, folder: Path) -> tuple[str, Any, Any]:
    """A random checkpoint of the shape that is asked for: its family, its processor and rows to ask about."""
    config = SMALL if given.model == "small" else published(given.model)
    config = {**config, **({"num_hidden_layers": given.layers} if given.layers else {})}
    family, examples = str(config["model_type"]), rows(given.images, given.shrink)
    processor = processor_of(family, examples, folder / "processor")
    model = model_of(config, processor, "cpu", lora=False)
    model.to(torch.bfloat16 if torch.cuda.is_available() else torch.float32).save_pretrained(folder)
    processor.save_pretrained(folder)
    return family, processor, examples


def timed(engine: Any, asked: list[Any], params: list[Any]) -> tuple[float, list[int]]:
    """Seconds, and the tokens of each answer."""
    began = now()
    answers = engine.generate(asked, params, use_tqdm=False)
    return now() - began, [len(answer.outputs[0].token_ids) for answer in answers]


class Watch:
    """The seconds that a method of a class takes in all."""

    def __init__(self, kind: Any, name: str) -> None:
        self.seconds = 0.0
        method = getattr(kind, name)

        def watched(*args: Any, **options: Any) -> Any:
            began = now()
            try:
                return method(*args, **options)
            finally:
                self.seconds += now() - began

        setattr(kind, name, watched)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="small")
    parser.add_argument("--layers", type=int, help="in place of the model's own number")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--shrink", type=float, default=2.0)
    parser.add_argument("--max-new-tokens", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--open", action="store_true")
    parser.add_argument("--think", action="store_true")
    given = parser.parse_args()
    os.environ |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    with tempfile.TemporaryDirectory() as folder:
        compare(given, Path(folder))


def compare(given: argparse.Namespace, folder: Path) -> None:
    """Both ways in turn, and what they took."""
    from vllm import LLM, SamplingParams
    from vllm.sampling_params import StructuredOutputsParams
    from vllm.v1.structured_output import StructuredOutputManager
    from vllm.v1.structured_output.backend_xgrammar import XgrammarBackend

    name, processor, examples = save_model(given, folder)
    family, vocabulary = FAMILIES[name], None if given.open else load_vocabulary("vg150")
    limits = image_limits(family.fitting, processor, 512 * 28 * 28)
    prompting = Prompting(given.think, vocabulary is not None)
    asked = []
    for row in examples:
        text = {key: value for key, value in row.items() if key != "image"}
        user = user_prompt(text, prompting, family.box_sentence, vocabulary, vocabulary_named=True)
        messages = build_messages(system_prompt(prompting), user)
        prompt = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        asked.append({"prompt": prompt, "multi_modal_data": {"image": fit_image(row["image"], limits)}})
    engine = LLM(
        str(folder),
        enforce_eager=not torch.cuda.is_available(),
        max_model_len=4096,
        limit_mm_per_prompt={"image": 1, "video": 0},
        structured_outputs_config=ENGINE_OPTIONS,
    )
    rules = answer_grammar(family, limits, given.max_new_tokens, think=given.think, vocabulary=vocabulary)
    closing = {i: AGAINST_ENDING for text, i in processor.tokenizer.get_vocab().items() if "]" in text}
    common = {"temperature": 1.0, "logit_bias": closing, "detokenize": False}
    constraint = StructuredOutputsParams(grammar=rules)
    in_form = SamplingParams(max_tokens=given.max_new_tokens, structured_outputs=constraint, **common)
    compiling = Watch(XgrammarBackend, "compile_grammar")
    finding = Watch(StructuredOutputManager, "grammar_bitmask")
    rounds: list[tuple[float, float, int]] = []
    compiled = 0.0
    for number in range(given.rounds + 1):
        if number == 1:  # the first warms up
            compiled, finding.seconds = compiling.seconds, 0.0
        constrained, lengths = timed(engine, asked, [in_form] * len(asked))
        freely = [SamplingParams(max_tokens=length, ignore_eos=True, **common) for length in lengths]
        rounds.append((constrained, timed(engine, asked, freely)[0], sum(lengths)))
    report(rounds[1:], compiled, finding.seconds)


def report(rounds: list[tuple[float, float, int]], compiling: float, finding: float) -> None:
    """Print what the rounds took: seconds in form, seconds free, tokens."""
    num_tokens = sum(tokens for _, _, tokens in rounds)
    in_form, free = sum(seconds for seconds, _, _ in rounds), sum(seconds for _, seconds, _ in rounds)
    costs = [constrained / freely - 1 for constrained, freely, _ in rounds]
    print(f"{num_tokens // len(rounds)} tokens a round; compiling the grammar took {compiling * 1e3:.0f} ms, once")
    print(f"in form: {num_tokens / in_form:.0f} tokens/s; free: {num_tokens / free:.0f} tokens/s")
    print(f"costs {statistics.median(costs):+.1%}, in rounds of {', '.join(f'{cost:+.1%}' for cost in costs)}")
    each = finding / num_tokens
    print(f"finding the allowed tokens: {each * 1e6:.0f} µs a token, {finding / free:.1%} of free decoding")


if __name__ == "__main__":
    main()
