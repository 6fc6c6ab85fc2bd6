"""What runs on each node, executed with stand-ins and checked argument by argument."""

from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.launch.job import Job, JobKind
from tests.launch.jobs import EVERYTHING, container, make_job
from tests.launch.stand_ins import Cluster, as_dict, once_serving


def serving(num_servers: int) -> dict[str, str]:
    """Servers that end when they are stopped."""
    return {"vllm": "exec /bin/sleep 30", "torchrun": once_serving(num_servers)}


@pytest.fixture
def place(tmp_path: Path, cluster: Cluster) -> dict[str, Any]:
    """Folders of a job that really runs."""
    (tmp_path / "run" / "logs").mkdir(parents=True)
    (tmp_path / "work").mkdir()
    return {"folder": tmp_path / "run", "work_dir": tmp_path / "work", "bin_dir": cluster.bin_dir}


def placed(place: dict[str, Any], kind: JobKind, preset: str, overrides: Any = None, **fields: Any) -> Job:
    return make_job(kind, preset, overrides, **{**place, "model": "org/model", **fields})


def test_several_nodes_are_told_the_first_and_their_rank(cluster: Cluster, place: dict[str, Any]) -> None:
    assert cluster.run(placed(place, "torchrun", "a100-16x")).returncode == 0
    calls = cluster.calls("torchrun")
    assert [call.argv for call in calls] == [
        f"--nnodes 4 --node-rank {node} --master-addr n0 --master-port 15168 --nproc-per-node 4 "
        "-m r1sgg_cli worker /runs/grpo".split()
        for node in range(4)
    ]
    assert {call.cwd for call in calls} == {str(place["work_dir"])}


def test_the_step_has_all_nodes_and_the_cpus_of_the_job(cluster: Cluster, place: dict[str, Any]) -> None:
    cluster.run(placed(place, "torchrun", "a100-16x"), SLURM_CPUS_PER_TASK="32")
    srun = cluster.only_call("srun").argv
    assert srun[: srun.index("bash")] == [
        "--nodes=4",
        "--ntasks=4",
        "--kill-on-bad-exit=1",
        "--label",
        "--cpus-per-task=32",
    ]


def test_a_task_of_an_array_is_one_worker_on_one_gpu(cluster: Cluster, place: dict[str, Any]) -> None:
    job = placed(place, "array", "a100-16x", command=("infer", "m", "o"), num_tasks=16)
    assert cluster.run(job, SLURM_ARRAY_TASK_ID="7").returncode == 0
    assert cluster.only_call("r1sgg").argv == ["infer", "m", "o"]
    assert "--gpus-per-node=1" in cluster.only_call("srun").argv


def test_inside_an_allocation_an_array_is_all_of_its_workers(cluster: Cluster, place: dict[str, Any]) -> None:
    job = placed(place, "array", "a100-16x", command=("infer", "m", "o"), num_tasks=3)
    assert cluster.run(job).returncode == 0
    assert [call.argv for call in cluster.calls("r1sgg")] == [["infer", "m", "o"]] * 3


def test_the_published_layout_serves_beside_training(cluster: Cluster, place: dict[str, Any]) -> None:
    job = placed(place, "torchrun", "rtx4090-120x", command=("worker", "r"), max_model_len=3072, max_pixels=401_408)
    done = cluster.run(job, serving(10), CUDA_VISIBLE_DEVICES="0,1,2,3,4,5,6,7")
    assert (done.returncode, done.stderr) == (0, "")

    trainers = cluster.calls("torchrun")
    assert [call.argv for call in trainers] == [
        f"--nnodes 15 --node-rank {node} --master-addr n0 --master-port 15168 "
        f"--nproc-per-node {4 if node < 10 else 8} -m r1sgg_cli worker r".split()
        for node in range(15)
    ]
    gpus = [call.environ["CUDA_VISIBLE_DEVICES"] for call in trainers]
    assert gpus == ["4,5,6,7"] * 10 + ["0,1,2,3,4,5,6,7"] * 5
    assert {call.environ["R1SGG_SERVER_URL"] for call in trainers} == {"http://n0:15169"}

    servers = cluster.calls("vllm")
    assert [call.node for call in servers] == list(range(10))
    assert {call.environ["CUDA_VISIBLE_DEVICES"] for call in servers} == {"0,1,2,3"}
    assert {call.environ["VLLM_SERVER_DEV_MODE"] for call in servers} == {"1"}
    engine = {
        "--weight-transfer-config": '{"backend":"nccl"}',
        "--logprobs-mode": "processed_logprobs",
        "--max-logprobs": "-1",
        "--enable-scale-out": True,
        "--dtype": "bfloat16",
        "--tensor-parallel-size": "4",
        "--max-model-len": "3072",
        "--limit-mm-per-prompt": '{"image": 1, "video": 0}',
        "--mm-processor-kwargs": '{"max_pixels": 401408}',
        "--data-parallel-size": "10",
        "--data-parallel-size-local": "1",
        "--data-parallel-address": "10.0.0.7",
        "--data-parallel-rpc-port": "15170",
    }
    for node, call in enumerate(servers):
        assert call.argv[:2] == ["serve", "org/model"]
        ends = {"--port": "15169", "--api-server-count": "1"}
        rest = {"--headless": True, "--data-parallel-start-rank": str(node), "--seed": str(node)}
        assert as_dict(call.argv[2:]) == {**engine, **(rest if node else ends)}


