"""An experiment as stages that follow on each other: what each runs, where it writes, and whether it is finished.

OUT/experiment.yaml   what was submitted; another experiment in the same folder is refused
OUT/data              what `prepare` writes
OUT/sft OUT/grpo      the runs
OUT/answers           what `infer` writes
OUT/preds.json OUT/metrics.json
OUT/jobs/STAGE        each stage's job script and logs
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1sgg_cli.config.differences import differences
from r1sgg_cli.config.experiment import STAGES, Experiment, StageName
from r1sgg_cli.config.yaml import dump_yaml, load_yaml
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.files import insist_on_own_folder, save_text
from r1sgg_cli.launch.steps import PREPARED

RECORD = "experiment.yaml"
# What other stages leave is known here by name alone: a test holds these names to those of their owners.
MODEL_FINISHED = "r1sgg.json"
"""The last file of a finished training."""
ANSWERS_RECORD = "run.json"
"""What `infer` writes first."""
ANSWERS = "answers-*.jsonl"
"""What its workers write."""
ANSWERED = "complete.json"
"""What `infer` writes once every image is answered."""


_HARDWARE = frozenset({"preset", "num_tasks", "slurm", "environment"})
"""What no result depends on, of an experiment and of each of its stages."""
_READ_BY_TRAINING = frozenset({"model", "split", "vocabulary", "seed", "report_to"})
_READ_BY_ANSWERS = frozenset({"test_dataset", "test_split"})
"""Fields that no stage before reads, and that may be mended until one does."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of an experiment."""

    name: StageName
    command: tuple[str, ...]
    """Arguments of `r1sgg`, as somebody would type them; a training's job runs its planned form instead."""
    finished: tuple[Path, ...]
    """What is there once it is done."""
    num_tasks: int = 1

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to do."""
        return all(path.exists() for path in self.finished)


def experiment_stages(experiment: Experiment) -> tuple[Stage, ...]:
    """The stages of an experiment, in order, with paths as they are written in it."""
    makers: Mapping[StageName, Callable[[Experiment], Stage]] = {
        "prepare": _prepare,
        "sft": lambda one: _training(one, "sft"),
        "grpo": lambda one: _training(one, "grpo"),
        "infer": _infer,
        "gather": _gather,
        "eval": _eval,
    }
    return tuple(makers[name](experiment) for name in experiment.stages)


def unfinished(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """The stages that are left: the first that is not finished, and all that build on it."""
    for number, stage in enumerate(stages):
        if not stage.is_finished:
            return stages[number:]
    return ()


def job_folder(experiment: Experiment, stage: StageName) -> Path:
    """Where a stage's job has its script and logs: a training in its own run."""
    return experiment.out / (stage if stage in ("sft", "grpo") else f"jobs/{stage}")


def data_folder(experiment: Experiment) -> str:
    """What the experiment trains on."""
    return str(experiment.out / "data") if experiment.prepare else experiment.dataset


def model_of(experiment: Experiment, stage: StageName) -> str:
    """The model with which a stage starts: the base, or what the training before it leaves."""
    if stage == "grpo" and experiment.sft:
        return str(experiment.out / "sft")
    if stage == "infer" and (experiment.grpo or experiment.sft):
        return str(experiment.out / ("grpo" if experiment.grpo else "sft"))
    return experiment.model


def record_experiment(experiment: Experiment) -> None:
    """Write `experiment.yaml`, or insist that it is the same experiment. Raises `ConfigError`, `OutputError`.

    Hardware may change between two submissions, and so may stages after the last that has begun: one that failed for
    its settings has to be mended. All else is what the stages that have begun were made of.
    """
    path = experiment.out / RECORD
    values = experiment.model_dump(mode="json", exclude_unset=True)
    insist_on_own_folder(experiment.out, RECORD)
    begun = [number for number, name in enumerate(STAGES) if _has_begun(experiment.out, name)]
    if path.exists() and begun:
        to_come = STAGES[begun[-1] + 1 :]
        changed = differences(_settled(load_yaml(path), to_come), _settled(values, to_come))
        if changed:
            raise ConfigError(
                f"`{experiment.out}` holds another experiment ({'; '.join(changed)}); give another `out`, "
                "or the same experiment to continue"
            )
    save_text(dump_yaml(values), path)


