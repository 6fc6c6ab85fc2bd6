"""`infer`: every image of the split answered once, through kills and repeats."""

import errno
import io
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from datasets import Dataset
from peft import get_peft_model
from PIL import Image
from transformers import AutoModelForImageTextToText, BitsAndBytesConfig

from r1sgg_cli.config.schema import Lora
from r1sgg_cli.data.predictions import save_predictions
from r1sgg_cli.data.provenance import limit_of
from r1sgg_cli.data.rows import FEATURES, load_rows, undecoded
from r1sgg_cli.data.training_names import training_names
from r1sgg_cli.errors import ConfigError, DataError, ModelError, OutputError
from r1sgg_cli.files import locked
from r1sgg_cli.inference.answered_split import load_answered_split
from r1sgg_cli.inference.answers import Answer
from r1sgg_cli.inference.answers_file import answers_files, load_answers, worker_file
from r1sgg_cli.inference.asker import Asker, Wording
from r1sgg_cli.inference.gather import gather_split
from r1sgg_cli.inference.ground_truth import GROUND_TRUTH_FILE, load_ground_truth
from r1sgg_cli.inference.infer import infer
from r1sgg_cli.inference.queue import BEGIN_LOCK, QUEUE, WorkQueue, joined
from r1sgg_cli.inference.request import InferRequest
from r1sgg_cli.inference.run_record import COMPLETE_FILE, RUN_FILE, load_run
from r1sgg_cli.inference.training_file import load_training_names
from r1sgg_cli.models.asking import Asking, save_asking
from r1sgg_cli.models.checkpoint import load_checkpoint
from r1sgg_cli.models.families import FAMILIES, ModelType
from r1sgg_cli.models.images import PixelLimits
from r1sgg_cli.models.sampling import Sampling
from r1sgg_cli.scene_graph.vocabulary import Vocabulary
from r1sgg_cli.training.lora import lora_config

from .workers import SECONDS, kill, log_of, resume, stopped_workers


@pytest.fixture
def request_of(tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path, tmp_path: Path) -> InferRequest:
    return InferRequest(
        model=str(tiny_checkpoint("qwen2_vl")),
        out=tmp_path / "out",
        dataset=str(synthetic_dataset),
        split="test",
        sampling=Sampling(max_new_tokens=4),
        batch_size=5,
    )


def only_file(folder: Path) -> Path:
    """The file of answers of a folder that one worker filled."""
    (path,) = answers_files(folder)
    return path


def test_every_image_of_the_split_is_answered_once(request_of: InferRequest) -> None:
    infer(request_of)
    answers = load_answers(request_of.out)
    assert list(answers.answers) == [truth.image_id for truth in load_ground_truth(request_of.out)]
    assert (len(answers.answers), answers.repeated) == (12, ())
    assert {answer.box_space_wh for answer in answers.answers.values()} == {(1000.0, 1000.0)}


@pytest.mark.parametrize("model_type", get_args(ModelType))
def test_each_family_answers_in_its_own_space(
    model_type: ModelType,
    request_of: InferRequest,
    tiny_checkpoint: Callable[[str], Path],
    wide_dataset: Path,
) -> None:
    infer(replace(request_of, model=str(tiny_checkpoint(model_type)), dataset=str(wide_dataset)))
    run, answers = load_run(request_of.out), load_answers(request_of.out).answers.values()
    assert run["family"] == FAMILIES[model_type].name
    assert len(answers) == 4
    spaces = {"qwen2_5_vl": (200.0, 100.0), "llava": (1.0, 0.5)}
    assert {answer.box_space_wh for answer in answers} == {spaces.get(model_type, (1000.0, 1000.0))}
    assert {answer.box_origin for answer in answers} == {(0.0, 0.25) if model_type == "llava" else (0.0, 0.0)}
    assert len(gather_split(load_answered_split(request_of.out)).images) == 4


