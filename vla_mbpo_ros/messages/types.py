"""Message classes by name. Imported when asked for: this room itself works without ROS."""

from __future__ import annotations

from importlib import import_module

from vla_mbpo_ros.errors import MissingDependency


def message_class(type_name: str) -> type:
    """The class of "package/msg/Name"."""
    package, _, name = type_name.split("/")
    try:
        return getattr(import_module(f"{package}.msg"), name)  # type: ignore[no-any-return]
    except (ImportError, AttributeError) as error:
        cure = f"Install the ROS package {package}; see `vla-mbpo doctor`."
        raise MissingDependency(f"No message type {type_name}.", cure) from error
