"""`r1sgg gather`."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from r1sgg_cli.cli import options

if TYPE_CHECKING:
    from r1sgg_cli.data.predictions import Predictions
    from r1sgg_cli.inference.answered_split import AnsweredSplit
    from r1sgg_cli.inference.published_layout import DatasetAsked
    from r1sgg_cli.inference.wordnet import WordNet
    from r1sgg_cli.scene_graph.vocabulary import Vocabulary

Pick = Literal["first", "likelihood", "majority"]
Family = Literal["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "internvl", "llava"]
NUM_MAPPED = 8
"""How many of the mapped labels are printed."""


def gather(
    answers: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            help="The folder that `r1sgg infer`, or the published code, filled, or the file that its gather wrote.",
        ),
    ],
    predictions: Annotated[Path, typer.Argument(metavar="PREDS.JSON", help="The file to write.")],
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Count images without an answer as failures, not as an error.")
    ] = False,
    pick: Annotated[
        Pick,
        typer.Option(
            help="Of several texts about an image: the first, the likeliest by mean log-probability per token, or what "
            "at least half of them agree on."
        ),
    ] = "first",
    aliases: Annotated[
        bool | None,
        typer.Option(
            "--aliases/--no-aliases",
            help="Map plurals, synonyms and passives into VG150 or PSG; on where the vocabulary is one of them.",
        ),
    ] = None,
    alias_file: Annotated[
        Path | None, typer.Option(help="Your own aliases as JSON; they win over the shipped ones.")
    ] = None,
    wordnet: Annotated[
        bool, typer.Option("--wordnet/--no-wordnet", help="Map what is still outside the vocabulary by WordNet.")
    ] = False,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", "-d", help="Published layout only: what was asked about, also a .jsonl file."),
    ] = None,
    split: options.SplitOption = None,
    vocabulary: options.VocabularyOption = None,
    family: Annotated[
        Family | None, typer.Option(help="Published layout only: whose boxes those without `box_scale` are.")
    ] = None,
) -> None:
    """Turn answers into one file of scene graphs, ready for `r1sgg eval`.

    Every answer is parsed, repaired where it can be, and its boxes are brought to pixels of the original image. The
    file carries the ground truth, the vocabulary and what produced it. Prints what had to be repaired, what was mapped
    into the vocabulary and what failed.

    Example: r1sgg gather answers/ preds.json
    """
    from r1sgg_cli.data.predictions import FORMAT, save_predictions
    from r1sgg_cli.data.provenance import limit_of
    from r1sgg_cli.files import insist_on_own
    from r1sgg_cli.inference.gather import gather_split, insist_on_same_run
    from r1sgg_cli.inference.label_mapping import label_mapping

    insist_on_own(predictions, FORMAT)
    with _without_garbage_collection():
        if answers.is_file():
            of_texts = {"--pick": pick != "first", "--family": family, "--alias-file": alias_file}
            _insist_on_none({**of_texts, "--aliases": aliases is not None, "--wordnet": wordnet}, answers)
            gathered = _load_gathered(answers, dataset, split, vocabulary, allow_missing)
        else:
            answered = _load(answers, dataset, split, vocabulary, family)
            dictionary = _load_wordnet if wordnet else None
            mapping = label_mapping(
                answered.vocabulary, aliases=aliases, alias_file=alias_file, load_dictionary=dictionary
            )
            gathered = gather_split(answered, allow_missing=allow_missing, pick=pick, mapping=mapping)
        insist_on_same_run(predictions, gathered)
        save_predictions(gathered, predictions)
    _print_passed_over(gathered, Console(stderr=True, soft_wrap=True))
    console = Console()
    console.print(_summary(gathered))
    _print_mapped(gathered, console)
    images = limit_of(gathered.provenance) or f"{len(gathered.images)} images"
    console.print(f"[bold]{escape(str(predictions))}[/]: {images}", soft_wrap=True)


def _insist_on_none(given: Mapping[str, object], file: Path) -> None:
    """Refuse options that change how texts are read, where there are no texts. Raises `ConfigError`."""
    from r1sgg_cli.errors import ConfigError

    if superfluous := [name for name, value in given.items() if value]:
        raise ConfigError(f"`{superfluous[0]}`: `{file}` holds graphs that are read and mapped; leave the option out")


def _load_gathered(
    file: Path, dataset: str | None, split: str | None, vocabulary: str | None, allow_missing: bool
) -> Predictions:
    """The predictions of a file of the published gather. Raises `ConfigError`, `DataError` or `AnswersError`."""
    from r1sgg_cli.errors import ConfigError
    from r1sgg_cli.inference.gathered_file import load_gathered

    if dataset is None:
        raise ConfigError(
            f"`{file}` holds predictions without their ground truth: add `--dataset` with the data set that was asked"
            " about, a folder, a name on the hub, or a .jsonl file"
        )
    return load_gathered(file, _asked(dataset, split, vocabulary), allow_missing=allow_missing)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Answers are kept to the end, and to look for circles among them again and again takes a fourth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _load_wordnet(vocabulary: Vocabulary) -> WordNet:
    """WordNet. Raises `ConfigError` where the library or the dictionary is missing."""
    from importlib.util import find_spec

    from r1sgg_cli.errors import ConfigError

    if find_spec("nltk") is None:
        raise ConfigError("`--wordnet` needs `nltk`, which is not installed: run `uv sync --extra wordnet`")
    from r1sgg_cli.inference.wordnet import load_wordnet

    return load_wordnet(vocabulary)


def _load(
    folder: Path, dataset: str | None, split: str | None, vocabulary: str | None, family: Family | None
) -> AnsweredSplit:
    """The answers of a folder of either layout. Raises `ConfigError` for an option that its layout has no use for."""
    from r1sgg_cli.errors import ConfigError
    from r1sgg_cli.inference.answered_split import load_answered_split

    if not folder.is_dir() or not any(folder.glob("*.json")):
        return load_answered_split(folder)
    from r1sgg_cli.inference.published_layout import is_published_layout, load_published

    if not is_published_layout(folder):
        given = {"--dataset": dataset, "--split": split, "--vocabulary": vocabulary, "--family": family}
        if superfluous := [name for name, value in given.items() if value is not None]:
            raise ConfigError(f"`{superfluous[0]}`: `{folder}` says that itself (`run.json`); leave the option out")
        return load_answered_split(folder)
    if dataset is None:
        raise ConfigError(
            f"`{folder}` holds answers of the published layout, which do not tell the size of their images: add"
            " `--dataset` with the data set that was asked about, a folder, a name on the hub, or a .jsonl file"
        )
    if family is None:
        return load_published(folder, _asked(dataset, split, vocabulary), None)
    from r1sgg_cli.models.families import FAMILIES

    return load_published(folder, _asked(dataset, split, vocabulary), FAMILIES[family])


def _asked(dataset: str, split: str | None, vocabulary: str | None) -> DatasetAsked:
    """The images of a data set. Raises `ConfigError` or `DataError`."""
    from r1sgg_cli.errors import ConfigError
    from r1sgg_cli.inference.published_layout import DatasetAsked

    if dataset.endswith(".jsonl"):
        from r1sgg_cli.inference.jsonl_truths import load_jsonl_truths
        from r1sgg_cli.scene_graph.vocabulary import load_vocabulary

        if split is not None:
            raise ConfigError(f"`--split {split}`: `{dataset}` is one split; leave the option out")
        named = load_vocabulary(vocabulary) if vocabulary else None
        return DatasetAsked(dataset, None, None, named, load_jsonl_truths(Path(dataset)))
    from r1sgg_cli.data.rows import dataset_fingerprint
    from r1sgg_cli.data.training_names import training_names
    from r1sgg_cli.data.vocabularies import vocabulary_of
    from r1sgg_cli.inference.dataset_truths import load_dataset_truths

    truths = load_dataset_truths(dataset, split)
    training = training_names(dataset, [truth.graph for truth in truths])
    fingerprint = dataset_fingerprint(dataset)
    return DatasetAsked(dataset, split, fingerprint, vocabulary_of(dataset, vocabulary), truths, training)


def _print_passed_over(predictions: Predictions, console: Console) -> None:
    from r1sgg_cli.data.provenance import limit_of
    from r1sgg_cli.inference.answered_split import named_images

    passed_over = predictions.provenance["gather"]
    for line_number, reason, file in passed_over["broken_lines"]:
        console.print(f"[yellow]warning:[/] line {line_number} of `{file}` is left out: {escape(reason)}")
    for image_id, reason in passed_over["not_asked"].items():
        console.print(f"[yellow]warning:[/] image `{escape(image_id)}` could not be asked about: {escape(reason)}")
    if passed_over["repeated_answers"]:
        count, images = passed_over["repeated_answers"], escape(named_images(passed_over["repeated_images"]))
        console.print(f"[yellow]warning:[/] {count} later answers of an image are left out: {images}")
    if passed_over["answers_of_other_images"]:
        count, part = passed_over["answers_of_other_images"], limit_of(predictions.provenance)
        why = (
            f"the folder was last asked for the {part}; the same `r1sgg infer` without `--limit` takes them in"
            if part
            else "their images are not in the split"
        )
        console.print(f"[yellow]warning:[/] {count} answers are left out: {why}")
    if passed_over["most_texts_per_image"] > 1 and passed_over["pick"] == "first":
        count = passed_over["most_texts_per_image"]
        console.print(f"[yellow]note:[/] images have up to {count} texts, and the first counts; `--pick` takes another")


def _print_mapped(predictions: Predictions, console: Console) -> None:
    """What was mapped into the vocabulary, most often first, in one line; nothing where nothing was."""
    mapped = predictions.provenance["gather"]["label_mapping"]["mapped"]
    pairs = sorted(
        ((pair, count, part) for part, counts in mapped.items() for pair, count in counts.items()),
        key=lambda item: -item[1],
    )
    if not pairs:
        return
    shown = ", ".join(
        f"{pair}{' (ends swapped)' if part.startswith('swapped') else ''} × {count}"
        for pair, count, part in pairs[:NUM_MAPPED]
    )
    rest = f", and {len(pairs) - NUM_MAPPED} more, all in the file" if len(pairs) > NUM_MAPPED else ""
    total = sum(count for _, count, _ in pairs)
    console.print(f"mapped into the vocabulary: {total} labels: {escape(shown)}{rest}", soft_wrap=True)


def _summary(predictions: Predictions) -> Table:
    from collections import Counter

    failures = Counter(image.failure for image in predictions.images if image.failure is not None)
    images_with = Counter(kind for image in predictions.images for kind in image.defects)
    times = Counter[str]()
    for image in predictions.images:
        times.update(image.defects)
    caption = "failed: no graph could be read; repaired, mapped or odd: the rest is used"
    table = Table("", "times", "images", caption=caption)
    read = len(predictions.images) - failures.total()
    table.add_row("read", "", str(read))
    for kind, count in failures.most_common():
        table.add_row(f"failed: {kind}", "", str(count))
    for kind, count in times.most_common():
        what = "mapped" if "_mapped_by_" in kind else "repaired or odd"
        table.add_row(f"{what}: {kind}", str(count), str(images_with[kind]))
    for column in table.columns[1:]:
        column.justify = "right"
    return table
