"""Answers on the Hugging Face hub, as a data set of their own."""

from pathlib import Path

import httpx
from huggingface_hub import HfApi
from huggingface_hub.errors import HFValidationError, LocalTokenNotFoundError, OfflineModeIsEnabled

from r1sgg_cli.errors import ConfigError, first_line
from r1sgg_cli.inference.ground_truth import GROUND_TRUTH_FILE
from r1sgg_cli.inference.run_record import COMPLETE_FILE, RUN_FILE
from r1sgg_cli.inference.training_file import TRAINING_FILE

_FILES = [RUN_FILE, GROUND_TRUTH_FILE, TRAINING_FILE, COMPLETE_FILE, "answers-*.jsonl"]
# The hub's own errors are among those of httpx, by which its client speaks.
_REFUSED = (httpx.HTTPError, HFValidationError, LocalTokenNotFoundError, OfflineModeIsEnabled)


def claim_repository(repo_id: str) -> None:
    """Make sure, before a long run, that its answers can be pushed: the repository is made, private, or is there.

    Raises `ConfigError`.
    """
    try:
        HfApi().create_repo(repo_id, repo_type="dataset", private=True, exist_ok=True)
    except _REFUSED as error:
        raise _refused(repo_id, error) from error


def push_answers(out: Path, repo_id: str) -> str:
    """Upload a folder of answers, and no other file in it; the address of the commit. Raises `ConfigError`.

    Answers of another run in the repository give way: what is there is one folder's.
    """
    try:
        commit = HfApi().upload_folder(
            repo_id=repo_id,
            folder_path=out,
            repo_type="dataset",
            allow_patterns=_FILES,
            delete_patterns=_FILES,
            commit_message="Answers by r1sgg infer",
        )
    except _REFUSED as error:
        raise _refused(repo_id, error) from error
    return str(commit.commit_url)


def _refused(repo_id: str, error: Exception) -> ConfigError:
    return ConfigError(
        f"the hub does not take answers as `{repo_id}`: {first_line(error)}; log in with `hf auth login`, name a "
        "repository of your own (`OWNER/NAME`), or leave out `--push-to-hub`"
    )
