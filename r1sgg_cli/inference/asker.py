"""What a model is asked about each image, in the way that it was trained to be asked."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from PIL import Image
from rich.console import Console

from r1sgg_cli.config.differences import differences
from r1sgg_cli.config.schema import SFTRecipe, Task
from r1sgg_cli.data.images import BrokenImageError
from r1sgg_cli.data.prompts import Prompting, build_messages, system_prompt, user_prompt
from r1sgg_cli.data.rows import decoded, parse_ground_truth
from r1sgg_cli.data.vocabularies import vocabulary_of
from r1sgg_cli.errors import ConfigError, DataError
from r1sgg_cli.inference.answers import Answer
from r1sgg_cli.inference.engine import Question
from r1sgg_cli.inference.form import answer_grammar
from r1sgg_cli.inference.request import InferRequest
from r1sgg_cli.models.adapter_folder import base_of
from r1sgg_cli.models.asking import Asking, load_asking
from r1sgg_cli.models.checkpoint import load_processor
from r1sgg_cli.models.families import ModelFamily, family_of
from r1sgg_cli.models.images import ImageLimits, fit_image, image_limits
from r1sgg_cli.scene_graph.graph import SceneGraph, SpaceWH
from r1sgg_cli.scene_graph.vocabulary import Vocabulary

MAX_PIXELS = SFTRecipe().max_pixels
"""Of a checkpoint that remembers none: published inference has the limit of published SFT."""


@dataclass(frozen=True, slots=True)
class Wording:
    """What decides the text of a prompt, which needs no processor."""

    family: ModelFamily
    asking: Asking
    vocabulary: Vocabulary | None
    vocabulary_named: bool
    """Named by the command: it then wins over the row's own list of categories."""
    task: Task

    @property
    def prompting(self) -> Prompting:
        """Which prompts are used."""
        return Prompting(self.asking.think, self.asking.predefined_categories, self.asking.think_prompt)

    def prompt(self, row: Mapping[str, Any], given: SceneGraph | None = None) -> str:
        """The user's text for a row; `given`, of task `cls`, is the graph with its objects, in the family's boxes.

        Raises `ConfigError` without a vocabulary where one is needed.
        """
        return user_prompt(
            row,
            self.prompting,
            self.family.box_sentence,
            self.vocabulary,
            vocabulary_named=self.vocabulary_named,
            task=self.task,
            given=given,
            decimals=self.family.decimals,
        )


@dataclass(frozen=True, slots=True)
class Asker:
    """What turns a row into the model's question and its box space."""

    wording: Wording
    limits: ImageLimits

    def grammar(self, max_new_tokens: int) -> str:
        """The grammar of all answers, whose names are open where the prompt's categories are of no vocabulary."""
        wording = self.wording
        return answer_grammar(
            wording.family,
            self.limits,
            max_new_tokens,
            think=wording.asking.think,
            vocabulary=wording.vocabulary if wording.asking.predefined_categories else None,
            task=wording.task,
        )

    def question(self, row: Mapping[str, Any]) -> Question | Answer:
        """The question about a row of `data.rows.undecoded`; for a picture that cannot be asked about, its answer.

        Raises `DataError` for a file that cannot be read: that may pass, and says nothing of the picture.
        """
        try:
            image: Image.Image = decoded(row)["image"]
        except BrokenImageError as error:
            return Answer(row["image_id"], (1.0, 1.0), (), error=str(error))
        try:
            fitted = fit_image(image, self.limits)
        except DataError as error:
            return Answer(row["image_id"], (1.0, 1.0), (), error=f"image {row['image_id']}: {error}")
        given, wording = None, self.wording
        if wording.task == "cls":
            truth = parse_ground_truth(row["image_id"], row["objects"], row["relationships"], image.size)
            given = wording.family.encode(truth, fitted.size)
        messages = build_messages(system_prompt(wording.prompting, wording.task), wording.prompt(row, given))
        return Question(row["image_id"], messages, fitted, image.size, given)

    def box_space(self, question: Question) -> tuple[SpaceWH, tuple[float, float]]:
        """Size of the whole image in the numbers of an answer's boxes, and its top left corner there."""
        family, size_wh = self.wording.family, question.image_wh
        return family.box_space_wh(size_wh, question.image.size), family.box_origin(size_wh)


NO_DATASET: Mapping[str, Any] = MappingProxyType({"prompt_open": "", "prompt_close": ""})
"""The row of a picture that is in no data set, as far as its prompt goes."""


def make_asker(request: InferRequest, console: Console, rows: Iterable[Mapping[str, Any]]) -> Asker:
    """How a request's model is asked about these rows, of which images are not looked at; says so.

    Raises `R1SGGError`, before the processor is loaded for what the checkpoint, the vocabulary and the rows rule out.
    """
    base = base_of(request.model)
    family = family_of(base)
    vocabulary = vocabulary_of("" if request.images else request.dataset, request.vocabulary)
    asking = resolve_asking(request, console)
    wording = Wording(family, asking, vocabulary, request.vocabulary is not None, request.task)
    for row in rows:
        wording.prompt(row)
    return Asker(wording, image_limits(family.fitting, load_processor(base), asking.max_pixels))


def insist_on_use_of_vocabulary(request: InferRequest, asker: Asker) -> None:
    """Refuse a named vocabulary that no prompt lists, where nobody gathers answers either. Raises `ConfigError`."""
    if request.vocabulary is not None and not asker.wording.asking.predefined_categories:
        raise ConfigError(
            f"`--vocabulary {request.vocabulary}` has no effect where the prompt lists no categories: add"
            " `--predefined-cats`, or leave it out"
        )


def resolve_asking(request: InferRequest, console: Console) -> Asking:
    """How to ask: the command's options, else what the checkpoint remembers, else open categories and plain JSON."""
    trained = load_asking(request.model)
    remembered = trained or Asking(think=False, predefined_categories=False, max_pixels=MAX_PIXELS)
    asking = Asking(
        think=remembered.think if request.think is None else request.think,
        predefined_categories=remembered.predefined_categories
        if request.predefined_categories is None
        else request.predefined_categories,
        max_pixels=request.max_pixels or remembered.max_pixels,
        think_prompt=remembered.think_prompt,
        tasks=remembered.tasks,
    )
    form = "think and answer" if asking.think else "JSON alone"
    categories = "predefined" if asking.predefined_categories else "open"
    console.print(f"asking for: {form}, {categories} categories, at most {asking.max_pixels} pixels")
    if trained and asking != trained:
        changed = "; ".join(differences(asdict(trained), asdict(asking), ("in training", "here")))
        console.print(f"[yellow]note:[/] the checkpoint was trained with another form ({changed})")
    if request.task not in asking.tasks:
        console.print(
            f"[yellow]note:[/] the checkpoint was trained on {', '.join(asking.tasks)}, not on {request.task}"
        )
    return asking
