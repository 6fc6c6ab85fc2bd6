"""Which engine answers, and how it is loaded."""

import math
import sys
from importlib.util import find_spec

import torch
from rich.console import Console

from r1sgg_cli.errors import ConfigError
from r1sgg_cli.inference import vllm_start
from r1sgg_cli.inference.asker import Asker
from r1sgg_cli.inference.engine import Engine
from r1sgg_cli.inference.request import EngineName, InferRequest
from r1sgg_cli.inference.room import SHORT_TEXT_TOKENS, TRANSFORMERS_BATCH, room_for
from r1sgg_cli.inference.transformers_engine import TransformersEngine
from r1sgg_cli.launch.packages import check_vllm, installed_versions, load_supported
from r1sgg_cli.models.adapter_folder import base_of

LEAST_OF_A_TURN = 8


def choose_engine(request: InferRequest, console: Console) -> EngineName:
    """The engine that is asked for, else the faster one that this machine has; says which, and why.

    Raises `ConfigError` where it is asked for what cannot be had.
    """
    if request.engine == "transformers" and request.structured:
        raise ConfigError("transformers cannot constrain decoding; leave out `--engine transformers` or `--structured`")
    name, why = _choice(request)
    console.print(f"engine: {name} ({why})", highlight=False)
    return name


def _choice(request: InferRequest) -> tuple[EngineName, str]:
    if request.engine == "transformers":
        return "transformers", "as asked for"
    lacking = _why_no_vllm()
    if request.engine == "vllm" or request.structured:
        asked = "--structured" if request.structured else "--engine vllm"
        if lacking:
            raise ConfigError(f"`{asked}` needs vLLM: {lacking}")
        return "vllm", f"for `{asked}`"
    if lacking:
        return "transformers", f"vLLM would be faster: {lacking}"
    if not torch.cuda.is_available():
        return "transformers", "no GPU; on a CPU vLLM is faster for many images alone, and answers with `--engine vllm`"
    return "vllm", "it is installed, and faster than transformers"


def _why_no_vllm() -> str | None:
    """Why vLLM cannot answer on this machine, and what mends it."""
    found = check_vllm(load_supported(), installed_versions(sys.path), for_gpu=torch.cuda.is_available())
    if find_spec("vllm") is None:
        return f"it is not installed; `{found.remedy}` installs it"
    return f"{found.detail}; `{found.remedy}` mends it" if found.is_fault else None


def images_of_a_turn(num_left: int, num_workers: int) -> int:
    """Images that one of several workers may have in hand at once, so that the last to load still finds some."""
    return max(LEAST_OF_A_TURN, math.ceil(num_left / (2 * max(1, num_workers))))


def load_engine(
    request: InferRequest, name: EngineName, asker: Asker, console: Console, of_a_turn: int | None = None
) -> Engine:
    """The engine with the request's model, for `of_a_turn` images at once at most where the request does not say.

    Raises `R1SGGError`.
    """
    model, sampling = request.model, request.sampling
    asked = (base_of(model), asker.wording.asking.max_pixels, sampling.max_new_tokens)
    room = room_for(*asked)
    if name == "transformers":
        return TransformersEngine(model, sampling, request.batch_size or TRANSFORMERS_BATCH, room, console)
    grammar = asker.grammar(sampling.max_new_tokens) if request.structured else None

    def make(room: int, num_at_once: int) -> Engine:
        engine: Engine = vllm_start.vllm_engine_class()(model, sampling, asker.limits, room, num_at_once, grammar)
        return engine

    return vllm_start.start(
        make,
        room,
        room_for(*asked, SHORT_TEXT_TOKENS),
        _texts_at_once(request, of_a_turn),
        console,
    )


def _texts_at_once(request: InferRequest, of_a_turn: int | None) -> int:
    each = request.sampling.num_answers
    if request.batch_size is not None:
        return request.batch_size * each
    usual = vllm_start.usual_at_once()
    return usual if of_a_turn is None else min(usual, of_a_turn * each)
