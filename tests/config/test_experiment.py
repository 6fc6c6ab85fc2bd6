"""An experiment's file: its stages, and what it puts on top of presets."""

from pathlib import Path

import pytest

from r1sgg_cli.config.experiment import load_experiment
from r1sgg_cli.errors import ConfigError


def write(folder: Path, text: str) -> Path:
    path = folder / "r1sgg.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_it_is_the_papers_zero_2b() -> None:
    experiment = load_experiment(None)
    assert (experiment.model, experiment.preset) == ("Qwen/Qwen2-VL-2B-Instruct", "a100-16x")
    assert experiment.stages == ("grpo", "infer", "gather", "eval")


def test_stages_run_in_their_order_however_they_are_written(tmp_path: Path) -> None:
    text = "infer: {num_tasks: 2}\ntest_split: test\ngrpo: {recipe: grpo-soft}\nprepare: {source: psg.json}\nsft: {}\n"
    experiment = load_experiment(write(tmp_path, text))
    assert experiment.stages == ("prepare", "sft", "grpo", "infer", "gather", "eval")


def test_a_stage_that_is_null_is_left_out(tmp_path: Path) -> None:
    assert load_experiment(write(tmp_path, "sft: {}\ninfer: null\n")).stages == ("sft",)


@pytest.mark.parametrize(
    ("text", "tested"),
    [
        ("infer: {}\n", "JosephZ/vg150_val_sgg_prompt"),
        ("infer: {}\ndataset: JosephZ/psg_train_sg\n", "JosephZ/psg_test_sg"),
        ("infer: {}\ndataset: own\ntest_split: test\n", None),
        ("infer: {}\ndataset: own\ntest_dataset: other\n", "other"),
    ],
    ids=["VG150", "PSG", "a split of one's own", "another set"],
)
def test_what_is_answered_follows_from_what_is_trained_on(text: str, tested: str | None, tmp_path: Path) -> None:
    assert load_experiment(write(tmp_path, text)).tested == tested


def test_only_what_the_file_names_goes_on_top_of_presets(tmp_path: Path) -> None:
    text = "sft: {}\nslurm: {account: abc, time_limit: 02:00:00}\nenvironment: {modules: [cuda]}\n"
    assert load_experiment(write(tmp_path, text)).hardware_overrides == {
        "slurm": {"account": "abc", "time_limit": "02:00:00"},
        "environment": {"modules": ("cuda",)},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; `r1sgg init` writes one"),
        ("infer: null\n", "no stage is named"),
        ("infer: {}\ndataset: own\n", "say what is answered: `test_split: test`"),
        ("infer: {}\nprepare: {source: psg.json}\n", "say what is answered"),
        ("sft: {recipi: x}\n", "no option `sft.recipi`; did you mean `sft.recipe`"),
        ("modle: x\n", "no option `modle`; did you mean `model`"),
        ("slurm: {partiton: x}\nsft: {}\n", "no option `slurm.partiton`; did you mean `slurm.partition`"),
        ("infer: {num_tasks: 0}\n", "infer.num_tasks: .*greater than 0"),
        ("sft: [1]\n", "sft: "),
        (f"sft: {{}}\nout: {'x' * 300}\n", "out: no part of a path may be longer"),
        ('sft: {}\nmodel: "a\\0b"\n', "model: no part of a path may be longer than 255 bytes, or have a zero"),
    ],
    ids=[
        "empty",
        "nothing to do",
        "not VG150's own",
        "what is prepared",
        "in a stage",
        "at the top",
        "in slurm",
        "no task",
        "a list",
        "a name without an end",
        "a zero in a name",
    ],
)
def test_a_wrong_file_is_one_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        load_experiment(write(tmp_path, text))
    assert "\n" not in str(raised.value)
