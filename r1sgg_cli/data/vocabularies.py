"""Which vocabulary belongs to a data set."""

from pathlib import Path

from r1sgg_cli.data.rows import BASE_VOCABULARY_FILE, VOCABULARY_FILE
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, load_vocabulary

PUBLISHED = {
    "JosephZ/vg150_train_sgg_prompt": "vg150",
    "JosephZ/vg150_val_sgg_prompt": "vg150",
    "JosephZ/psg_train_sg": "psg",
    "JosephZ/psg_test_sg": "psg",
}


def vocabulary_of(dataset: str, named: str | None = None, *, training: bool = False) -> Vocabulary | None:
    """The vocabulary that is `named`, else the data set's own, else None. Raises `ConfigError` for a bad one.

    `training`: of a set that was prepared for an open-vocabulary setting, the base names alone.
    """
    base, own = (Path(dataset) / name for name in (BASE_VOCABULARY_FILE, VOCABULARY_FILE))
    file = base if training and base.is_file() else own
    name = named or PUBLISHED.get(dataset) or (str(file) if file.is_file() else None)
    return load_vocabulary(name) if name else None
