"""A draw of images: the same each time, whatever stands beside them."""

from datasets import Dataset

from r1sgg_cli.data.draw import drawn_rows


def rows(*image_ids: str) -> Dataset:
    return Dataset.from_dict({"image_id": list(image_ids)})


HUNDRED = [f"image-{number}" for number in range(100)]


def drawn(image_ids: list[str], num_images: int, seed: int = 0) -> list[str]:
    return list(drawn_rows(rows(*image_ids), num_images, seed)["image_id"])


def test_a_draw_is_spread_over_all_and_keeps_their_order() -> None:
    found = drawn(HUNDRED, 10)
    assert len(found) == 10
    assert found == sorted(found, key=HUNDRED.index)
    assert {HUNDRED.index(image_id) // 50 for image_id in found} == {0, 1}


def test_it_does_not_depend_on_the_order_of_the_images() -> None:
    assert set(drawn(HUNDRED[::-1], 10)) == set(drawn(HUNDRED, 10))


def test_a_smaller_draw_is_a_part_of_a_larger_one() -> None:
    assert set(drawn(HUNDRED, 5)) < set(drawn(HUNDRED, 10))


def test_another_seed_draws_others() -> None:
    assert set(drawn(HUNDRED, 10, seed=1)) != set(drawn(HUNDRED, 10))


def test_all_are_taken_where_there_are_no_more() -> None:
    assert drawn(HUNDRED[:3], 10) == HUNDRED[:3]
