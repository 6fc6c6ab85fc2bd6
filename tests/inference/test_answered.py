"""Answers that others add are seen once they are whole lines."""

from pathlib import Path

from r1sgg_cli.inference.answered import AnsweredImages
from r1sgg_cli.inference.answers import AnswersFile, worker_file

from .conftest import make_answer


def test_each_answer_is_told_once_whichever_worker_wrote_it(tmp_path: Path) -> None:
    answered = AnsweredImages(tmp_path)
    assert answered.read() == []
    with AnswersFile(tmp_path) as old, AnswersFile(tmp_path, worker_file("n1-0")) as new:
        old.append([make_answer("a")])
        new.append([make_answer("b")])
        assert answered.read() == ["a", "b"]
        assert answered.read() == []
        old.append([make_answer("c"), make_answer("d")])
        assert answered.read() == ["c", "d"]


def test_half_a_line_is_no_answer_until_the_rest_is_there(tmp_path: Path) -> None:
    with AnswersFile(tmp_path) as file:
        file.append([make_answer("a"), make_answer("b")])
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    answered = AnsweredImages(tmp_path)
    path.write_bytes(whole[:-20])
    assert answered.read() == ["a"]
    path.write_bytes(whole[:-1])
    assert answered.read() == ["b"], "whole but for its newline"
    path.write_bytes(whole)
    assert set(answered.read()) <= {"b"}


def test_a_line_that_holds_no_answer_is_passed_over(tmp_path: Path) -> None:
    with AnswersFile(tmp_path) as file:
        file.append([make_answer("a")])
        (path,) = tmp_path.iterdir()
        with path.open("ab") as other:
            other.write(b"{oops\n\n")
        file.append([make_answer("b")])
    assert AnsweredImages(tmp_path).read() == ["a", "b"]
