"""How a job ends: what a signal does, when it goes back to the queue, and the one line it says when it cannot go on.

Slurm signals the script alone (`--signal=B:`): `torchrun` would die of USR1 and leave its workers behind. The script
asks a training to stop, by a file, and ends anything else, whose finished part is kept.
"""

from r1sgg_cli.launch.job import STOP_FILE, Job

_ASK = f"""\
# Little time is left, or the job must make room: a training that finds this file saves a checkpoint and ends.
stop="$folder/{STOP_FILE}" interrupted='' steps=()
rm -f "$stop"
trap 'interrupted=yes; touch "$stop"' USR1
was_stopped() {{ [ -e "$stop" ]; }}"""

_END = """\
# Little time is left, or the job must make room: what is finished is kept, and the rest is done next time.
stopped='' interrupted='' steps=()
trap 'interrupted=yes stopped=yes; kill ${steps[@]+"${steps[@]}"} 2>/dev/null || true' USR1
was_stopped() { [ -n "$stopped" ]; }"""

_LEAVE_NONE = """\
# Ended from outside, as by Ctrl-C in an allocation: no step goes on behind it, which would hold the run's folder.
end_steps() {
  trap - INT TERM
  kill ${steps[@]+"${steps[@]}"} 2>/dev/null || true
  wait
  kill "-$1" "$$"
}
trap 'end_steps INT' INT
trap 'end_steps TERM' TERM"""

_ENDING = """\
# `wait` may end with a signal (138 is USR1) before the step does.
code=0
for step in "${steps[@]}"; do
  while :; do
    interrupted='' step_code=0
    wait "$step" || step_code=$?
    if [ "$step_code" -ne 138 ] || [ -z "$interrupted" ]; then break; fi
  done
  if [ "$step_code" -gt "$code" ]; then code=$step_code; fi
done
if [ "$code" -eq 0 ] && is_finished; then exit 0; fi

# Some clusters signal the steps and not the script when they preempt: the job has not failed then.
was_preempted() { [[ "$(scontrol show job "$SLURM_JOB_ID")" == *PreemptTime=[0-9]* ]]; }

if was_stopped || was_preempted; then
  restarts=${SLURM_RESTART_COUNT:-0}
  if [ "$restarts" -ge "$max_requeues" ]; then
    say "$name is not finished after $restarts requeues, as many as \\`slurm.max_requeues\\` allows:" \\
      "submit it again to continue. Its log: $log"
  elif scontrol requeue "$SLURM_JOB_ID"; then
    say "$name goes on from the queue: requeue $((restarts + 1)) of at most $max_requeues"
    exit 0
  else
    say "$name was stopped before it was finished: run it again to continue. Its log: $log"
  fi
elif [ "$code" -eq 0 ]; then
  say "$name ended before it was finished: $log says why; submit it again to continue"
else
  say "$name failed with code $code: $log says why; mend it and submit again, what is finished is kept"
fi
exit "$((code > 0 ? code : 1))\""""


def signal_lines(job: Job) -> list[str]:
    """What stands before anything that takes time."""
    return [(_ASK if job.kind == "torchrun" else _END), _LEAVE_NONE]


def ending_lines() -> list[str]:
    """What stands behind the steps, whose process ids are in `steps`."""
    return [_ENDING]
