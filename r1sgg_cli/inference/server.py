"""vLLM's own OpenAI-compatible server with this task's limits, and clients that ask it as the model was trained.

A client sends the picture as it is, and the server brings it to the size that the model sees. transformers 5.17 passes
over `max_pixels` when it is called, so the limits go in as `size`, which both it and vLLM's count of image tokens heed.
Both clients need nothing but what every machine has: `curl` and `base64`, or Python alone.
"""

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from r1sgg_cli.data.prompts import system_prompt
from r1sgg_cli.inference.asker import Asker
from r1sgg_cli.inference.form import ENGINE_OPTIONS
from r1sgg_cli.models.engine_options import logit_bias, pixel_options
from r1sgg_cli.models.images import ImageLimits

PICTURE = "photo.jpg"
"""The name of the user's picture in what is printed."""
_DATA_URL = "data:image/jpeg;base64,"  # the server looks at the bytes, not at this


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """Where a client on this machine asks."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/v1/chat/completions"


def server_argv(
    model: str, limits: ImageLimits, max_model_len: int, dtype: str, place: Place, more: Sequence[str] = ()
) -> list[str]:
    """The command of the server: three words, then options; `more` of vLLM's own win over these.

    As a module, because the command `vllm` of the build for the CPU looks for a package of the other name.
    """
    options = {
        "model": model,
        "host": place.host,
        "port": str(place.port),
        "dtype": dtype,
        "max-model-len": str(max_model_len),
        "limit-mm-per-prompt": json.dumps({"image": 1, "video": 0}),
        "mm-processor-kwargs": json.dumps(pixel_options(limits)),
        "structured-outputs-config": json.dumps(ENGINE_OPTIONS),
    }
    given = [part for name, value in options.items() for part in (f"--{name}", value)]
    return [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *given, *more]


def request_body(
    model: str, asker: Asker, unsampled: Sequence[int], max_new_tokens: int, *, structured: bool
) -> dict[str, Any]:
    """What a client sends, but for the picture: greedy decoding of the prompt that `infer` asks without a data set.

    The checkpoint's own repetition penalty is off, as in `infer`; `unsampled` are ids that an answer must not contain.
    `structured` adds the grammar of answers. Raises `ConfigError` without a vocabulary where one is needed.
    """
    wording = asker.wording
    system, user = system_prompt(wording.prompting, wording.task), wording.prompt({})
    picture = {"type": "image_url", "image_url": {"url": _DATA_URL}}
    body: dict[str, Any] = {
        "model": model,
        "messages": [
            {"role": "system", "content": system},
            {"role": "user", "content": [picture, {"type": "text", "text": user}]},
        ],
        "max_tokens": max_new_tokens,
        "temperature": 0,
        "repetition_penalty": 1,
        "logit_bias": {str(token): bias for token, bias in logit_bias(unsampled).items()},
    }
    if structured:
        body["structured_outputs"] = {"grammar": asker.grammar(max_new_tokens)}
    return body


def curl_line(body: Mapping[str, Any], place: Place, picture: str = PICTURE) -> str:
    """A line for a POSIX shell that prints the server's response about a picture."""
    before, after = json.dumps(body).split(_DATA_URL)
    encoded = f"\"$(base64 < {shlex.quote(picture)} | tr -d '\\n')\""
    sent = f"printf %s {shlex.quote(before + _DATA_URL)} {encoded} {shlex.quote(after)}"
    return f"{sent} | curl -s {shlex.quote(place.url)} -H 'Content-Type: application/json' -d @-"


def python_client(body: Mapping[str, Any], place: Place) -> str:
    """A program that prints the model's answer about the picture that its first argument names."""
    system, user = body["messages"]
    rest = {key: value for key, value in body.items() if key != "messages"}
    lines = [
        "import base64, json, sys, urllib.request",
        f'picture = {_DATA_URL!r} + base64.b64encode(open(sys.argv[1], "rb").read()).decode()',
        f"system = {system['content']!r}",
        f"user = {user['content'][1]['text']!r}",
        'content = [{"type": "image_url", "image_url": {"url": picture}}, {"type": "text", "text": user}]',
        'messages = [{"role": "system", "content": system}, {"role": "user", "content": content}]',
        f'body = {{"messages": messages, **{rest!r}}}',
        f'request = urllib.request.Request({place.url!r}, json.dumps(body).encode(), {{"Content-Type": '
        '"application/json"})',
        'answer = json.load(urllib.request.urlopen(request))["choices"][0]["message"]["content"]',
        "print(answer)",
    ]
    return "\n".join(lines)
