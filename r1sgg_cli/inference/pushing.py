"""Answers that are uploaded to the hub once all of them are there."""

from rich.console import Console
from rich.markup import escape

from r1sgg_cli.inference.hub import claim_repository
from r1sgg_cli.inference.infer import infer
from r1sgg_cli.inference.push_once import forget_push, push_once
from r1sgg_cli.inference.request import InferRequest


def infer_and_push(request: InferRequest, repo_id: str, *, is_claimed: bool) -> None:
    """Answer every image, then upload the folder; `is_claimed`: the command of this worker has claimed the repository.

    Raises `R1SGGError`.
    """
    if not is_claimed:
        claim_repository(repo_id)
        forget_push(request.out)
    infer(request)
    if commit := push_once(request.out, repo_id):
        Console(stderr=True, soft_wrap=True).print(f"pushed: {escape(commit)}")