def test_the_servers_address_is_asked_for_on_another_node(cluster: Cluster, place: dict[str, Any]) -> None:
    cluster.run(placed(place, "torchrun", "rtx4090-120x"), serving(10))
    asked = cluster.only_call("getent")
    assert (asked.node, asked.argv) == (1, ["ahostsv4", "n0"])


def test_a_node_that_only_serves_has_no_rank_and_ends_with_the_training(
    cluster: Cluster, place: dict[str, Any]
) -> None:
    servers = {"rollouts": "servers", "servers": {"per_node": 2, "tensor_parallel": 2}}
    done = cluster.run(placed(place, "torchrun", "a100-16x", servers), serving(2))
    assert (done.returncode, done.stderr) == (0, "")
    places = [as_dict(call.argv) for call in cluster.calls("torchrun")]
    assert [place["--node-rank"] for place in places] == ["0", "1", "2"]
    assert {(place["--nnodes"], place["--master-addr"]) for place in places} == {("3", "n1")}
    assert [call.node for call in cluster.calls("torchrun")] == [1, 2, 3]
    second, first = sorted(cluster.calls("vllm"), key=lambda call: "--port" in call.argv)
    assert (first.environ["CUDA_VISIBLE_DEVICES"], second.environ["CUDA_VISIBLE_DEVICES"]) == ("0,1", "2,3")
    assert as_dict(second.argv[2:])["--seed"] == "1"
    assert as_dict(second.argv[2:])["--data-parallel-address"] == "127.0.0.1"


def test_gpus_are_those_that_slurm_gave_to_the_job(cluster: Cluster, place: dict[str, Any]) -> None:
    servers = {"rollouts": "servers", "servers": {}}
    job = placed(place, "torchrun", "a100-4x", servers)
    cluster.run(job, serving(1), CUDA_VISIBLE_DEVICES="GPU-a,GPU-b,GPU-c,GPU-d")
    assert cluster.only_call("vllm").environ["CUDA_VISIBLE_DEVICES"] == "GPU-a"
    trainer = cluster.only_call("torchrun")
    assert trainer.environ["CUDA_VISIBLE_DEVICES"] == "GPU-b,GPU-c,GPU-d"
    assert trainer.argv[:3] == ["--standalone", "--nproc-per-node", "3"]


def test_a_server_that_dies_ends_the_job_and_says_which_log_to_read(cluster: Cluster, place: dict[str, Any]) -> None:
    servers = {"rollouts": "servers", "servers": {}}
    acts = {"vllm": "echo no memory; exit 1", "torchrun": "exec /bin/sleep 30"}
    done = cluster.run(placed(place, "torchrun", "a100-4x", servers), acts)
    log = place["folder"] / "logs" / "server-42-0.out"
    assert done.returncode == 1
    assert "ended before the training did" in done.stderr
    assert f"{place['folder']}/logs/server-42-*.out" in done.stderr
    assert log.read_text(encoding="utf-8") == "no memory\n"


def test_a_training_saves_for_as_long_as_it_needs_after_other_nodes_have_ended(
    cluster: Cluster, place: dict[str, Any]
) -> None:
    """The servers of the other node end with its trainers, and those of this one with them."""
    layout = {"num_nodes": 2, "servers": {"num_nodes": 2, "tensor_parallel": 4}}
    acts = {
        "vllm": 'trap "touch gone; exit" TERM; while [ ! -e gone ]; do /bin/sleep 0.05; done',
        "torchrun": once_serving(2, 'if [ "$SLURM_NODEID" -eq 0 ]; then /bin/sleep 3; touch saved; fi'),
    }
    done = cluster.run(placed(place, "torchrun", "rtx4090-120x", layout), acts)
    assert (done.returncode, done.stderr) == (0, "")
    assert (place["work_dir"] / "saved").exists()


def test_a_training_that_fails_takes_its_server_along(cluster: Cluster, place: dict[str, Any]) -> None:
    servers = {"rollouts": "servers", "servers": {}}
    acts = {
        "vllm": 'trap "touch stopped; exit" TERM; touch serving; while :; do /bin/sleep 0.05; done',
        "torchrun": "until [ -e serving ]; do /bin/sleep 0.05; done; exit 7",
    }
    done = cluster.run(placed(place, "torchrun", "a100-4x", servers), acts)
    assert done.returncode == 7
    assert "vLLM" not in done.stderr
    assert (place["work_dir"] / "stopped").exists()


