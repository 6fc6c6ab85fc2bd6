"""The `r1sgg` command: every subcommand under its name."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from r1sgg_cli import __version__
from r1sgg_cli.cli import (
    demo,
    doctor,
    gather,
    grpo,
    infer,
    init,
    prepare,
    presets,
    report,
    score,
    serve,
    sft,
    status,
    submit,
    tiny,
    view,
    worker,
)
from r1sgg_cli.cli import eval as evaluate
from r1sgg_cli.cli.interruption import exit_code, said_at_the_end


class _Group(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        """Ctrl-C is no error: say that nothing finished is lost, and exit with the shell's code for it."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            typer.echo(f"\n{said_at_the_end(interrupt)}", err=True)
            raise typer.Exit(exit_code(interrupt)) from None


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"r1sgg {__version__}")
        raise typer.Exit


@app.callback()
def r1sgg(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True)] = False,
) -> None:
    """Teach a vision-language model to write the scene graph of an image.

    Supervised fine-tuning, then reinforcement learning (GRPO) on rewards that score the graph. `r1sgg demo` shows the
    whole story on a laptop in minutes.
    """


app.command("demo")(demo.demo)
app.command("prepare")(prepare.prepare)
app.command("view")(view.view)
app.command("sft")(sft.sft)
app.command("grpo")(grpo.grpo)
app.command("infer")(infer.infer)
app.command("serve", context_settings=serve.CONTEXT)(serve.serve)
app.command("gather")(gather.gather)
app.command("eval")(evaluate.evaluate)
app.command("report")(report.report)
app.command("score")(score.score)
app.command("submit", context_settings={"allow_interspersed_args": False})(submit.submit)
app.command("status")(status.status)
app.command("cancel")(status.cancel)
app.command("presets")(presets.presets)
app.command("init")(init.init)
app.command("tiny")(tiny.tiny)
app.command("doctor")(doctor.doctor)
app.command("worker", hidden=True)(worker.worker)
