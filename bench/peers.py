"""Install the pinned programs that Switchyard is compared with, and start them with a configuration of their own.

    python bench/peers.py    install what is missing into .cache/peers: minutes, and 800 MB

Each comes from its registry: claude-code-router from npm, LiteLLM from PyPI, and nginx, if it is not installed, from
Debian. `bench/run.py` starts those that are there.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from stage import PEERS as FOLDER
from stage import Stage, Upstream, free_port, nginx_program
from traffic import MODEL, Target

ROUTER_PACKAGE = "@musistudio/claude-code-router"
ROUTER_VERSION = "2.0.0"
ROUTER = FOLDER / "node" / "node_modules" / ROUTER_PACKAGE / "dist" / "cli.js"
LITELLM_VERSION = "1.106.12"
LITELLM = FOLDER / "litellm" / "bin" / "litellm"
KEY = "sk-bench"


class CannotInstall(Exception):
    """The reason."""


def install() -> list[str]:
    """Install what is missing; returns what cannot be installed, with the reason."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    problems = []
    for name, (program, installer) in PEERS.items():
        if program() is not None:
            continue
        print(f"installing {name} into {FOLDER}", flush=True)
        try:
            installer()
        except CannotInstall as error:
            problems.append(f"{name}: {error}")
    return problems


def _install_nginx() -> None:
    """Unpack Debian's package: so it needs no rights, and starts no service."""
    packages = FOLDER / "packages"
    packages.mkdir(exist_ok=True)
    _run("apt-get", "download", "-q", "nginx", folder=packages)
    for package in packages.glob("nginx_*.deb"):
        _run("dpkg-deb", "-x", str(package), str(FOLDER / "nginx"))
    shutil.rmtree(packages)


def _install_router() -> None:
    folder = FOLDER / "node"
    folder.mkdir(exist_ok=True)
    _run(
        "npm",
        "install",
        "--prefix",
        str(folder),
        "--no-audit",
        "--no-fund",
        f"{ROUTER_PACKAGE}@{ROUTER_VERSION}",
    )


def _install_litellm() -> None:
    _run(sys.executable, "-m", "venv", str(FOLDER / "litellm"))
    python = FOLDER / "litellm" / "bin" / "python"
    _run(str(python), "-m", "pip", "install", "-q", f"litellm[proxy]=={LITELLM_VERSION}")


def _router() -> Path | None:
    return _present(ROUTER)


def _litellm() -> Path | None:
    return _present(LITELLM)


def _present(program: Path) -> Path | None:
    return program if program.exists() else None


def _run(*command: str, folder: Path = FOLDER) -> None:
    try:
        subprocess.run(command, check=True, cwd=folder)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotInstall(str(error)) from error


PEERS: dict[str, tuple[Callable[[], Path | None], Callable[[], None]]] = {
    "nginx": (nginx_program, _install_nginx),
    f"claude-code-router {ROUTER_VERSION}": (_router, _install_router),
    f"LiteLLM {LITELLM_VERSION}": (_litellm, _install_litellm),
}


def installed() -> list[str]:
    return [name for name, (program, _) in PEERS.items() if program() is not None]


async def started(stage: Stage, upstream: Upstream) -> list[Target]:
    """Those that are installed, without nginx."""
    return [*await _start_router(stage, upstream), *await _start_litellm(stage, upstream)]


async def _start_router(stage: Stage, upstream: Upstream) -> list[Target]:
    node = shutil.which("node")
    if _router() is None or node is None:
        return []
    port = free_port()
    folder = stage.folder / ".claude-code-router"
    folder.mkdir()
    (folder / "config.json").write_bytes(msgspec.json.encode(_router_settings(upstream, port)))
    process = stage.start([node, str(ROUTER), "start"])
    await stage.listening(process, port)
    url = f"http://127.0.0.1:{port}"
    return [
        Target(name, url, KEY, f"{provider},{MODEL}", process.pid)
        for name, provider in (
            ("claude-code-router", "passthrough"),
            ("claude-code-router, converting", "converting"),
        )
    ]


def _router_settings(upstream: Upstream, port: int) -> dict[str, Any]:
    def provider(name: str, path: str, **more: Any) -> dict[str, Any]:
        url = f"http://127.0.0.1:{upstream.port}{path}"
        return {"name": name, "api_base_url": url, "api_key": KEY, "models": [MODEL], **more}

    return {
        "LOG": False,
        "HOST": "127.0.0.1",
        "PORT": port,
        "APIKEY": KEY,
        "Providers": [
            provider("passthrough", "/v1/messages", transformer={"use": ["Anthropic"]}),
            provider("converting", "/v1/chat/completions"),
        ],
        "Router": {"default": f"passthrough,{MODEL}"},
    }


async def _start_litellm(stage: Stage, upstream: Upstream) -> list[Target]:
    if _litellm() is None:
        return []
    port = free_port()
    file = stage.folder / "litellm.yaml"
    file.write_bytes(msgspec.json.encode(_litellm_settings(upstream)))  # JSON is YAML
    # without this it fetches its list of prices before it starts
    offline = ["env", "LITELLM_LOCAL_MODEL_COST_MAP=True"]
    command = [
        str(LITELLM),
        "--config",
        str(file),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--num_workers",
        "1",
    ]
    process = stage.start([*offline, *command])
    await stage.listening(process, port)
    return [Target("litellm", f"http://127.0.0.1:{port}", KEY, MODEL, process.pid)]


def _litellm_settings(upstream: Upstream) -> dict[str, Any]:
    parameters = {
        "model": f"anthropic/{MODEL}",
        "api_base": f"http://127.0.0.1:{upstream.port}",
        "api_key": KEY,
    }
    return {
        "model_list": [{"model_name": MODEL, "litellm_params": parameters}],
        "general_settings": {"master_key": KEY},
        "litellm_settings": {"telemetry": False},
    }


def main() -> int:
    problems = install()
    for name, (program, _) in PEERS.items():
        print(f"{name}: {program() or 'missing'}")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
