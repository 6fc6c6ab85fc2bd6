"""What the card of one image consists of: its photo, and a panel for what is annotated and for each answer."""

from dataclasses import dataclass

from r1sgg_cli.report.drawing import Arrow, Node
from r1sgg_cli.report.overlay import BoxView
from r1sgg_cli.report.triplet_lists import TripletList
from r1sgg_cli.report.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class CardBox:
    """An object over the photo."""

    key: str
    view: BoxView


@dataclass(frozen=True, slots=True)
class CardNode:
    """An object in the drawn graph."""

    key: str
    verdict: Verdict
    node: Node


@dataclass(frozen=True, slots=True)
class CardArrow:
    """All relationships of one object to another in the drawn graph."""

    link: str
    """Keys of subject and object, such as `"t0>t2"`."""
    verdict: Verdict
    """The best of them."""
    arrow: Arrow
    """Each of its lines begins with the sign of its verdict."""


@dataclass(frozen=True, slots=True)
class CardDrawing:
    """A drawn graph."""

    height: float
    nodes: tuple[CardNode, ...]
    arrows: tuple[CardArrow, ...]
    caption_y: float | None
    alt: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CardPanel:
    """One side: the annotated graph, or an answer."""

    heading: str
    summary: str
    alt: str
    failure: str
    """Why there is no graph; else empty."""
    boxes: tuple[CardBox, ...]
    num_hidden_boxes: int
    drawing: CardDrawing | None
    lists: tuple[TripletList, ...]
    defects: str
    answer: str | None
    """None for what is annotated."""


@dataclass(frozen=True, slots=True)
class CardPhoto:
    """The photo of an image as its card refers to it."""

    href: str | None
    """A data URI or a file beside the page; None for a blank frame."""
    view_wh: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Card:
    """One image."""

    image_id: str
    photo: CardPhoto
    panels: tuple[CardPanel, ...]
