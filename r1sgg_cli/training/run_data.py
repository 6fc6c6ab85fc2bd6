"""What a run learns from and is judged on, read before anything else is touched."""

from dataclasses import dataclass

from datasets import Dataset

from r1sgg_cli.config.schema import GRPORun, SFTRun
from r1sgg_cli.data.rows import check_graphs, load_rows
from r1sgg_cli.data.vocabularies import vocabulary_of
from r1sgg_cli.scene_graph.vocabulary import Vocabulary
from r1sgg_cli.training.held_out import load_held_out_rows


@dataclass(frozen=True, slots=True)
class RunData:
    """The rows of a run."""

    rows: Dataset
    vocabulary: Vocabulary | None
    held_out: Dataset | None
    """What the model is evaluated on while it trains; None where it is not."""


def load_run_data(run: SFTRun | GRPORun) -> RunData:
    """The rows that `run` names, checked. Raises `DataError`, or `ConfigError` for rows that cannot be held out."""
    rows = load_rows(run.dataset, run.split)
    vocabulary = vocabulary_of(run.dataset, run.vocabulary, training=True)
    check_graphs(rows)
    return RunData(rows, vocabulary, load_held_out_rows(run))
