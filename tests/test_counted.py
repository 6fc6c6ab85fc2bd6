"""Numbers in words."""

from r1sgg_cli.counted import counted, times


def test_numbers_carry_their_noun() -> None:
    assert [counted(number, "image") for number in (0, 1, 1200)] == ["0 images", "1 image", "1,200 images"]
    assert [counted(number, "process", "processes") for number in (1, 2)] == ["1 process", "2 processes"]


def test_how_often_is_said() -> None:
    assert [times(number) for number in (1, 2, 1200)] == ["once", "2 times", "1,200 times"]
