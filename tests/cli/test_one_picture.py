"""What `infer MODEL PICTURE` shows."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from r1sgg_cli.cli.app import app
from r1sgg_cli.cli.one_picture import MARK, save_drawing, show_seen
from r1sgg_cli.errors import AnswersError, ConfigError, DataError, OutputError
from r1sgg_cli.files import insist_on_own
from r1sgg_cli.inference.answers import Answer, Sample
from r1sgg_cli.inference.one_picture import SeenPicture
from r1sgg_cli.scene_graph.parse import parse_answer
from tests.conftest import files_no_larger_than

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8))


def test_what_was_written_is_known_as_our_own(tmp_path: Path) -> None:
    save_drawing(NOISE, tmp_path / "a.graph.png")
    insist_on_own(tmp_path / "a.graph.png", MARK)


def test_a_full_disk_and_a_folder_that_is_gone_are_one_line(tmp_path: Path) -> None:
    with (
        files_no_larger_than(500),
        pytest.raises(OutputError, match=r"cannot write `.*a.graph.png`: File too large; run"),
    ):
        save_drawing(NOISE, tmp_path / "a.graph.png")
    assert not list(tmp_path.iterdir())
    with pytest.raises(OutputError, match="No such file or directory; run it in a folder"):
        save_drawing(NOISE, tmp_path / "gone" / "a.graph.png")


ANSWER = (
    '{"objects":[{"id":"[man].1","bbox":[0,0,40,30]},{"id":"horse.2","bbox":[20,20,80,60]}],'
    '"relationships":[{"subject":"[man].1","predicate":"riding","object":"horse.2"}]}'
)


def test_the_graph_is_printed_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Brackets in a name are no markup."""
    sample = Sample(ANSWER, "stop", 9, -1.0, (-0.5, None), (-0.25,))
    answer = Answer("photo.jpg", (80, 60), (sample,), image_wh=(80, 60))
    show_seen(SeenPicture(NOISE, answer, parse_answer(ANSWER, (80, 60)), None), tmp_path / "photo.graph.png")
    said = capsys.readouterr().out
    assert "0, 0, 40, 30" in said
    assert "0.61" in said, "the probability of a name"
    assert "[man].1    riding       horse.2    0.78" in said
    with Image.open(tmp_path / "photo.graph.png") as drawn:
        colours = {colour for _, colour in drawn.convert("RGB").getcolors(2**24) or ()}
    assert (0x00, 0x63, 0xA6) in colours, "a box is drawn"


def test_an_answer_without_a_graph_is_printed_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = Answer("photo.jpg", (80, 60), (Sample("[a man]", "stop", 9),))
    with pytest.raises(AnswersError) as refused:
        show_seen(SeenPicture(NOISE, answer, None, "it holds no JSON"), tmp_path / "photo.graph.png")
    assert str(refused.value) == (
        "no graph can be read from this answer: it holds no JSON; `--structured` allows nothing but graphs"
    )
    assert capsys.readouterr().out == "[a man]\n"
    cut = Answer("photo.jpg", (80, 60), (Sample("{", "length", 1),))
    with pytest.raises(AnswersError, match=r"it was cut off at 1 token: give a larger `--max-new-tokens`"):
        show_seen(SeenPicture(NOISE, cut, None, "it holds no JSON"), tmp_path / "photo.graph.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "argv", "kind", "match"),
    [
        (b"no picture", ["MODEL", "a.jpg"], DataError, "^image a.jpg cannot be read: it is no picture; mend it, or"),
        (
            b"text",
            ["MODEL", "a.txt", "--dataset", "d"],
            ConfigError,
            "`a.txt` is a file, but no picture; name a folder",
        ),
        (b"text", ["MODEL", "a.txt/b", "--dataset", "d"], OutputError, "`a.txt/b`: `a.txt` is a file; name another"),
        (b"p", ["MODEL", "out", "--images", "a.png"], DataError, "`a.png` is one picture, and `--images` takes a"),
    ],
    ids=["a broken picture", "a file as the folder", "a folder in a file", "one picture as a folder of them"],
)
def test_what_is_in_the_place_of_pictures_and_folders_is_said(
    content: bytes,
    argv: list[str],
    kind: type[Exception],
    match: str,
    tiny_checkpoint: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(next(name for name in argv if name.startswith("a.")).partition("/")[0]).write_bytes(content)
    model = str(tiny_checkpoint("qwen2_vl"))
    with pytest.raises(kind, match=match):
        app(["infer", *(model if part == "MODEL" else part for part in argv)], standalone_mode=False)
    assert len(list(tmp_path.iterdir())) == 1


def test_what_was_repaired_once_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = '{"objects":[{"id":"man.1","bbox":[0,0,40,30]},{"id":"sky.2","bbox":[1]}],"relationships":[]}'
    answer = Answer("photo.jpg", (80, 60), (Sample(text, "stop", 9),))
    show_seen(SeenPicture(NOISE, answer, parse_answer(text, (80, 60)), None), tmp_path / "photo.graph.png")
    assert "repaired or odd: bad_box, once" in capsys.readouterr().out


def test_a_model_is_asked_about_the_picture_that_is_named(
    tiny_checkpoint: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A random model writes no graph."""
    monkeypatch.chdir(tmp_path)
    NOISE.save("photo.png")
    argv = ["infer", str(tiny_checkpoint("qwen2_vl")), "photo.png", "--max-new-tokens", "4"]
    with pytest.raises(AnswersError, match=r"no graph can be read .* cut off at 4 tokens"):
        app(argv, standalone_mode=False)
    out, err = capsys.readouterr()
    assert out.strip()
    assert "engine: transformers (vLLM takes longer to start than to answer one picture)" in err
    with pytest.raises(ConfigError, match=r"`--limit` has no meaning for one picture \(`photo.png`\), whose one"):
        app([*argv, "--limit", "3"], standalone_mode=False)
    with pytest.raises(ConfigError, match=r"`--vocabulary vg150` has no effect where the prompt lists no categories"):
        app([*argv, "--vocabulary", "vg150"], standalone_mode=False)
    Path("photo.graph.png").write_bytes(b"mine")
    with pytest.raises(OutputError, match="holds something else and would be lost; move it, or ask in another folder"):
        app(argv, standalone_mode=False)
