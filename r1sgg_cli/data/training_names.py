"""What the training split of a prepared data set showed, condensed for the split that is evaluated."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from r1sgg_cli.data.rows import BASE_VOCABULARY_FILE, VOCABULARY_FILE
from r1sgg_cli.data.statistics import STATISTICS_FILE, SplitStatistics, load_train_statistics
from r1sgg_cli.errors import DataError
from r1sgg_cli.scene_graph.graph import SceneGraph
from r1sgg_cli.scene_graph.labels import normalise_label
from r1sgg_cli.scene_graph.training_names import TrainingNames, named_triplets
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, load_vocabulary

LEAST_SHARED = 0.5
"""Of the shorter list of names, this share is in the longer one if both are of one data set.

A data set lists all that is annotated in it, however it was filtered or cut short; VG150 and PSG share 0.37.
"""


def training_names(
    dataset: str, ground_truths: Iterable[SceneGraph], *, is_given: bool = False
) -> TrainingNames | None:
    """What the training split of a data set showed of what these graphs hold.

    None where nothing says it: a name on the hub, or a folder without `train_statistics.json`, which `r1sgg prepare`
    writes with a training split. Raises `DataError` or `ConfigError` where a file of the folder cannot be read, and
    where a user gave the folder (`is_given`) of another data set than the graphs are of: none of the annotated
    predicates is in it, or less than `LEAST_SHARED` of the names.
    """
    if not (Path(dataset) / STATISTICS_FILE).is_file():
        return None
    shown, graphs = load_train_statistics(dataset), list(ground_truths)
    if is_given:
        _insist_on_same_names(Path(dataset), shown, graphs)
    counts: Counter[str] = Counter()
    for name, count in shown.predicates.items():
        counts[normalise_label(name)] += count
    seen = {tuple(normalise_label(name) for name in triplet) for triplet in shown.triplets}
    base, novel = _base_and_novel(Path(dataset))
    return TrainingNames(counts, named_triplets(graphs) - seen, base, novel)


def required_training_names(dataset: str, ground_truths: Iterable[SceneGraph]) -> TrainingNames:
    """The same for a folder that a user gave for it. Raises `DataError` also where nothing says it."""
    names = training_names(dataset, ground_truths, is_given=True)
    if names is None:
        raise DataError(
            f"`{dataset}` has no `{STATISTICS_FILE}`, which `r1sgg prepare` writes with a training split; name"
            " the folder of a prepared data set"
        )
    return names


def _insist_on_same_names(folder: Path, shown: SplitStatistics, graphs: Sequence[SceneGraph]) -> None:
    """Refuse the training of another data set, by which every triplet counts as never shown. Raises `DataError`."""
    objects = {name for graph in graphs for name in graph.names}
    predicates = {triplet.predicate for graph in graphs for triplet in graph.triplets}
    known_objects, known_predicates = (
        {normalise_label(n) for n in names} for names in (shown.objects, shown.predicates)
    )
    if (folder / VOCABULARY_FILE).is_file():
        listed = load_vocabulary(str(folder / VOCABULARY_FILE))
        known_objects |= {*listed.objects}
        known_predicates |= {*listed.predicates}
    num_objects, num_predicates = len(objects & known_objects), len(predicates & known_predicates)
    fewer = min(len(objects) + len(predicates), len(known_objects) + len(known_predicates))
    if (predicates and not num_predicates) or num_objects + num_predicates < LEAST_SHARED * fewer:
        raise DataError(
            f"`{folder}` is of another data set than the annotations: it has {num_predicates} of the {len(predicates)}"
            f" predicates and {num_objects} of the {len(objects)} object names that are annotated; name the folder of"
            " the data set that was asked about"
        )


def _base_and_novel(folder: Path) -> tuple[Vocabulary | None, Vocabulary | None]:
    if not (folder / BASE_VOCABULARY_FILE).is_file():
        return None, None
    whole, base = (load_vocabulary(str(folder / name)) for name in (VOCABULARY_FILE, BASE_VOCABULARY_FILE))
    objects = tuple(name for name in whole.objects if name not in set(base.objects))
    predicates = tuple(name for name in whole.predicates if name not in set(base.predicates))
    return Vocabulary(base.objects, base.predicates), Vocabulary(objects, predicates)
