"""Answers that others add are seen once they are whole lines."""

from pathlib import Path

from r1sgg_cli.inference.answered import AnsweredImages
from r1sgg_cli.inference.answers import Answer
from r1sgg_cli.inference.answers_file import AnswersFile, ended_bytes, worker_file

from .conftest import ANSWERS_FILE, make_answer

NOT_ASKED = Answer("b", (1, 1), (), error="image b cannot be read")


def read(answered: AnsweredImages) -> list[str]:
    return list(answered.read())


def test_each_answer_is_told_once_whichever_worker_wrote_it(tmp_path: Path) -> None:
    answered = AnsweredImages(tmp_path)
    assert read(answered) == []
    with AnswersFile(tmp_path, ANSWERS_FILE) as old, AnswersFile(tmp_path, worker_file("n1-0")) as new:
        old.append([make_answer("a")])
        new.append([make_answer("b")])
        assert read(answered) == ["a", "b"]
        assert read(answered) == []
        old.append([make_answer("c"), make_answer("d")])
        assert read(answered) == ["c", "d"]


def test_half_a_line_is_no_answer_until_the_rest_is_there(tmp_path: Path) -> None:
    with AnswersFile(tmp_path, ANSWERS_FILE) as file:
        file.append([make_answer("a"), make_answer("b")])
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    answered = AnsweredImages(tmp_path)
    path.write_bytes(whole[:-20])
    assert read(answered) == ["a"]
    assert [line.reason for line in answered.broken] == ["cut short, as by a killed run"]
    path.write_bytes(whole[:-1])
    assert read(answered) == ["b"], "whole but for its newline"
    assert answered.broken == ()
    path.write_bytes(whole)
    assert set(read(answered)) <= {"b"}


def test_a_line_that_holds_no_answer_is_passed_over(tmp_path: Path) -> None:
    with AnswersFile(tmp_path, ANSWERS_FILE) as file:
        file.append([make_answer("a")])
        (path,) = tmp_path.iterdir()
        with path.open("ab") as other:
            other.write(b"{oops\n\n")
        file.append([make_answer("b")])
    answered = AnsweredImages(tmp_path)
    assert read(answered) == ["a", "b"]
    assert read(answered) == []
    assert [(line.line_number, line.file) for line in answered.broken] == [(2, ANSWERS_FILE)]


def test_a_broken_line_that_comes_later_has_its_own_number(tmp_path: Path) -> None:
    answered = AnsweredImages(tmp_path)
    with AnswersFile(tmp_path, ANSWERS_FILE) as file:
        file.append([make_answer("a"), make_answer("b")])
        assert read(answered) == ["a", "b"]
        with (tmp_path / ANSWERS_FILE).open("ab") as other:
            other.write(b"\n{oops\n")
        assert read(answered) == []
    assert [line.line_number for line in answered.broken] == [4]


def test_who_was_not_asked_before_a_run_began_is_unanswered_and_who_is_not_since_then_is_answered(
    tmp_path: Path,
) -> None:
    with AnswersFile(tmp_path, ANSWERS_FILE) as file:
        file.append([make_answer("a"), NOT_ASKED])
        begun_at = {ANSWERS_FILE: ended_bytes(tmp_path / ANSWERS_FILE)}
        answered = AnsweredImages(tmp_path, begun_at)
        assert read(answered) == ["a"]
        assert answered.has_errors
        file.append([NOT_ASKED])
        assert read(answered) == ["b"]
    assert read(AnsweredImages(tmp_path)) == ["a", "b", "b"]
