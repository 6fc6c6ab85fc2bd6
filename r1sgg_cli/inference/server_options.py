"""Options of vLLM's server, by its own parser: what it would refuse is said before it starts.

Importable only where vLLM is installed.
"""

from collections.abc import Sequence
from typing import NoReturn

from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.utils.argparse_utils import FlexibleArgumentParser

from r1sgg_cli.errors import ConfigError, first_line

_OURS = {"model": "MODEL", "host": "--host", "port": "--port", "mm_processor_kwargs": "--max-pixels"}
"""What the printed clients depend on, and how `r1sgg serve` itself is told it."""


class _RefusedError(Exception):
    pass


class _Parser(FlexibleArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Instead of the page of usage and the end of the process."""
        raise _RefusedError(message)


def check_server_options(ours: Sequence[str], more: Sequence[str]) -> None:
    """Make sure that vLLM takes `more` options after `ours`, and that the printed clients still fit.

    Raises `ConfigError`.
    """
    parser = make_arg_parser(_Parser())
    try:
        alone, both = parser.parse_args(list(ours)), parser.parse_args([*ours, *more])
        validate_parsed_serve_args(both)
    except (_RefusedError, ValueError, TypeError) as error:
        raise ConfigError(f"vLLM does not take what stands after `--`: {first_line(error)}; correct it") from error
    for name, option in _OURS.items():
        if getattr(alone, name) != getattr(both, name):
            raise ConfigError(
                f"`--{name.replace('_', '-')}` after `--` is unknown to the printed clients; say it by `{option}`, "
                "before the `--`"
            )
