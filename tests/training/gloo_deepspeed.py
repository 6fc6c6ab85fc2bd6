"""`r1sgg` under DeepSpeed on CPUs, without the operator that it compiles there before anything else.

That one shares memory between processes and takes two minutes to compile on two cores. It reduces what models compute
when they answer, on CPUs only: no training calls it, and no GPU has it.
"""

import deepspeed

from r1sgg_cli.__main__ import main

OPERATOR = "deepspeed_shm_comm"


def leave_operator_out() -> None:
    """As on a machine where it cannot be compiled: gloo does its work."""
    assert OPERATOR in deepspeed.ops.__compatible_ops__
    deepspeed.ops.__compatible_ops__[OPERATOR] = False


if __name__ == "__main__":
    leave_operator_out()
    main()
