"""`r1sgg view`: one page, named after the data set, that replaces nothing foreign."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from r1sgg_cli.cli.view import view
from r1sgg_cli.errors import ConfigError, DataError, OutputError
from tests.report.run_folder import make_run


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(view)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_the_page_is_named_after_the_data_set_and_can_be_written_again(synthetic_dataset: Path) -> None:
    for _ in range(2):
        assert run(synthetic_dataset, "--num-images", "4").stdout == "view-data.html: 4 of 512 images\n"
    html = Path("view-data.html").read_text(encoding="utf-8")
    assert html.count('<article class="sample"') == 4
    assert "Split train" in html
    assert "Split test" in html


def test_one_split_is_shown_and_named(synthetic_dataset: Path) -> None:
    result = run(synthetic_dataset, "--split", "test", "--num-images", "2")
    assert result.stdout == "view-data-test.html: 2 of 12 images\n"
    assert "Split train" not in Path("view-data-test.html").read_text(encoding="utf-8")


def test_named_images_are_shown_and_no_others(synthetic_dataset: Path) -> None:
    run(synthetic_dataset, "--image-id", "test-000003", "--image-id", "train-000007", "--out", "page.html")
    html = Path("page.html").read_text(encoding="utf-8")
    assert html.count('<article class="sample"') == 2
    assert "Image test-000003" in html
    assert "Image train-000007" in html


def test_the_same_seed_gives_the_same_page(synthetic_dataset: Path) -> None:
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        run(synthetic_dataset, "--num-images", "3", "--seed", seed, "--out", f"{name}.html")
    first, again, other = (Path(f"{name}.html").read_text(encoding="utf-8") for name in "abc")
    assert first == again
    assert first != other


def test_a_foreign_file_is_never_replaced(synthetic_dataset: Path) -> None:
    Path("page.html").write_text("<!DOCTYPE html>mine", encoding="utf-8")
    with pytest.raises(OutputError, match="holds something else"):
        run(synthetic_dataset, "--out", "page.html")
    assert Path("page.html").read_text(encoding="utf-8") == "<!DOCTYPE html>mine"


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--image-id", "test-3"], "no image `test-3`.*the closest ids: `test-"), (["--split", "val"], "no split `val`")],
    ids=["image", "split"],
)
def test_what_is_not_there_is_said_with_what_is(options: list[str], said: str, synthetic_dataset: Path) -> None:
    with pytest.raises(DataError, match=said):
        run(synthetic_dataset, *options)
    assert not list(Path().iterdir())


def test_real_photos_are_shown_with_their_graphs(shared_dir: Path) -> None:
    from r1sgg_cli.data.prepare import prepare_dataset
    from r1sgg_cli.data.readers.options import ReadOptions
    from r1sgg_cli.data.readers.psg import open_psg

    prepare_dataset(
        open_psg(shared_dir / "data" / "coco_panoptic_sample" / "psg_style.json", ReadOptions()), Path("psg")
    )
    assert run("psg").stdout == "view-psg.html: 2 of 2 images\n"
    html = Path("view-psg.html").read_text(encoding="utf-8")
    assert html.count("data:image/jpeg") == 2
    assert html.count('<g class="arrow') == 30


def test_a_runs_folder_gives_the_page_of_the_run(tmp_path: Path) -> None:
    make_run(tmp_path / "run", kept=(1,))
    assert run("run").stdout == "run/run.html\n"
    assert run("run", "--out", "page.html").stdout == "page.html\n"
    assert "Step 1: image" in Path("page.html").read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="`run` is a run, which has no splits"):
        run("run", "--split", "test")
    with pytest.raises(
        ConfigError, match=r"`run/run.html` is a file of a run; give the run's folder, `run`; .*browser"
    ):
        run("run/run.html")
    with pytest.raises(ConfigError, match=f"`{tmp_path}` is neither a data set nor a run; .* in it: {tmp_path}/run"):
        run(tmp_path)
    Path("other.html").write_text("<!DOCTYPE html>mine", encoding="utf-8")
    with pytest.raises(OutputError, match="holds something else"):
        run("run", "--out", "other.html")