def _settled(values: Mapping[str, Any], to_come: Sequence[StageName]) -> dict[str, Any]:
    """Of an experiment's fields those that the stages before `to_come` were made of.

    A stage's own options may be called as fields of the experiment are: only these are left out by name.
    """
    free = _HARDWARE.union(to_come)
    free |= _READ_BY_TRAINING if "sft" in to_come else frozenset()
    free |= _READ_BY_ANSWERS if "infer" in to_come else frozenset()
    kept = {key: value for key, value in values.items() if key not in free}
    stages = {key: value for key, value in kept.items() if key in STAGES and isinstance(value, Mapping)}
    return kept | {
        name: {key: value for key, value in stage.items() if key not in _HARDWARE} for name, stage in stages.items()
    }


def _has_begun(out: Path, stage: StageName) -> bool:
    """Whether a stage has left something that is kept when it goes on."""
    kept = {"prepare": (f"data/{PREPARED}",), "infer": (f"answers/{ANSWERS}",)}
    patterns = kept.get(stage, (f"{stage}/checkpoint-*", f"{stage}/{MODEL_FINISHED}"))
    return any(True for pattern in patterns for _ in out.glob(pattern))


def _prepare(experiment: Experiment) -> Stage:
    assert experiment.prepare is not None
    out = experiment.out / "data"
    command = ("prepare", experiment.prepare.source, "--out", str(out), *_options(experiment.prepare.options))
    return Stage("prepare", command, (out / PREPARED,))


def _training(experiment: Experiment, name: StageName) -> Stage:
    stage = experiment.sft if name == "sft" else experiment.grpo
    assert stage is not None
    out = experiment.out / name
    settings: dict[str, Any] = {
        "recipe": stage.recipe,
        "split": experiment.split,
        "vocabulary": experiment.vocabulary,
        "seed": experiment.seed,
        "report-to": experiment.report_to,
        "preset": stage.preset or experiment.preset,
    }
    command = [name, "--model", model_of(experiment, name), "--dataset", data_folder(experiment), "--out", str(out)]
    command += _options(settings)
    for override in recipe_overrides(stage.set):
        command += ["--set", override]
    return Stage(name, tuple(command), (out / MODEL_FINISHED,))


def recipe_overrides(values: Mapping[str, Any]) -> list[str]:
    """A mapping of recipe fields as `--set` takes them."""
    return [f"{key}={json.dumps(value)}" for key, value in values.items()]


def _infer(experiment: Experiment) -> Stage:
    infer = experiment.infer
    assert infer is not None
    answers = experiment.out / "answers"
    command = ["infer", model_of(experiment, "infer"), str(answers), "--dataset", tested_data(experiment)]
    if infer.predefined_categories is not None:
        command.append("--predefined-cats" if infer.predefined_categories else "--open-cats")
    if infer.think is not None:
        command.append("--grpo" if infer.think else "--no-grpo")
    settings = {
        "split": experiment.test_split,
        "vocabulary": experiment.vocabulary,
        "limit": infer.limit,
        "max-new-tokens": infer.max_new_tokens,
        "batch-size": infer.batch_size,
        "engine": infer.engine,
        "structured": infer.structured,
        "temperature": infer.temperature or None,
        "num-answers": infer.num_answers if infer.num_answers > 1 else None,
    }
    return Stage("infer", (*command, *_options(settings)), (answers / ANSWERED,), infer.num_tasks)


def tested_data(experiment: Experiment) -> str:
    """What is answered: the test set, or a split of the data set itself."""
    return experiment.tested or data_folder(experiment)


def _gather(experiment: Experiment) -> Stage:
    assert experiment.infer is not None
    predictions = experiment.out / "preds.json"
    said = experiment.infer.gather
    options = said | {f"no-{key}": True for key, value in said.items() if value is False}
    command = ("gather", str(experiment.out / "answers"), str(predictions), *_options(options))
    return Stage("gather", command, (predictions,))


def _eval(experiment: Experiment) -> Stage:
    numbers = experiment.out / "metrics.json"
    command = ("eval", str(experiment.out / "preds.json"), "--out", str(numbers))
    return Stage("eval", command, (numbers,))


def _options(values: Mapping[str, Any]) -> list[str]:
    """`{"limit": 5, "strict": True, "split": ["a", "b"]}` as a command's options; what is None or False is left out."""
    options: list[str] = []
    for key, value in values.items():
        flag = f"--{key.replace('_', '-')}"
        for one in value if isinstance(value, list | tuple) else [value]:
            if one is True:
                options.append(flag)
            elif one is not None and one is not False:
                options += [flag, str(one)]
    return options
