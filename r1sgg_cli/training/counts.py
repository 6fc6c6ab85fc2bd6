"""How many of the sampled answers hold no graph, or an empty one: logged beside the rewards, whatever those reward."""

from collections.abc import Mapping, Sequence
from typing import Any

from r1sgg_cli.config.schema import Task
from r1sgg_cli.rewards.batch import Completion, completion_text, read_completion, read_truth
from r1sgg_cli.scene_graph.graph import SceneGraph

UNREADABLE, EMPTY = "answers/unreadable", "answers/empty"


def count_graphs(completions: Sequence[Completion], examples: Sequence[Mapping[str, Any]]) -> dict[str, list[bool]]:
    """Of each answer to an example, whether no graph can be read in it, and whether that lists nothing of some kind.

    Each answer has been parsed for the rewards already, and is not parsed again.
    """
    unreadable, empty = [], []
    for completion, example in zip(completions, examples, strict=True):
        (width, height), (left, top) = example["box_space_wh"], example["box_origin"]
        image_wh = (example["image_wh"][0], example["image_wh"][1])
        truth = read_truth(example["objects"], example["relationships"], image_wh, (width, height))
        task = example["task"]
        answer = read_completion(completion_text(completion), (width, height), (left, top), task, truth)
        lists = [] if answer is None else _asked_for(answer.graph, task)
        unreadable.append(answer is None)
        empty.append(answer is not None and not all(lists))
    return {UNREADABLE: unreadable, EMPTY: empty}


def _asked_for(graph: SceneGraph, task: Task) -> list[Sequence[Any]]:
    """The lists that `task` asks for."""
    return [*([graph.names] if task != "cls" else []), *([graph.triplets] if task != "det" else [])]


class CountsGraphs:
    """Mixed into TRL's trainer, before it: logs the shares of `count_graphs` with the metrics of each step."""

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any) -> Any:
        rewards = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)  # type: ignore[misc]
        for name, values in count_graphs(completions, inputs).items():
            for value in values:  # averaged over the answers of all processes
                self._log_metric(name, float(value))  # type: ignore[attr-defined]
        return rewards
