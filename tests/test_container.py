"""The container files: copied paths exist, the user is not root, and the data is in the volume."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = (ROOT / "compose.yaml").read_text()


def test_the_image_is_built_from_files_that_are_there_and_let_through() -> None:
    copied = [
        name for names in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE) for name in names.split()
    ]
    let_through = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)

    assert sorted(copied) == sorted(let_through)
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_the_container_runs_without_root_and_keeps_its_data_in_the_volume() -> None:
    variables = dict(re.findall(r"(SWITCHYARD_\w+)=(\S+)", DOCKERFILE))

    assert variables == {"SWITCHYARD_HOST": "0.0.0.0", "SWITCHYARD_DATA": "/data"}
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE) == ["1000:1000"]
    assert "- ./json_data:/data\n" in COMPOSE and "VOLUME /data\n" in DOCKERFILE
    assert '- "127.0.0.1:5101:5101"\n' in COMPOSE and "EXPOSE 5101\n" in DOCKERFILE
