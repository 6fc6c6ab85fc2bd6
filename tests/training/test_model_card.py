"""The README.md of a finished model: what the hub reads, and what a reader does with the model."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from huggingface_hub import ModelCard

from r1sgg_cli.config.schema import GRPORecipe, GRPORun, Lora, SFTRecipe, SFTRun
from r1sgg_cli.models.asking import Asking
from r1sgg_cli.models.families import trainable_family_of
from r1sgg_cli.training.model_card import model_card

ASKING = Asking(think=True, predefined_categories=True, max_pixels=401_408)
BOXES = "Coordinates are integers."


def test_metadata_name_what_is_on_the_hub(tmp_path: Path) -> None:
    run = GRPORun(model="Qwen/Qwen2-VL-2B-Instruct", dataset="owner/set", out=tmp_path / "name", precision="bf16")
    card = ModelCard(model_card(run, ASKING, 10, {}, BOXES))
    data = card.data
    assert (data.get("base_model"), data.get("datasets")) == ("Qwen/Qwen2-VL-2B-Instruct", ["owner/set"])
    assert (data.get("library_name"), data.get("pipeline_tag")) == ("transformers", "image-text-to-text")
    assert card.text.strip().startswith("# name\n")
    assert "None" not in card.text


def test_folders_are_named_in_the_text_alone(
    tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path, tmp_path: Path
) -> None:
    model = tiny_checkpoint("qwen2_vl")
    run = SFTRun(model=str(model), dataset=str(synthetic_dataset), out=tmp_path, precision="float32")
    card = ModelCard(model_card(run, ASKING, 10, {}, trainable_family_of(run.model).box_sentence))
    assert (card.data.get("base_model"), card.data.get("datasets")) == (None, None)
    assert f"Makes `{model}` write the scene graph" in card.text
    assert "integers from 0 to 1000" in card.text


def test_it_says_what_the_recipe_changes_and_what_was_measured(tmp_path: Path) -> None:
    run = SFTRun(model="a/b", dataset="c/d", out=tmp_path, precision="bf16", recipe=SFTRecipe(learning_rate=3e-5))
    text = model_card(run, ASKING, 200, {"triplet_recall": 0.25}, BOXES)
    assert "but for:\n\n```yaml\nlearning_rate: 3.0e-05\n```" in text
    assert "| triplet recall | 0.2500 |" in text
    assert "after step 200" in text
    plain = model_card(run.model_copy(update={"recipe": SFTRecipe()}), ASKING, 200, {}, BOXES)
    assert "The published one, as r1sgg has it.\n" in plain
    assert "Evaluated" not in plain


def test_it_says_how_the_model_is_asked(tmp_path: Path) -> None:
    run = GRPORun(model="a/b", dataset="c/d", out=tmp_path, precision="bf16", recipe=GRPORecipe())
    text = model_card(run, ASKING, 1, {}, BOXES)
    assert f"r1sgg infer {tmp_path} photo.jpg" in text
    assert "thinks in `<think>…</think>`, then answers in `<answer>…</answer>`, and the prompt lists the cat" in text
    other = replace(ASKING, think=False, predefined_categories=False, tasks=("sgg", "det"))
    assert "answers at once, and the prompt lists no categories. Its tasks were sgg, det." in model_card(
        run, other, 1, {}, BOXES
    )


def test_adapters_have_a_card_of_their_own(tmp_path: Path) -> None:
    run = SFTRun(model="a/b", dataset="c/d", out=tmp_path, precision="bf16", recipe=SFTRecipe(lora=Lora()))
    card = ModelCard(model_card(run, ASKING, 1, {}, BOXES, is_adapter=True))
    assert card.data.get("library_name") == "peft"
    assert "Adapters that make `a/b` write" in card.text
    assert f"r1sgg infer {tmp_path}/adapter photo.jpg" in card.text
