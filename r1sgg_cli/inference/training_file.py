"""`training.json` in a folder of answers: what training showed, kept so that evaluation needs no data set."""

import json
from pathlib import Path

from r1sgg_cli.errors import MALFORMED, AnswersError, OutputError, in_words
from r1sgg_cli.files import save_text
from r1sgg_cli.scene_graph.training_names import TrainingNames

TRAINING_FILE = "training.json"


def save_training_names(names: TrainingNames | None, out_dir: Path) -> None:
    """Write the file, or remove one that no longer holds where nothing is known. Raises `OutputError`."""
    path = out_dir / TRAINING_FILE
    if names is not None:
        save_text(json.dumps(names.to_json(), indent=1) + "\n", path)
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot remove `{path}`: {error.strerror}; delete it or name another folder") from error


def load_training_names(out_dir: Path) -> TrainingNames | None:
    """Read the file; None where there is none. Raises `AnswersError`."""
    path = out_dir / TRAINING_FILE
    if not path.exists():
        return None
    try:
        return TrainingNames.from_json(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise AnswersError(f"cannot read `{path}`: {error.strerror}; make it readable") from error
    except MALFORMED as error:
        raise AnswersError(
            f"`{path}` is not what `r1sgg infer` writes: {in_words(error)}; delete it to go without what training"
            " showed"
        ) from error
