"""What the training split of a prepared data set showed, condensed for the split that is evaluated."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from r1sgg_cli.data.rows import BASE_VOCABULARY_FILE, VOCABULARY_FILE
from r1sgg_cli.data.statistics import STATISTICS_FILE, SplitStatistics
from r1sgg_cli.errors import MALFORMED, DataError, in_words
from r1sgg_cli.scene_graph.graph import SceneGraph
from r1sgg_cli.scene_graph.labels import normalise_label
from r1sgg_cli.scene_graph.training_names import TrainingNames, named_triplets
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, load_vocabulary


def training_names(dataset: str, ground_truths: Iterable[SceneGraph]) -> TrainingNames | None:
    """What the training split of a data set showed of what these graphs hold.

    None where nothing says it: a name on the hub, or a folder without `train_statistics.json`, which `r1sgg prepare`
    writes with a training split. Raises `DataError` or `ConfigError` where a file of the folder cannot be read.
    """
    path = Path(dataset) / STATISTICS_FILE
    if not path.is_file():
        return None
    try:
        shown = SplitStatistics.from_json(json.loads(path.read_text(encoding="utf-8")))
        counts: Counter[str] = Counter()
        for name, count in shown.predicates.items():
            counts[normalise_label(name)] += count
        seen = {tuple(normalise_label(name) for name in triplet) for triplet in shown.triplets}
    except OSError as error:
        raise DataError(f"cannot read `{path}`: {error.strerror}; make it readable") from error
    except MALFORMED as error:
        raise DataError(
            f"`{path}` is not what `r1sgg prepare` writes: {in_words(error)}; prepare the data set again"
        ) from error
    base, novel = _base_and_novel(Path(dataset))
    return TrainingNames(counts, named_triplets(ground_truths) - seen, base, novel)


def required_training_names(dataset: str, ground_truths: Iterable[SceneGraph]) -> TrainingNames:
    """The same for a folder that a user named for it. Raises `DataError` also where nothing says it."""
    names = training_names(dataset, ground_truths)
    if names is None:
        raise DataError(
            f"`{dataset}` has no `{STATISTICS_FILE}`, which `r1sgg prepare` writes with a training split; name"
            " the folder of a prepared data set"
        )
    return names


def _base_and_novel(folder: Path) -> tuple[Vocabulary | None, Vocabulary | None]:
    if not (folder / BASE_VOCABULARY_FILE).is_file():
        return None, None
    whole, base = (load_vocabulary(str(folder / name)) for name in (VOCABULARY_FILE, BASE_VOCABULARY_FILE))
    objects = tuple(name for name in whole.objects if name not in set(base.objects))
    predicates = tuple(name for name in whole.predicates if name not in set(base.predicates))
    return Vocabulary(base.objects, base.predicates), Vocabulary(objects, predicates)
