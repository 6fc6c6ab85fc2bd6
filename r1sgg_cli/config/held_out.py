"""Which images a run is evaluated on while it trains."""

from dataclasses import dataclass

from r1sgg_cli.config.published_sets import TEST_SET_OF
from r1sgg_cli.config.schema import GRPORun, SFTRun
from r1sgg_cli.errors import ConfigError


@dataclass(frozen=True, slots=True)
class HeldOutSplit:
    """A data set's split; None is the only one of a set."""

    dataset: str
    split: str | None

    def __str__(self) -> str:
        return f"`{self.split}` of `{self.dataset}`" if self.split else f"`{self.dataset}`"


def choice_by_test_images(run: SFTRun | GRPORun) -> str | None:
    """What is wrong with choosing the best checkpoint by the images that it is reported on; None where it is not."""
    evaluation, held_out = run.recipe.evaluation, held_out_split(run)
    if evaluation is None or held_out is None or evaluation.best_by is None:
        return None
    if held_out.split != "test" and held_out.dataset not in TEST_SET_OF.values():
        return None
    return (
        f"`evaluation.best_by` chooses the finished model by {held_out}, on which its numbers will be too good; choose "
        "by other images, such as `--set evaluation.split=val`, to report on these"
    )


def held_out_split(run: SFTRun | GRPORun) -> HeldOutSplit | None:
    """The split that `evaluation` is about; None where it is off. Raises `ConfigError` for the one that is trained on.

    The published sets have their test images in sets of their own.
    """
    evaluation = run.recipe.evaluation
    if evaluation is None:
        return None
    dataset = evaluation.dataset or TEST_SET_OF.get(run.dataset, run.dataset)
    own_set = dataset in TEST_SET_OF.values()
    split = evaluation.split or (None if own_set else "test")
    if dataset == run.dataset and split == (run.split or "train"):
        raise ConfigError(
            f"`{split}` of `{dataset}` is trained on, and so not held out; name another `evaluation.split`, "
            "or a set of its own with `evaluation.dataset`"
        )
    return HeldOutSplit(dataset, split)
