"""What `infer` asks of an engine, whichever it is: questions in, replies out, as many at once as it has room for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from PIL import Image

from r1sgg_cli.models.completion import Completion
from r1sgg_cli.scene_graph.graph import SceneGraph


@dataclass(frozen=True, slots=True)
class Question:
    """What a model is asked about one image."""

    image_id: str
    messages: list[dict[str, Any]]
    """A conversation with one image placeholder."""
    image: Image.Image
    """In the size that the model sees."""
    image_wh: tuple[int, int]
    """Size of the original in pixels."""
    given: SceneGraph | None = None
    """Of task `cls`: the graph whose objects the prompt lists, in the numbers of the model's boxes."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a question: as many texts as were asked for, or none and the reason."""

    question: Question
    completions: tuple[Completion, ...]
    num_prompt_tokens: int
    """With the image's."""
    error: str | None = None
    """Why this image could not be asked about, as a phrase that names no image."""


class Engine(Protocol):
    """A loaded model."""

    name: str
    tokenizer: Any
    """transformers' own, of which `models.probabilities` reads what each token wrote."""

    def replies(self, questions: Iterable[Question]) -> Iterator[Reply]:
        """A reply for each question, in any order, as they are finished.

        Questions are taken as there is room for them, so that their number does not matter to memory. They end when
        none is left for now: all replies are then given, and it may be asked again.
        """
        ...
