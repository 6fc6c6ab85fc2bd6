"""The folder of answers: whole lines only, whatever happens to the writer."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from r1sgg_cli.errors import OutputError
from r1sgg_cli.inference import answers_file as answers_file_module
from r1sgg_cli.inference.answers import Answer
from r1sgg_cli.inference.answers_file import AnswersFile, ended_bytes, load_answers
from tests.conftest import files_no_larger_than

from .conftest import ANSWERS_FILE, make_answer

THREE = [make_answer("a", 'the "first"\nanswer'), make_answer("b", "zweite – Antwort \ud800"), make_answer("c", "")]

BEGINNING = b'{"box_space_wh": [9, 9], "box_origin": [0, 0], '


def test_answers_come_back_as_they_were(tmp_path: Path) -> None:
    with AnswersFile(tmp_path, ANSWERS_FILE) as file:
        file.append(THREE[:2])
        file.append(THREE[2:])
    loaded = load_answers(tmp_path)
    assert list(loaded.answers.values()) == THREE
    assert loaded.broken == ()


def test_a_folder_without_answers_has_none(tmp_path: Path) -> None:
    assert load_answers(tmp_path).answers == {}


def test_the_first_answer_of_an_image_counts(tmp_path: Path) -> None:
    with AnswersFile(tmp_path, ANSWERS_FILE) as file:
        file.append([make_answer("a", "first"), make_answer("a", "second"), make_answer("a", "third")])
    loaded = load_answers(tmp_path)
    assert loaded.answers["a"].samples[0].text == "first"
    assert loaded.repeated == ("a", "a")


def test_an_answer_counts_before_any_record_that_its_image_could_not_be_asked_about(tmp_path: Path) -> None:
    error, other = (Answer("a", (1, 1), (), error=reason) for reason in ("no disk", "no disk still"))
    with AnswersFile(tmp_path, ANSWERS_FILE) as file:
        file.append([error, other])
        assert load_answers(tmp_path).answers == {"a": error}
        file.append([make_answer("a", "first"), error])
        loaded = load_answers(tmp_path)
        assert (loaded.answers, loaded.repeated) == ({"a": make_answer("a", "first")}, ())
        file.append([make_answer("a", "second")])
    loaded = load_answers(tmp_path)
    assert (loaded.answers, loaded.repeated) == ({"a": make_answer("a", "first")}, ("a",))


@pytest.mark.parametrize("block", [1, 7, 65_536])
def test_a_file_is_known_up_to_its_last_whole_line_whatever_is_read_at_once(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers_file_module, "_BLOCK", block)
    path = tmp_path / ANSWERS_FILE
    for content, ended in ((b"", 0), (b"no end", 0), (b"\n", 1), (b"one\ntwo\n", 8), (b"one\ntwo\nthr", 8)):
        path.write_bytes(content)
        assert ended_bytes(path) == ended


def test_wherever_the_file_is_cut_whole_lines_are_kept_and_the_next_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / ANSWERS_FILE
    with AnswersFile(tmp_path, ANSWERS_FILE) as file:
        file.append(THREE)
    content = path.read_bytes()
    ends = [i for i, byte in enumerate(content) if byte == ord("\n")]
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        whole = THREE[: sum(length >= end for end in ends)]  # a line is whole with or without its newline
        assert list(load_answers(tmp_path).answers.values()) == whole
        with AnswersFile(tmp_path, ANSWERS_FILE) as file:
            file.append([make_answer("new")])
        loaded = load_answers(tmp_path)
        assert list(loaded.answers) == [*(answer.image_id for answer in whole), "new"]
        assert loaded.broken == ()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param(b"{oops", "double quotes", id="no JSON"),
        pytest.param(b"\xff\xfe\xfa", "not text in UTF-8", id="no UTF-8"),
        pytest.param(b"[1, 2]", "of another type", id="no object"),
        pytest.param(b'{"image_id": "x"}', "box_space_wh", id="a field is missing"),
        pytest.param(json.dumps({"box_space_wh": [0, 9]}).encode(), "two positive numbers", id="an empty space"),
        pytest.param(b'{"box_space_wh": [NaN, 9]}', "two positive numbers", id="a space that is no number"),
        pytest.param(json.dumps({"box_space_wh": [1, 2, 3]}).encode(), "too many values", id="three sides"),
        pytest.param(b'{"box_space_wh": [9, 9], "box_origin": [0, NaN]}', "two finite numbers", id="an origin of NaN"),
        pytest.param(b'{"box_space_wh": [9, 9]}', "`box_origin` is missing", id="no origin"),
        pytest.param(b'{"box_space_wh": [9, 9], "box_origin": 3}', "of another type", id="an origin of one number"),
        pytest.param(BEGINNING + b'"text": null}', "`text` is no text", id="no text"),
        pytest.param(
            BEGINNING + b'"image_wh": [9], "error": "", "image_id": ""}',
            "are not two numbers",
            id="one side",
        ),
        pytest.param(BEGINNING + b'"text": "", "finish_reason": "abort"}', "`abort`", id="unknown finish reason"),
        pytest.param(b"[" * 50_000, "lists in lists", id="lists in lists"),
        pytest.param(b'{"box_space_wh": [1' + b"0" * 400 + b", 9]}", "too large", id="a number beyond any float"),
        pytest.param(b'{"box_space_wh": [5e-324, 9]}', "two positive numbers", id="a space that nothing divides"),
        pytest.param(
            BEGINNING + b'"text": "", "finish_reason": "stop", "num_tokens": 1e400}',
            "a number is too large",
            id="infinitely many tokens",
        ),
        *(
            pytest.param(
                BEGINNING + b'"text": "", "num_tokens": 1, "finish_reason": "stop", "logprob": %s}' % value,
                "no number up to 0",
                id=f"log-probability {value.decode()}",
            )
            for value in (b"NaN", b"0.5", b"Infinity")
        ),
    ],
)
def test_a_broken_line_is_named_by_number_and_the_rest_is_kept(tmp_path: Path, line: bytes, reason: str) -> None:
    with AnswersFile(tmp_path, ANSWERS_FILE) as file:
        file.append(THREE)
    path = tmp_path / ANSWERS_FILE
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], line, *lines[1:], b""]))
    loaded = load_answers(tmp_path)
    assert list(loaded.answers.values()) == THREE
    assert [broken.line_number for broken in loaded.broken] == [2]
    assert reason in loaded.broken[0].reason


def test_a_batch_that_does_not_fit_on_the_disk_leaves_no_trace(tmp_path: Path) -> None:
    with AnswersFile(tmp_path, ANSWERS_FILE) as file:
        file.append(THREE[:1])
        before = (tmp_path / ANSWERS_FILE).read_bytes()
        with (
            files_no_larger_than(len(before) + 150),
            pytest.raises(OutputError, match=r"cannot write .*answers-here-0\.jsonl.*finished answers are kept"),
        ):
            file.append([make_answer("b"), make_answer("c", "x" * 500)])
        assert (tmp_path / ANSWERS_FILE).read_bytes() == before
        file.append(THREE[1:])
    assert list(load_answers(tmp_path).answers.values()) == THREE


def test_a_folder_that_is_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(OutputError, match="cannot write"):
        AnswersFile(tmp_path / "taken", ANSWERS_FILE)


def test_a_killed_writer_leaves_every_answer_that_it_finished(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from r1sgg_cli.inference.answers import Answer, Sample\n"
        "from r1sgg_cli.inference.answers_file import AnswersFile\n"
        "with AnswersFile(Path(sys.argv[1]), sys.argv[2]) as file:\n"
        "    for number in range(10**9):\n"
        "        file.append([Answer(str(number), (1000, 1000), (Sample('x' * 20_000, 'stop', 1),))])\n"
        "        print(number, flush=True)\n"
    )
    argv = [sys.executable, "-c", script, str(tmp_path), ANSWERS_FILE]
    writer = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "0\n"
    time.sleep(0.05)
    writer.send_signal(signal.SIGKILL)
    finished = 1 + len(writer.stdout.readlines())
    writer.wait()
    writer.stdout.close()
    answers = load_answers(tmp_path).answers
    assert len(answers) in (finished, finished + 1)
    assert list(answers) == [str(number) for number in range(len(answers))]
    assert all(answer.samples[0].text == "x" * 20_000 for answer in answers.values())
