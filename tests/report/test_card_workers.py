"""Cards come in order, and alike whoever draws them."""

from r1sgg_cli.report.card_workers import CardTask, draw_card, draw_cards
from r1sgg_cli.report.stages import Stage


def test_workers_draw_what_this_process_draws_in_the_same_order(stages: list[Stage]) -> None:
    images = stages[1].predictions.images[:6]
    tasks = [CardTask(i, ("answer",), (image,), None, "") for i, image in enumerate(images)]
    alone = list(draw_cards(iter(tasks), 0))
    together = list(draw_cards(iter(tasks), 2))
    assert [card.html for card in together] == [card.html for card in alone]
    assert [card.verdicts for card in together] == [card.verdicts for card in alone]
    assert [f"Image {image.image_id}" in card.html for image, card in zip(images, alone, strict=True)] == [True] * 6


def test_a_card_says_why_its_image_was_chosen_where_it_was(stages: list[Stage]) -> None:
    image = stages[1].predictions.images[0]
    assert (
        "100×100 pixels, chosen as among the worst"
        in draw_card(CardTask(0, ("a",), (image,), None, "among the worst")).html
    )
    assert "100×100 pixels</p>" in draw_card(CardTask(0, ("a",), (image,), None, "")).html