def test_the_folder_says_what_ran(request_of: InferRequest) -> None:
    infer(replace(request_of, limit=2, think=True))
    run = load_run(request_of.out)
    assert (run["model"], run["family"], run["split"]) == (request_of.model, "Qwen2-VL", "test")
    assert run["prompts"]["think"] is True
    assert run["vocabulary"] is not None
    assert "red circle" in run["vocabulary"]["objects"]


def test_the_same_request_again_asks_only_for_what_is_missing(
    request_of: InferRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = replace(request_of, batch_size=1)  # what stands beside an image moves the last digits of probabilities
    infer(alone)
    path = only_file(request_of.out)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:7]) + lines[7][:20], encoding="utf-8")
    capsys.readouterr()
    infer(alone)
    assert "7 of 12 images are answered already" in capsys.readouterr().err
    assert path.read_text(encoding="utf-8").splitlines(keepends=True) == lines


def test_a_trial_run_on_a_few_images_is_extended(request_of: InferRequest) -> None:
    infer(replace(request_of, limit=3))
    trial = load_answers(request_of.out).answers
    infer(request_of)
    after = load_answers(request_of.out)
    assert (len(trial), len(after.answers), after.repeated) == (3, 12, ())
    truths = load_ground_truth(request_of.out)
    assert len(truths) == 12
    assert load_run(request_of.out)["command"]
    assert load_training_names(request_of.out) == training_names(request_of.dataset, [truth.graph for truth in truths])


@pytest.mark.parametrize(
    ("limit", "part"), [(3, "first 3 of 12 images (`--limit`)"), (12, None), (20, None), (None, None)]
)
def test_a_trial_says_of_which_split_it_is_a_part(
    request_of: InferRequest, limit: int | None, part: str | None
) -> None:
    infer(replace(request_of, limit=limit))
    assert limit_of(gather_split(load_answered_split(request_of.out)).provenance) == part


def test_what_was_last_asked_for_is_on_record(request_of: InferRequest) -> None:
    for limit, part in ((4, "first 4 of"), (2, "first 2 of"), (None, "")):
        infer(replace(request_of, limit=limit))
        predictions = gather_split(load_answered_split(request_of.out))
        assert (limit_of(predictions.provenance) or "").startswith(part)
        assert len(predictions.images) == (limit or 12)
        assert predictions.provenance["gather"]["answers_of_other_images"] == (2 if limit == 2 else 0)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["missing", "cut short"])
def test_a_checkpoint_that_is_not_whole_is_refused_before_anything_is_written(
    request_of: InferRequest, tmp_path: Path, name: str, damage: str
) -> None:
    shutil.copytree(request_of.model, tmp_path / "model")
    content = (tmp_path / "model" / name).read_bytes()
    (tmp_path / "model" / name).unlink()
    if damage == "cut short":
        (tmp_path / "model" / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match=r"is not a whole checkpoint: .*; copy it again"):
        infer(replace(request_of, model=str(tmp_path / "model")))
    assert not request_of.out.exists()


def test_a_quantised_checkpoint_answers_as_it_is_stored(request_of: InferRequest, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="needs `uv sync --extra qlora`")
    few_bits = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")
    processor, model = load_checkpoint(request_of.model, torch.float32, few_bits)
    model.save_pretrained(tmp_path / "quantised")
    processor.save_pretrained(tmp_path / "quantised")
    infer(replace(request_of, model=str(tmp_path / "quantised"), limit=2))
    assert len(load_answers(request_of.out).answers) == 2


