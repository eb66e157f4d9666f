"""compose.yaml is valid, holds its services down and gives them commands that exist."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.containers.reading import COMPOSE, CONTAINERS, REPOSITORY, interpolate, parse_command, stages

yaml = pytest.importorskip("yaml", reason="pyyaml is missing; pip install '.[train]'")
TOKEN = {"GCPOSE_TOKEN": "only-for-this-test"}
DOCUMENT: dict[str, Any] = interpolate(yaml.safe_load(COMPOSE.read_text()), TOKEN)
SERVICES: dict[str, dict[str, Any]] = DOCUMENT["services"]
PAGES = ("cpu", "camera", "gpu", "jetson")
ONCE = ("batch", "gpu-engine", "jetson-engine", "triton-model")


def test_the_specification_accepts_it() -> None:
    specification = pytest.importorskip("compose_spec", reason="compose-spec is missing; pip install compose-spec")
    compose = specification.PyCompose.from_yaml(yaml.safe_dump(DOCUMENT))
    compose.validate()
    compose.to_spec()
    assert set(compose.service_names()) == set(SERVICES)


def test_docker_compose_accepts_it() -> None:
    docker = shutil.which("docker")
    version = [str(docker), "compose", "version"]
    if docker is None or subprocess.run(version, capture_output=True, check=False).returncode != 0:
        pytest.skip("docker compose is missing")
    command = [docker, "compose", "--file", str(COMPOSE), "--profile", "*", "config", "--quiet"]
    done = subprocess.run(command, env=TOKEN | {"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_page_without_a_token() -> None:
    with pytest.raises(ValueError, match="GCPOSE_TOKEN: set it"):
        interpolate(yaml.safe_load(COMPOSE.read_text()), {})


@pytest.mark.parametrize("name", SERVICES)
def test_services_are_held_down(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert any(entry.startswith("/tmp:") for entry in service["tmpfs"])
    assert service["init"] is True
    assert service["profiles"], "nothing starts that was not asked for"
    assert not {"privileged", "network_mode", "pid", "ipc", "cap_add", "user"} & set(service)
    assert "healthcheck" in service
    assert service["restart"] == ("no" if name in ONCE else "unless-stopped")


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_this_machines_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:(\d+):\d+", port)


@pytest.mark.parametrize("name", SERVICES)
def test_volumes_and_networks_are_declared(name: str) -> None:
    service = SERVICES[name]
    for volume in service["volumes"]:
        source = volume["source"] if isinstance(volume, dict) else volume.split(":")[0]
        assert source.startswith((".", "/")) or source in DOCUMENT["volumes"]
    assert set(service.get("networks", [])) <= set(DOCUMENT["networks"])
    for other in service.get("depends_on", {}):
        assert other in SERVICES


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_built_here(name: str) -> None:
    service = SERVICES[name]
    builder = next(other for other in SERVICES.values() if other["image"] == service["image"] and "build" in other)
    build = builder["build"]
    assert (CONTAINERS / build["context"]).resolve() == REPOSITORY
    assert build["target"] in stages(REPOSITORY / build["dockerfile"])


@pytest.mark.parametrize("name", [*PAGES, *ONCE])
def test_commands_parse(name: str) -> None:
    parse_command(SERVICES[name]["command"])


@pytest.mark.parametrize("name", PAGES)
def test_pages_have_a_token_and_are_checked_as_their_image_is(name: str) -> None:
    service = SERVICES[name]
    build = service["build"]
    image = stages(REPOSITORY / build["dockerfile"])[build["target"]]
    assert service["environment"] == TOKEN
    assert service["healthcheck"]["test"] == ["CMD", *image.last("HEALTHCHECK").words()]
    if name != "cpu":
        assert service["devices"] == ["/dev/video0:/dev/video0"]
        assert service["group_add"] == ["44"]


def test_engines_are_made_where_they_are_looked_for() -> None:
    for name in ("gpu", "jetson"):
        page, engine = SERVICES[name], SERVICES[f"{name}-engine"]
        assert engine["image"] == page["image"]
        model = page["command"][page["command"].index("--model") + 1]
        assert engine["command"][-2:] == ["--output", model]
        assert "engines:/engines" in engine["volumes"]
        assert "engines:/engines:ro" in page["volumes"]


def test_triton_serves_what_is_exported() -> None:
    made = SERVICES["triton-model"]["command"][-1]
    for name in ("triton", "triton-gpu"):
        assert f"--model-repository={made}" in SERVICES[name]["command"]


@pytest.mark.parametrize("name", ["ray-head", "ray-worker"])
def test_ray_knows_the_options(name: str) -> None:
    ray = pytest.importorskip("ray.scripts.scripts", reason="ray is missing; pip install '.[ray]'")
    program, *words = [*SERVICES[name]["entrypoint"], *SERVICES[name]["command"]]
    assert (program, words[0]) == ("ray", "start")
    parsed = ray.start.make_context("start", words[1:])
    assert parsed.params["block"] is True
    assert parsed.params["head"] is (name == "ray-head")
    if name == "ray-worker":
        assert parsed.params["address"] == f"ray-head:{SERVICES['ray-head']['command'][2].split('=')[1]}"
    else:
        check = SERVICES[name]["healthcheck"]["test"][2:]
        assert ray.cli.get_command(None, check[0]).make_context(check[0], check[1:]).params["address"]


def test_example_names_every_variable() -> None:
    example = (CONTAINERS / ".env.example").read_text()
    asked = set(re.findall(r"\$\{(\w+)", COMPOSE.read_text()))
    assert asked == set(re.findall(r"^#?(GCPOSE_\w+)=", example, flags=re.MULTILINE))
    assert Path(CONTAINERS / ".gitignore").read_text().splitlines()[-1] == ".env"
