"""`r1sgg init`: what it writes can be submitted as it is, and each of its examples as well."""

import re
from pathlib import Path

import pytest

from r1sgg_cli.cli.app import app
from r1sgg_cli.cli.init import TEMPLATE
from r1sgg_cli.config.experiment import Experiment, load_experiment
from r1sgg_cli.config.presets import load_preset
from r1sgg_cli.config.recipes import find_recipe
from r1sgg_cli.errors import OutputError
from r1sgg_cli.launch.pipeline import experiment_stages
from tests.launch.jobs import FOLDERS


def uncommented(text: str) -> str:
    """The file with each line that is an option, and not a sentence, in force."""
    return re.sub(r"^( *)# ( *[a-z_]+:( |$))", r"\1\2", text, flags=re.MULTILINE)


def load(text: str, folder: Path) -> Experiment:
    (folder / "r1sgg.yaml").write_text(text, encoding="utf-8")
    return load_experiment(folder / "r1sgg.yaml")


def test_what_is_written_is_the_papers_zero_2b(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    app(["init"], standalone_mode=False)
    assert capsys.readouterr().out.startswith("r1sgg.yaml: edit it, see the plan with `r1sgg submit --slurm --dry-run`")
    written, published = load_experiment(Path("r1sgg.yaml")), load_experiment(None)
    assert written.model_copy(update={"out": published.out}) == published


def test_every_example_is_valid(tmp_path: Path) -> None:
    text = uncommented(TEMPLATE)
    assert not re.search(r"^ *# *[a-z_]+:", text, re.MULTILINE)
    experiment = load(text, tmp_path)
    assert experiment.stages == ("prepare", "sft", "grpo", "infer", "gather", "eval")
    assert len(experiment_stages(experiment)) == 6
    assert experiment.sft is not None
    assert experiment.grpo is not None
    for stage in (experiment.sft, experiment.grpo):
        assert find_recipe(stage.recipe or "").is_file()
        preset = load_preset(stage.preset or experiment.preset, FOLDERS, experiment.hardware_overrides)
        assert preset.slurm.time_limit == "24:00:00"
        assert preset.environment.container is not None


LINES = TEMPLATE.splitlines()
SECTIONS = ("# slurm:", "# environment:")
OPTIONS = [i for i, line in enumerate(LINES) if re.match(r" *# *[a-z_]+: ", line)]


@pytest.mark.parametrize("number", OPTIONS, ids=lambda number: LINES[number].strip(" #").split(":")[0])
def test_each_example_is_valid_alone(number: int, tmp_path: Path) -> None:
    """With its section, where it stands in one."""
    above = [i for i in range(number) if LINES[i] in SECTIONS] if LINES[number].startswith("#   ") else []
    # What is answered of a set that is made here has to be said.
    tested = [i for i in OPTIONS if LINES[i].startswith("# test_split")] if "prepare:" in LINES[number] else []
    chosen = {number, *above[-1:], *tested}
    load("\n".join(uncommented(line) if i in chosen else line for i, line in enumerate(LINES)), tmp_path)


def test_a_file_that_is_there_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("sft: {}\n", encoding="utf-8")
    with pytest.raises(OutputError, match="is there already; name another file"):
        app(["init", str(path)], standalone_mode=False)
    assert path.read_text(encoding="utf-8") == "sft: {}\n"
