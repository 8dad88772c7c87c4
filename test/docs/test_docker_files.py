"""What can be known of the images without an engine."""

from __future__ import annotations

from pathlib import Path

import yaml

COMPOSE = yaml.safe_load(Path("docker/compose.yaml").read_text(encoding="utf-8"))


def test_every_service_shares_network_memory_and_user_with_the_others() -> None:
    for name, service in COMPOSE["services"].items():
        assert service["network_mode"] == "host", name
        assert service["ipc"] == "host", name
        assert "UID" in service["build"]["args"], name


def test_every_image_is_built_from_a_file_that_exists_and_copies_what_exists() -> None:
    for service in COMPOSE["services"].values():
        text = Path(service["build"]["dockerfile"]).read_text(encoding="utf-8")
        assert "ARG UID" in text
        assert "USER ${UID}" in text
        for line in text.splitlines():
            if line.startswith("COPY "):
                assert Path(line.split()[1]).exists(), line
