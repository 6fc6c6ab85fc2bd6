"""What ran, as it was written."""

import json
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.errors import AnswersError
from r1sgg_cli.inference.run_record import RUN_FILE, load_run, save_run

from .conftest import make_run


def _changed(**fields: Any) -> str:
    return json.dumps({**make_run(), **fields})


def test_the_run_comes_back_as_it_was(tmp_path: Path) -> None:
    save_run(make_run(), tmp_path)
    assert load_run(tmp_path) == make_run()


@pytest.mark.parametrize("field", make_run())
def test_a_record_without_one_of_its_fields_is_no_run(tmp_path: Path, field: str) -> None:
    (tmp_path / RUN_FILE).write_text(json.dumps({key: value for key, value in make_run().items() if key != field}))
    with pytest.raises(AnswersError, match=f"not what `r1sgg infer` writes: `{field}` is missing"):
        load_run(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("{", id="no JSON"),
        pytest.param("[]", id="no object"),
        pytest.param('{"model": "m"}', id="no vocabulary"),
        pytest.param(_changed(vocabulary={"objects": 3}), id="a vocabulary without lists"),
        pytest.param(_changed(vocabulary={"objects": "abc", "predicates": []}), id="letters for names"),
        pytest.param(_changed(task="seg"), id="an unknown task"),
        pytest.param(_changed(limit="3"), id="a limit that is no number"),
        pytest.param(_changed(model="\ud800"), id="a name that no terminal prints"),
        pytest.param("[" * 50_000, id="lists in lists"),
    ],
)
def test_another_json_file_is_no_run(tmp_path: Path, content: str) -> None:
    (tmp_path / RUN_FILE).write_text(content)
    with pytest.raises(AnswersError, match=r"run\.json` is not what `r1sgg infer` writes"):
        load_run(tmp_path)


def test_a_folder_that_infer_did_not_fill_says_what_fills_it(tmp_path: Path) -> None:
    with pytest.raises(AnswersError, match=r"cannot read .*run\.json.*No such file.*`r1sgg infer MODEL "):
        load_run(tmp_path)
