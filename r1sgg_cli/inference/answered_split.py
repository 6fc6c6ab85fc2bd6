"""A split with its answers, whichever layout they were written in: what `gather` works on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from r1sgg_cli.errors import AnswersError
from r1sgg_cli.inference.answers_file import LoadedAnswers, answers_files, load_answers
from r1sgg_cli.inference.ground_truth import ImageTruth, load_ground_truth
from r1sgg_cli.inference.run_record import RUN_FILE, RunRecord, load_run
from r1sgg_cli.inference.training_file import load_training_names
from r1sgg_cli.scene_graph.training_names import TrainingNames
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, vocabulary_from_names
from r1sgg_cli.typed_names import closest_beside

OPEN_VOCABULARY = Vocabulary((), ())
NUM_NAMED = 5
"""How many images are named of those without an answer, or with several."""


@dataclass(frozen=True, slots=True, eq=False)
class AnsweredSplit:
    """The images of a split, what a model answered about them, and what is known of how it was asked."""

    run: RunRecord
    vocabulary: Vocabulary
    """Empty for an open one."""
    truths: tuple[ImageTruth, ...]
    loaded: LoadedAnswers
    how_to_go_on: str
    """What answers the images that are missing: the end of the sentence that names them."""
    training: TrainingNames | None = None
    """What the training split of the data set showed; None where that is not known."""


def insist_on_answers(folder: Path) -> None:
    """Refuse what is no folder, and one that holds nothing of either layout. Raises `AnswersError`."""
    if not folder.exists():
        close = closest_beside(folder)
        meant = f" (did you mean `{close}`?)" if close else ""
        raise AnswersError(f"no folder or file of answers `{folder}`{meant}; `r1sgg infer MODEL {folder}` fills one")
    if not any(folder.glob("*.json")) and not answers_files(folder):
        raise AnswersError(
            f"`{folder}` holds no answers; name a folder that `r1sgg infer` or the published code filled"
        )


def load_answered_split(out_dir: Path) -> AnsweredSplit:
    """The folder that `infer` filled. Raises `AnswersError`."""
    run, truths, loaded = load_run(out_dir), load_ground_truth(out_dir), load_answers(out_dir)
    names = run["vocabulary"]
    vocabulary = (
        vocabulary_from_names(names["objects"], names["predicates"], f"`{out_dir / RUN_FILE}`")
        if names
        else OPEN_VOCABULARY
    )
    how_to_go_on = "run the same `r1sgg infer` again to go on"
    return AnsweredSplit(run, vocabulary, truths, loaded, how_to_go_on, load_training_names(out_dir))


def named_images(image_ids: Sequence[str]) -> str:
    """The first few by name: "`a`, `b`, …"."""
    named = ", ".join(f"`{image_id}`" for image_id in image_ids[:NUM_NAMED])
    return f"{named}, …" if len(image_ids) > NUM_NAMED else named
