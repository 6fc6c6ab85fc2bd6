"""One picture and the graph that a model sees in it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console

from r1sgg_cli.data.images import decode_image
from r1sgg_cli.errors import DataError
from r1sgg_cli.inference.answers import Answer
from r1sgg_cli.inference.asker import NO_DATASET, insist_on_use_of_vocabulary, make_asker
from r1sgg_cli.inference.engines import choose_engine, load_engine
from r1sgg_cli.inference.infer import answer_of
from r1sgg_cli.inference.request import EngineName, InferRequest
from r1sgg_cli.models.adapters import check_to_ask
from r1sgg_cli.scene_graph.parse import ParsedAnswer, ParseError, parse_answer


@dataclass(frozen=True, slots=True)
class SeenPicture:
    """A picture, the model's answer, and the graph in it with boxes in pixels of the picture."""

    image: Image.Image
    answer: Answer
    parsed: ParsedAnswer | None
    failure: str | None
    """Why no graph can be read."""


def see_picture(request: InferRequest, picture: Path) -> SeenPicture:
    """Ask the request's model about one picture. Raises `R1SGGError`, also where the picture cannot be decoded."""
    console = Console(stderr=True, soft_wrap=True, emoji=False)
    check_to_ask(request.model)
    image = decode_image(picture.name, {"bytes": None, "path": str(picture)})  # before a model is loaded for it
    asker = make_asker(replace(request, images=picture.parent), console, [NO_DATASET])
    insist_on_use_of_vocabulary(request, asker)
    row: dict[str, Any] = {
        "image_id": picture.name,
        "image": {"bytes": None, "path": str(picture)},
        **NO_DATASET,
    }
    question = asker.question(row)
    if isinstance(question, Answer):
        raise DataError(str(question.error))
    engine = load_engine(request, _engine_name(request, console), asker, console)
    (reply,) = engine.replies([question])
    answer = answer_of(reply, asker, engine)
    if answer.error is not None:
        raise DataError(answer.error)
    try:
        parsed = parse_answer(answer.samples[0].text, answer.box_space_wh, answer.box_origin)
    except ParseError as error:
        return SeenPicture(image, answer, None, str(error))
    graph = parsed.graph.rescaled(question.image_wh)
    return SeenPicture(image, answer, ParsedAnswer(graph, parsed.defects, parsed.tagged), None)


def _engine_name(request: InferRequest, console: Console) -> EngineName:
    if request.engine or request.structured:
        return choose_engine(request, console)
    console.print("engine: transformers (vLLM takes longer to start than to answer one picture)", highlight=False)
    return "transformers"