def test_modules_an_environment_and_a_scratch_disk_are_set_up(cluster: Cluster, place: dict[str, Any]) -> None:
    venv = cluster.folder / "envs" / "r1 sgg" / "bin"
    venv.mkdir(parents=True)
    (venv / "activate").write_text("export VIRTUAL_ENV=$NOT_SET/here\n", encoding="utf-8")
    scratch = str(cluster.folder / "$USER" / "run ${SLURM_JOB_ID}")
    overrides = {**EVERYTHING, "environment": {**EVERYTHING["environment"], "scratch": scratch}}
    assert cluster.run(placed(place, "torchrun", "a100-4x", overrides), USER="ana").returncode == 0
    loaded = [call.argv for call in cluster.calls("module")]
    assert sorted(loaded) == [["load", "cuda/12.8"], ["load", "gcc (13)"], ["purge"]]
    environ = cluster.only_call("torchrun").environ
    assert environ["VIRTUAL_ENV"] == "/here"
    assert environ["HF_HUB_OFFLINE"] == "1"
    assert environ["GREETING"] == "$HOME isn't `looked up`"
    assert environ["TRITON_CACHE_DIR"].startswith(str(cluster.folder / "ana" / "run 42" / "r1sgg-"))
    assert Path(environ["TMPDIR"]).is_dir()


def test_a_conda_environment_is_activated_without_conda(cluster: Cluster, place: dict[str, Any]) -> None:
    folder = cluster.folder / "conda env"
    (folder / "conda-meta").mkdir(parents=True)
    (folder / "etc" / "conda" / "activate.d").mkdir(parents=True)
    (folder / "etc" / "conda" / "activate.d" / "more.sh").write_text("export MORE=$NOT_SET.\n", encoding="utf-8")
    job = placed(place, "torchrun", "a100-4x", {"environment": {"activate": str(folder)}})
    assert cluster.run(job).returncode == 0
    environ = cluster.only_call("torchrun").environ
    assert (environ["CONDA_PREFIX"], environ["MORE"]) == (str(folder), ".")
    assert environ["PATH"].startswith(f"{folder}/bin:")


def test_tasks_run_in_a_pyxis_image(cluster: Cluster, place: dict[str, Any]) -> None:
    cluster.run(placed(place, "torchrun", "a100-4x", container("pyxis")))
    options = dict(word.lstrip("-").split("=", 1) for word in cluster.only_call("srun").argv if "container" in word)
    own = [place["work_dir"], place["folder"], "/data/huggingface"]
    assert options["container-image"] == "/images/r1 sgg.sqsh"
    assert options["container-mounts"].split(",") == [*(f"{path}:{path}" for path in own), "/datasets:/datasets:ro"]
    assert options["container-workdir"] == str(place["work_dir"])
    assert cluster.only_call("torchrun").environ["HF_HOME"] == "/data/huggingface"


def test_the_hubs_folders_are_found_in_an_image_wherever_they_are(cluster: Cluster, place: dict[str, Any]) -> None:
    folders = {"HF_HOME": Path("/data/huggingface"), "HF_HUB_CACHE": Path("/scratch/hub")}
    cluster.run(placed(place, "torchrun", "a100-4x", container("pyxis"), hub_folders=folders))
    (mounts,) = (word for word in cluster.only_call("srun").argv if word.startswith("--container-mounts="))
    environ = cluster.only_call("torchrun").environ
    for name, folder in folders.items():
        assert f"{folder}:{folder}" in mounts.partition("=")[2].split(",")
        assert environ[name] == str(folder)


def test_more_folders_of_a_job_are_mounted(cluster: Cluster, place: dict[str, Any]) -> None:
    more = (Path("/data/experiment"), place["work_dir"])
    cluster.run(placed(place, "torchrun", "a100-4x", container("pyxis"), mounts=more))
    (mounts,) = (word for word in cluster.only_call("srun").argv if word.startswith("--container-mounts="))
    own = [place["work_dir"], place["folder"], "/data/huggingface", "/data/experiment"]
    assert mounts.partition("=")[2].split(",") == [*(f"{path}:{path}" for path in own), "/datasets:/datasets:ro"]


def test_tasks_run_in_an_apptainer_image(cluster: Cluster, place: dict[str, Any]) -> None:
    cluster.run(placed(place, "torchrun", "a100-4x", container("apptainer")))
    argv = cluster.only_call("apptainer").argv
    own = [f"{path}:{path}" for path in (place["work_dir"], place["folder"], "/data/huggingface")]
    binds = [word for mount in (*own, "/datasets:/datasets:ro") for word in ("--bind", mount)]
    image = ["--pwd", str(place["work_dir"]), "/images/r1 sgg.sqsh", "bash", "-c"]
    assert argv[: argv.index("bash") + 2] == ["exec", "--nv", *binds, *image]
    assert "torchrun --standalone" in argv[argv.index("bash") + 2]