def test_adapters_answer_with_the_model_that_they_belong_to(request_of: InferRequest, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    model = AutoModelForImageTextToText.from_pretrained(request_of.model)
    get_peft_model(model, lora_config(Lora(rank=2), model)).save_pretrained(adapter)  # new ones change nothing
    infer(replace(request_of, limit=2))
    of_adapter = replace(request_of, model=str(adapter), limit=2, out=tmp_path / "other")
    infer(of_adapter)
    both = [load_answers(out).answers.values() for out in (request_of.out, of_adapter.out)]
    for ours, theirs in zip(*both, strict=True):
        assert ours.samples[0].text == theirs.samples[0].text
        assert ours.samples[0].logprob == pytest.approx(theirs.samples[0].logprob, abs=1e-4)
    assert load_run(of_adapter.out)["model_fingerprint"] != load_run(request_of.out)["model_fingerprint"]


def test_other_settings_in_the_same_folder_are_refused_and_named(request_of: InferRequest) -> None:
    infer(replace(request_of, limit=1))
    with pytest.raises(
        ConfigError, match=r"holds answers of another run \(generation.max_new_tokens: 4 there, 5 here\); give another"
    ):
        infer(replace(request_of, limit=1, sampling=Sampling(5)))


def test_a_model_that_was_trained_anew_into_its_folder_is_not_answered_already(
    request_of: InferRequest, tiny_checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(request_of.model, model)
    again = replace(request_of, model=str(model), limit=1)
    infer(again)
    weights = bytearray((model / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (model / "model.safetensors").write_bytes(weights)
    with pytest.raises(ConfigError, match=r"another run \(the model's weights changed\); give another folder"):
        infer(again)


def test_a_data_set_that_was_prepared_anew_is_not_answered_already(request_of: InferRequest, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(request_of.dataset, data)
    again = replace(request_of, dataset=str(data), limit=1)
    infer(again)
    (data / "prepare.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"another run \(the data set changed\); give another folder"):
        infer(again)


def test_a_run_without_an_answer_yet_is_begun_anew(request_of: InferRequest) -> None:
    infer(replace(request_of, limit=1))
    only_file(request_of.out).unlink()
    infer(replace(request_of, limit=2, sampling=Sampling(5)))
    assert load_run(request_of.out)["generation"]["max_new_tokens"] == 5
    assert len(load_ground_truth(request_of.out)) == len(load_answers(request_of.out).answers) == 2


@pytest.mark.parametrize("content", [None, "{", ""], ids=["missing", "broken", "empty"])
def test_the_same_request_again_mends_the_ground_truth(request_of: InferRequest, content: str | None) -> None:
    infer(replace(request_of, limit=2))
    path = request_of.out / GROUND_TRUTH_FILE
    whole, run = path.read_bytes(), (request_of.out / RUN_FILE).read_bytes()
    path.unlink()
    if content is not None:
        path.write_text(content, encoding="utf-8")
    infer(replace(request_of, limit=2))
    assert (path.read_bytes(), (request_of.out / RUN_FILE).read_bytes()) == (whole, run)


def test_categories_without_a_vocabulary_are_refused_before_anything_is_written(
    request_of: InferRequest, tmp_path: Path
) -> None:
    data = str(tmp_path / "data")  # without vocabulary.json, and without prompts of its own
    load_rows(request_of.dataset, "test").remove_columns("prompt_close").save_to_disk(data)
    with pytest.raises(ConfigError, match="predefined categories need a vocabulary"):
        infer(replace(request_of, dataset=data, split=None, predefined_categories=True))
    assert not request_of.out.exists()


def test_a_pixel_limit_that_is_too_small_is_refused_before_anything_is_written(request_of: InferRequest) -> None:
    with pytest.raises(ConfigError, match="max_pixels is 3"):
        infer(replace(request_of, max_pixels=3))
    assert not request_of.out.exists()


def test_a_folder_that_another_process_fills_is_left_alone(request_of: InferRequest) -> None:
    with locked(request_of.out), pytest.raises(OutputError, match="another r1sgg is writing to"):
        infer(replace(request_of, limit=1))
    assert not (request_of.out / RUN_FILE).exists()


@pytest.mark.parametrize("name", ["[exp]", "[/exp]", ":smile:"])
def test_a_folder_is_printed_as_it_is_named(
    request_of: InferRequest, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / name / "x"
    infer(replace(request_of, out=out, limit=1))
    assert f"answers: {out}\n" in capsys.readouterr().err


def test_a_broken_line_is_printed_as_it_is(request_of: InferRequest, capsys: pytest.CaptureFixture[str]) -> None:
    infer(replace(request_of, limit=1))
    path = only_file(request_of.out)
    answer = json.loads(path.read_text(encoding="utf-8"))
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(answer | {"finish_reason": "[/b]"}) + "\n")
    infer(replace(request_of, limit=1))
    assert f"line 2 of {path.name} passed over" in (err := capsys.readouterr().err)
    assert "[/b]" in err


def test_a_vocabulary_that_is_named_is_part_of_the_run(request_of: InferRequest) -> None:
    named = replace(request_of, limit=1, predefined_categories=True)
    infer(named)
    vocabulary = str(Path(request_of.dataset) / "vocabulary.json")
    with pytest.raises(ConfigError, match="another run"):
        infer(replace(named, vocabulary=vocabulary))


@pytest.mark.parametrize("named", [True, False], ids=["the command's", "the row's own"])
def test_a_vocabulary_named_by_the_command_wins_over_the_rows_own_prompt(named: bool) -> None:
    asking = Asking(think=False, predefined_categories=True, max_pixels=6400)
    wording = Wording(FAMILIES["qwen2_vl"], asking, Vocabulary(("cat",), ("near",)), vocabulary_named=named, task="sgg")
    assert ("names: cat." in wording.prompt({"prompt_close": "Mine."})) is named


def test_a_picture_of_a_shape_that_cannot_be_resized_is_named() -> None:
    asking = Asking(think=False, predefined_categories=False, max_pixels=6400)
    wording = Wording(FAMILIES["qwen2_vl"], asking, None, vocabulary_named=False, task="sgg")
    asker = Asker(wording, PixelLimits(20, 1600, 6400))
    file = io.BytesIO()
    Image.new("RGB", (900, 2)).save(file, "PNG")
    answer = asker.question({"image_id": "7", "image": {"bytes": file.getvalue(), "path": None}})
    assert isinstance(answer, Answer)
    assert answer.error is not None
    assert answer.error.startswith("image 7: an image of 900×2 pixels cannot be resized")


def test_a_model_is_asked_as_it_was_trained_unless_told_otherwise(
    request_of: InferRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = tmp_path / "trained"
    trained.mkdir()
    for file in Path(request_of.model).iterdir():
        (trained / file.name).symlink_to(file)
    save_asking(Asking(think=True, predefined_categories=True, max_pixels=6400), trained)
    infer(replace(request_of, model=str(trained), limit=1))
    assert "think and answer, predefined categories, at most 6400 pixels" in capsys.readouterr().err
    infer(replace(request_of, model=str(trained), limit=1, think=False, out=tmp_path / "other"))
    assert "the checkpoint was trained with another form" in capsys.readouterr().err


def test_a_model_that_learned_to_think_from_the_user_prompt_is_asked_there(
    request_of: InferRequest, tmp_path: Path
) -> None:
    trained = tmp_path / "trained"
    trained.mkdir()
    for file in Path(request_of.model).iterdir():
        (trained / file.name).symlink_to(file)
    save_asking(Asking(think=True, predefined_categories=False, max_pixels=6400, think_prompt="user"), trained)
    infer(replace(request_of, model=str(trained), limit=1))
    prompts = load_run(request_of.out)["prompts"]
    assert (prompts["think_prompt"], prompts["system"]) == ("user", "You write the scene graph of an image as JSON.")


def save_with_image(request: InferRequest, folder: Path, change: Callable[[bytes], bytes | None]) -> InferRequest:
    """The request for three images, the last of them changed."""
    first, second, third = undecoded(load_rows(request.dataset, "test").select(range(3)))
    content = change(third["image"]["bytes"])
    third["image"] = None if content is None else {"bytes": content, "path": None}
    Dataset.from_list([first, second, third], features=FEATURES).save_to_disk(folder)
    return replace(request, dataset=str(folder), split=None, batch_size=2)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(lambda whole: b"no image", "cannot be read", id="no image"),
        pytest.param(lambda whole: None, "column `image` is null", id="null"),
        pytest.param(lambda whole: whole[: len(whole) // 2], "cannot be read", id="cut short"),
    ],
)
def test_an_image_that_cannot_be_decoded_is_answered_with_the_reason_and_the_rest_goes_on(
    change: Callable[[bytes], bytes | None],
    reason: str,
    request_of: InferRequest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    request = save_with_image(request_of, tmp_path / "data", change)
    infer(request)
    answers = load_answers(request_of.out).answers
    assert [len(answers[f"test-{i:06}"].samples) for i in range(3)] == [1, 1, 0]
    said = answers["test-000002"].error
    assert said is not None
    assert reason in said
    assert f"not asked: {said}" in capsys.readouterr().err
    assert (request_of.out / COMPLETE_FILE).is_file()
    unread = load_ground_truth(request_of.out)[2]
    boxes = unread.graph.boxes_xyxy
    assert (boxes[:, 2:] <= unread.image_wh).all(), "what is annotated is kept"
    failures = [image.failure for image in gather_split(load_answered_split(request_of.out)).images]
    assert failures[:2].count("not_asked") == 0
    assert failures[2] == "not_asked"


def test_a_fault_of_the_disk_ends_the_run_and_a_mended_picture_is_asked_about_again(
    request_of: InferRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, row in zip(("a.png", "b.png"), load_rows(request_of.dataset, "test"), strict=False):
        row["image"].save(folder / name)
    whole = (folder / "b.png").read_bytes()
    (folder / "b.png").write_bytes(bytes(len(whole)))  # as a copy that has just begun
    request = replace(request_of, images=folder, dataset="", split=None, batch_size=1)
    read_bytes = Path.read_bytes

    def stale(path: Path) -> bytes:
        if path.parent == folder:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))
        return read_bytes(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", stale)
        with pytest.raises(DataError, match=r"image \w.png cannot be read: .*Stale file handle; .*run the same again"):
            infer(request)
    assert not load_answers(request.out).answers, "it said nothing of the pictures"
    infer(request)
    assert [i for i, answer in load_answers(request.out).answers.items() if answer.error] == ["b.png"]
    assert load_ground_truth(request.out)[1].image_wh == (1, 1)
    (folder / "b.png").write_bytes(whole)
    infer(request)
    loaded = load_answers(request.out)
    assert (set(loaded.answers), loaded.repeated) == ({"a.png", "b.png"}, ())
    assert not any(answer.error for answer in loaded.answers.values())
    assert load_ground_truth(request.out)[1].image_wh == loaded.answers["b.png"].image_wh


def test_pictures_of_a_folder_are_answered_without_a_data_set(
    request_of: InferRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    for i, name in enumerate(("b.png", "deep/a.JPG", "c.webp")):
        load_rows(request_of.dataset, "test")[i]["image"].save(folder / name)
    (folder / "notes.txt").write_text("no picture", encoding="utf-8")
    (folder / "cut.jpg").write_bytes((folder / "deep/a.JPG").read_bytes()[:400])
    request = replace(request_of, images=folder, dataset="", split=None)
    infer(request)
    answers = load_answers(request.out).answers
    assert set(answers) == {"b.png", "c.webp", "cut.jpg", "deep/a.JPG"}
    assert [image_id for image_id, answer in answers.items() if answer.error] == ["cut.jpg"]
    run = load_run(request.out)
    assert (run["dataset"], run["annotated"]) == (str(folder), False)
    (folder / "d.png").write_bytes((folder / "b.png").read_bytes())
    with pytest.raises(ConfigError, match="the data set changed"):
        infer(request)


@pytest.mark.parametrize(
    ("change", "kind", "match"),
    [
        ({"vocabulary": "vg51"}, ConfigError, "no vocabulary `vg51`"),
        ({"split": "tset"}, DataError, "has no split `tset`"),
        ({"images": Path("nowhere")}, DataError, "no folder `nowhere`"),
        ({"predefined_categories": True, "images": Path("photos")}, ConfigError, "categories need a vocabulary"),
        ({"out": Path("file/answers")}, OutputError, "`file/answers`: `file` is a file; name another folder"),
        ({"out": Path("photos")}, OutputError, "`photos` holds something else; name a new or empty folder"),
        ({"structured": True, "engine": "transformers"}, ConfigError, "transformers cannot constrain decoding"),
        ({}, ModelError, "is not a whole checkpoint"),
    ],
    ids=["vocabulary", "split", "pictures", "no vocabulary", "in a file", "another's folder", "engine", "processor"],
)
def test_the_processor_is_what_is_looked_at_last(
    change: dict[str, Any],
    kind: type[Exception],
    match: str,
    request_of: InferRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(request_of.model, "model", ignore=shutil.ignore_patterns("*token*", "*process*"))
    Path("file").touch()
    Path("photos").mkdir()
    Image.new("RGB", (40, 40)).save("photos/a.png")
    with pytest.raises(kind, match=match):
        infer(replace(request_of, model="model", **change))
    assert not request_of.out.exists()


def test_a_vocabulary_that_no_prompt_lists_is_said(
    request_of: InferRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    infer(replace(request_of, vocabulary="vg150", limit=1))
    said = capsys.readouterr().err
    assert "vocabulary: no prompt lists it (`--predefined-cats` does); `gather` maps labels into it" in said


def test_a_folder_without_pictures_is_one_line(request_of: InferRequest, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no picture"):
        infer(replace(request_of, images=tmp_path))
    with pytest.raises(DataError, match="no folder"):
        infer(replace(request_of, images=tmp_path / "missing"))


def test_relationships_between_annotated_objects_are_asked_for_by_their_ids(request_of: InferRequest) -> None:
    request = replace(request_of, task="cls", limit=2)
    infer(request)
    assert load_run(request.out)["task"] == "cls"
    assert "relationships between the objects" in load_run(request.out)["prompts"]["system"]
    assert all(answer.samples for answer in load_answers(request.out).answers.values())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sampling": Sampling(4, num_answers=3)}, "greedy answers of an image are all the same"),
        ({"sampling": Sampling(4, top_p=0.9)}, "greedy answers"),
        ({"images": Path("photos"), "task": "cls"}, "without a data set do not have"),
    ],
    ids=["several greedy answers", "top_p without temperature", "cls of pictures"],
)
def test_what_would_be_without_effect_is_refused(options: dict[str, Any], said: str, request_of: InferRequest) -> None:
    with pytest.raises(ConfigError, match=said):
        replace(request_of, **options)


def test_several_answers_of_an_image_stand_on_one_line(request_of: InferRequest) -> None:
    request = replace(request_of, sampling=Sampling(4, temperature=1.0, num_answers=3), limit=2)
    infer(request)
    lines = answers_files(request.out)[0].read_text(encoding="utf-8").splitlines()
    assert [len(json.loads(line)["more"]) for line in lines] == [2, 2]
    assert all(len(answer.samples) == 3 for answer in load_answers(request.out).answers.values())


# ---- workers


@contextmanager
def another_worker(request: InferRequest, num_images: int = 12) -> Iterator[tuple[WorkQueue, Callable[[], None]]]:
    """Of the first images of the split, and what ends it."""
    image_ids = load_rows(request.dataset, request.split)["image_id"][:num_images]
    with ExitStack() as held:
        with locked(request.out, BEGIN_LOCK):
            queue = held.enter_context(joined(request.out, image_ids))
        yield queue, held.close


def test_what_a_dead_worker_leaves_is_answered_by_who_waits_for_it(
    request_of: InferRequest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    infer(replace(request_of, limit=2))
    with another_worker(request_of) as (other, end):
        assert other.take() == [2]

        def polled(seconds: float) -> None:
            assert len(load_answers(request_of.out).answers) == 11
            assert not (request_of.out / COMPLETE_FILE).exists()
            end()

        monkeypatch.setattr(time, "sleep", polled)
        infer(request_of)
    said = capsys.readouterr().err
    assert f"waiting for 1 images that {other.worker}" in said
    assert f"joins {other.worker}" in said
    assert "infer 10 of 10" in said
    loaded = load_answers(request_of.out)
    assert (len(loaded.answers), loaded.repeated) == (12, ())
    assert json.loads((request_of.out / COMPLETE_FILE).read_text(encoding="utf-8")) == {"images": 12}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sampling": Sampling(5)}, r"another run \(generation.max_new_tokens: 4 there, 5 here\)"),
        ({"limit": 3}, "is being filled with answers for 12 images, not 3, by "),
    ],
    ids=["settings", "limit"],
)
def test_a_worker_joins_only_for_the_same_answers(request_of: InferRequest, change: dict[str, Any], said: str) -> None:
    """Also before the first answer is there."""
    infer(request_of)
    only_file(request_of.out).unlink()
    before = {name: (request_of.out / name).read_bytes() for name in (RUN_FILE, GROUND_TRUTH_FILE)}
    with another_worker(request_of), pytest.raises(ConfigError, match=said) as raised:
        infer(replace(request_of, **change))
    assert "\n" not in str(raised.value)
    assert {name: (request_of.out / name).read_bytes() for name in before} == before


def test_answers_of_other_machines_are_gone_on_with(request_of: InferRequest) -> None:
    infer(replace(request_of, limit=5))
    old = only_file(request_of.out).rename(request_of.out / worker_file("gone-0"))
    content = old.read_bytes()
    shutil.rmtree(request_of.out / QUEUE)
    infer(request_of)
    loaded = load_answers(request_of.out)
    assert (len(loaded.answers), loaded.repeated) == (12, ())
    assert old.read_bytes() == content


@pytest.fixture(scope="module")
def forty(
    tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> InferRequest:
    """Forty images answered one by one, by one worker that nobody disturbed."""
    request = InferRequest(
        model=str(tiny_checkpoint("qwen2_vl")),
        out=tmp_path_factory.mktemp("forty") / "out",
        dataset=str(synthetic_dataset),
        split="train",
        sampling=Sampling(max_new_tokens=8),
        batch_size=1,
        limit=40,
    )
    infer(request)
    return request


def assert_same_answers(request: InferRequest, undisturbed: InferRequest) -> None:
    """The same lines, each once, and the same predictions to the byte."""
    lines, expected = (
        sorted(line for path in answers_files(out) for line in path.read_bytes().splitlines())
        for out in (request.out, undisturbed.out)
    )
    assert lines == expected
    told = []
    for out in (request.out, undisturbed.out):
        predictions = gather_split(load_answered_split(out))
        provenance = {**predictions.provenance, "command": ""}
        save_predictions(replace(predictions, provenance=provenance), out / "preds.json")
        told.append((out / "preds.json").read_bytes())
    assert told[0] == told[1]
    assert (request.out / COMPLETE_FILE).read_bytes() == (undisturbed.out / COMPLETE_FILE).read_bytes()


@pytest.mark.slow
def test_of_three_workers_one_is_killed_and_one_hangs_and_the_third_answers_the_rest(
    forty: InferRequest, tmp_path: Path
) -> None:
    request = replace(forty, out=tmp_path / "out")
    with stopped_workers(request, 3, 1) as (killed, hanging, third):
        kill(killed)
        resume(third)
        said = f"(process {hanging.pid}) answer\n"
        deadline = time.monotonic() + SECONDS
        while said not in log_of(request, 2).read_text(encoding="utf-8"):
            assert (third.is_alive(), time.monotonic() < deadline) == (True, True)
            time.sleep(0.05)
        assert not (request.out / COMPLETE_FILE).exists()
        kill(hanging)
        third.join(SECONDS)
        assert third.exitcode == 0
    assert_same_answers(request, forty)


@pytest.mark.slow
def test_all_workers_killed_and_another_number_of_them_go_on_as_if_nothing_had_happened(
    forty: InferRequest, tmp_path: Path
) -> None:
    request = replace(forty, out=tmp_path / "out")
    with stopped_workers(request, 2, 3):
        pass
    finished = load_answers(request.out).answers
    assert 6 <= len(finished) < 40
    infer(request)
    assert_same_answers(request, forty)
