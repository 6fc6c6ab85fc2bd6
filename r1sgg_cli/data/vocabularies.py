"""Which vocabulary belongs to a data set."""

from collections.abc import Mapping
from pathlib import Path

from r1sgg_cli.config.published_sets import PSG_TEST, PSG_TRAIN, VG150_TRAIN, VG150_VAL
from r1sgg_cli.data.rows import BASE_VOCABULARY_FILE, VOCABULARY_FILE
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, load_vocabulary

PUBLISHED: Mapping[str, Mapping[str, str]] = {
    "vg150": {"train": VG150_TRAIN, "val": VG150_VAL},
    "psg": {"train": PSG_TRAIN, "test": PSG_TEST},
}
"""The published R1-SGG sets by their vocabulary: split → name on the hub, each the only split of a set of its own."""
_VOCABULARY_OF = {dataset: name for name, parts in PUBLISHED.items() for dataset in parts.values()}


def vocabulary_of(dataset: str, named: str | None = None, *, training: bool = False) -> Vocabulary | None:
    """The vocabulary that is `named`, else the data set's own, else None. Raises `ConfigError` for a bad one.

    `dataset` is empty where there is none. `training`: of a set that was prepared for an open-vocabulary setting, the
    base names alone.
    """
    base, own = (Path(dataset) / name for name in (BASE_VOCABULARY_FILE, VOCABULARY_FILE))
    file = base if training and base.is_file() else own
    name = named or _VOCABULARY_OF.get(dataset) or (str(file) if dataset and file.is_file() else None)
    return load_vocabulary(name) if name else None
