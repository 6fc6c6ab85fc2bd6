"""`r1sgg init`."""

from pathlib import Path
from typing import Annotated

import typer

TEMPLATE = """\
# An experiment: `r1sgg submit --slurm` runs it as a chain of jobs, `r1sgg submit --local` on this machine.
# Every line that is commented out shows its default, or what might stand there.

out: runs/experiment              # holds everything: checkpoints, answers, numbers, job scripts, logs
model: Qwen/Qwen2-VL-2B-Instruct  # a checkpoint's folder, or its name on the hub
preset: a100-16x                  # what it runs on: `r1sgg presets` lists them

dataset: JosephZ/vg150_train_sgg_prompt     # to train on
# test_dataset: JosephZ/vg150_val_sgg_prompt   # to answer and evaluate; the paper's for its own sets
# test_split: test                # of `test_dataset`, or of `dataset` itself
# split: train                    # of `dataset`
# vocabulary: vg150               # `vg150`, `psg` or a JSON file; the data set's own when not given
# seed: 42
# report_to: [tensorboard]        # beside metrics.jsonl: tensorboard, wandb, trackio

# What your cluster wants to be told; goes on top of every preset.
# slurm:
#   account: my-account
#   partition: gpu
#   qos: normal
#   constraint: a100
#   exclude: "n[3,7-9]"
#   time_limit: 24:00:00
#   reservation: course
#   gpu_type: a100                # as `sinfo -o %G` names it, where a partition has several
#   cpus_per_gpu: 8
#   memory_gib: 400               # of a node; 0 is all of it
#   exclusive: true
#   mail_user: me@example.org
#   mail_type: END,FAIL,REQUEUE
#   signal_seconds: 600           # how long before the time limit a run saves and goes back to the queue
#   max_requeues: 20
# environment:
#   modules: [cuda/12.4]
#   activate: ~/venvs/r1sgg       # the environment of this shell when not given
#   container: {engine: pyxis, image: /images/r1sgg.sqsh}   # or apptainer
#   scratch: $TMPDIR
#   variables: {NCCL_SOCKET_IFNAME: ib0}   # never a secret
#   offline: true                 # compute nodes have no network: fetch before submitting

# Stages, in this order; those that are left out do not run. `dataset` is then what `prepare` writes.
# prepare: {source: annotations/psg.json, options: {images: coco}}
# sft: {recipe: sft, preset: a100-4x, set: {predefined_categories: true}}
grpo:
  recipe: grpo                    # a shipped recipe or a .yaml file
  # preset: a100-16x              # another than the experiment's
  set: {}                         # fields on top of the recipe: {learning_rate: 1e-6}
infer:
  num_tasks: 4                    # array tasks, one GPU each
  # preset: a100-4x
  # predefined_categories: true   # as in training when not given, and so is `think`
  # think: true
  # max_new_tokens: 2048
  # engine: vllm                  # or transformers; what this machine has when not given
  # structured: true              # scene graphs by construction; needs vLLM
  # temperature: 0.7              # greedy when not given
  # num_answers: 8                # per image, of which `gather` takes one
  # gather: {pick: majority, wordnet: true}   # options of `r1sgg gather`
  # limit: 100                    # only the first images
"""


def init(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("r1sgg.yaml"),
) -> None:
    """Write a commented `r1sgg.yaml`, the experiment that `r1sgg submit` runs.

    As written it is the paper's R1-SGG-Zero 2B on VG150: GRPO from the base model, then answers and numbers.

    Example: r1sgg init
    """
    from r1sgg_cli.errors import OutputError
    from r1sgg_cli.files import save_text

    if path.exists():
        raise OutputError(f"`{path}` is there already; name another file, or edit that one")
    save_text(TEMPLATE, path)
    typer.echo(f"{path}: edit it, see the plan with `r1sgg submit --slurm --dry-run`, then `r1sgg submit --slurm`")
