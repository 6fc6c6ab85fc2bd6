"""What `r1sgg gather` is given: a folder of answers of either layout, or a file of the published gather."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from r1sgg_cli.cli.collector import paused

if TYPE_CHECKING:
    from r1sgg_cli.data.predictions import Predictions
    from r1sgg_cli.inference.answered_split import AnsweredSplit
    from r1sgg_cli.inference.published_layout import DatasetAsked
    from r1sgg_cli.inference.wordnet import WordNet
    from r1sgg_cli.scene_graph.vocabulary import Vocabulary

Pick = Literal["first", "likelihood", "majority"]
Family = Literal["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "internvl", "llava"]


@dataclass(frozen=True, slots=True)
class Given:
    """A command of `gather`, less where its file goes."""

    answers: Path
    allow_missing: bool
    pick: Pick
    aliases: bool | None
    alias_file: Path | None
    wordnet: bool
    dataset: str | None
    split: str | None
    vocabulary: str | None
    family: Family | None


def gather_given(given: Given, out: Path) -> Predictions:
    """The predictions that are to be written to `out`. Raises `R1SGGError`."""
    with paused():
        if given.answers.is_file():
            of_texts = {"--pick": given.pick != "first", "--family": given.family, "--alias-file": given.alias_file}
            of_texts |= {"--aliases": given.aliases is not None, "--wordnet": given.wordnet}
            _insist_on_none(of_texts, given.answers)
            return _load_gathered(given)
        from r1sgg_cli.inference.gather import gather_split
        from r1sgg_cli.inference.label_mapping import label_mapping

        answered = _load(given, out)
        mapping = label_mapping(
            answered.vocabulary,
            aliases=given.aliases,
            alias_file=given.alias_file,
            load_dictionary=_load_wordnet if given.wordnet else None,
        )
        return gather_split(answered, allow_missing=given.allow_missing, pick=given.pick, mapping=mapping)


def _insist_on_none(given: Mapping[str, object], file: Path) -> None:
    """Refuse options that change how texts are read, where there are no texts. Raises `ConfigError`."""
    from r1sgg_cli.errors import ConfigError

    if superfluous := [name for name, value in given.items() if value]:
        raise ConfigError(f"`{superfluous[0]}`: `{file}` holds graphs that are read and mapped; leave the option out")


def _load_gathered(given: Given) -> Predictions:
    """The predictions of a file of the published gather. Raises `ConfigError`, `DataError` or `AnswersError`."""
    from r1sgg_cli.errors import ConfigError
    from r1sgg_cli.inference.gathered_file import load_content, load_gathered

    if given.dataset is None:
        load_content(given.answers)  # another file has another way out
        raise ConfigError(
            f"`{given.answers}` holds predictions without their ground truth: add `--dataset` with the data set that"
            " was asked about, a folder, a name on the hub, or a .jsonl file"
        )
    asked = _asked(given.dataset, given.split, given.vocabulary)
    return load_gathered(given.answers, asked, allow_missing=given.allow_missing)


def _load_wordnet(vocabulary: Vocabulary) -> WordNet:
    """WordNet. Raises `ConfigError` where the library or the dictionary is missing."""
    from importlib.util import find_spec

    from r1sgg_cli.errors import ConfigError

    if find_spec("nltk") is None:
        raise ConfigError("`--wordnet` needs `nltk`, which is not installed: run `uv sync --extra wordnet`")
    from r1sgg_cli.inference.wordnet import load_wordnet

    return load_wordnet(vocabulary)


def _load(given: Given, out: Path) -> AnsweredSplit:
    """The answers of a folder of either layout. Raises `ConfigError` for an option that its layout has no use for."""
    from r1sgg_cli.errors import ConfigError
    from r1sgg_cli.inference.answered_split import insist_on_answers, load_answered_split

    folder = given.answers
    insist_on_answers(folder)
    if not any(folder.glob("*.json")):
        return load_answered_split(folder)
    from r1sgg_cli.inference.published_layout import is_published_layout

    if is_published_layout(folder):
        return _load_published(given, out)
    options = {
        "--dataset": given.dataset,
        "--split": given.split,
        "--vocabulary": given.vocabulary,
        "--family": given.family,
    }
    if superfluous := [name for name, value in options.items() if value is not None]:
        raise ConfigError(f"`{superfluous[0]}`: `{folder}` says that itself (`run.json`); leave the option out")
    return load_answered_split(folder)


def _load_published(given: Given, out: Path) -> AnsweredSplit:
    """The answers of a folder of the published layout. Raises `R1SGGError`."""
    from r1sgg_cli.errors import ConfigError, OutputError
    from r1sgg_cli.inference.published_layout import load_files, load_published

    folder = given.answers
    if out.suffix == ".json" and out.resolve().parent == folder.resolve():
        raise OutputError(f"`{out}` would lie among the answers and be read as one of them; name a file elsewhere")
    if given.dataset is None:
        load_files(folder)  # a folder without answers has another way out
        raise ConfigError(
            f"`{folder}` holds answers of the published layout, which do not tell the size of their images: add"
            " `--dataset` with the data set that was asked about, a folder, a name on the hub, or a .jsonl file"
        )
    asked = _asked(given.dataset, given.split, given.vocabulary)
    if given.family is None:
        return load_published(folder, asked, None)
    from r1sgg_cli.models.families import FAMILIES

    return load_published(folder, asked, FAMILIES[given.family])


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
