"""Entry point, and the only place where an error becomes a line on the terminal."""

import errno
import logging
import sys

from r1sgg_cli.cli.app import app
from r1sgg_cli.cli.collector import spare_the_end
from r1sgg_cli.cli.interruption import interrupt_at_sigterm
from r1sgg_cli.errors import R1SGGError


def main() -> None:
    """Run `r1sgg`: a user's mistake is one line and exit code 1, a bug keeps its traceback."""
    interrupt_at_sigterm()
    # Importing torchao, which transformers does wherever it is installed, warns of what only torchao can change.
    logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)
    try:
        if any(argument == "" or (argument.startswith("--") and argument.endswith("=")) for argument in sys.argv[1:]):
            raise R1SGGError("an argument is empty: is a shell variable not set? Give each option its value")
        app()
    except R1SGGError as error:
        _say(str(error))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        where = f" (`{error.filename}`)" if error.filename else ""
        _say(f"{error.strerror}{where}; what was finished is kept: make room and run the same command again")
    finally:
        spare_the_end()


def _say(message: str) -> None:
    """One line, also where the message quotes a file that holds line breaks or what a terminal takes for commands."""
    from rich.console import Console
    from rich.text import Text

    line = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in message)
    Console(stderr=True, soft_wrap=True).print(Text.assemble(("error: ", "bold red"), line))
    sys.exit(1)


if __name__ == "__main__":
    main()
