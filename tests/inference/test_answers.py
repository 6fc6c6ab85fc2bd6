"""What a line of answers holds."""

import json
from pathlib import Path

from r1sgg_cli.inference.answers import Answer, Sample
from r1sgg_cli.inference.answers_file import AnswersFile, load_answers
from tests.inference.conftest import ANSWERS_FILE


def test_several_texts_and_their_probabilities_come_back_as_they_were(tmp_path: Path) -> None:
    samples = (
        Sample("one", "stop", 3, -1.5, (-0.25, None), (-0.5,)),
        Sample("two", "length", 9),
    )
    answer = Answer("a", (1000, 1000), samples, image_wh=(640, 480), num_prompt_tokens=120)
    with AnswersFile(tmp_path, ANSWERS_FILE) as file:
        file.append([answer])
    assert load_answers(tmp_path).answers["a"] == answer
    assert json.loads((tmp_path / ANSWERS_FILE).read_text())["text"] == "one"


def test_an_image_that_could_not_be_asked_about_has_a_reason_and_no_text(tmp_path: Path) -> None:
    answer = Answer("a", (1000, 1000), (), error="it is cut short")
    with AnswersFile(tmp_path, ANSWERS_FILE) as file:
        file.append([answer])
    assert load_answers(tmp_path).answers["a"] == answer
