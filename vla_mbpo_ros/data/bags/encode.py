"""Messages and their CDR bytes without ROS, from the definitions alone: for imports and for tests.

    states = Encoder("sensor_msgs/msg/JointState")
    data = states(encode_joint_state(state, robot, states.new))

`new` stands where rclpy's message class would; the encoder reads attributes, so rclpy's messages fit as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype

from vla_mbpo_ros.data.bags.decode import Decoder
from vla_mbpo_ros.data.bags.definitions import load_definition

_TEXT = "string"
_DTYPES = {"byte": "uint8", "char": "uint8"}  # what numpy calls otherwise
_DEFAULTS: dict[str, Any] = {_TEXT: "", "bool": False, "float32": 0.0, "float64": 0.0}


class Encoder:
    """Makes and writes the messages of one installed type."""

    def __init__(self, type_name: str) -> None:
        self.type_name = type_name
        self._store = Decoder(type_name, load_definition(type_name).text).store

    def new(self, **values: Any) -> Any:
        """A message with ROS's defaults, and `values` for its top fields."""
        message = self._blank(self.type_name)
        for name, value in values.items():
            getattr(message, name)  # refuses a field that the type does not have
            setattr(message, name, value)
        return message

    def __call__(self, message: Any) -> bytes:
        return bytes(self._store.serialize_cdr(self._plain(self.type_name, message), self.type_name))

    def _fields(self, type_name: str) -> list[tuple[str, Any]]:
        return [(name, kind) for name, kind in self._store.get_msgdef(type_name).fields]

    def _blank(self, type_name: str) -> Any:
        values = {name: self._default(kind) for name, kind in self._fields(type_name)}
        return self._store.types[type_name](**values)

    def _default(self, kind: Any) -> Any:
        node, inner = kind
        if node == Nodetype.NAME:
            return self._blank(inner)
        if node == Nodetype.BASE:
            return _DEFAULTS.get(inner[0], 0)
        item, size = inner
        return self._array(item, [self._default(item) for _ in range(size if node == Nodetype.ARRAY else 0)])

    def _plain(self, type_name: str, message: Any) -> Any:
        """The same message in the classes of `rosbags`, arrays as numpy's."""
        values = {name: self._value(kind, getattr(message, name)) for name, kind in self._fields(type_name)}
        return self._store.types[type_name](**values)

    def _value(self, kind: Any, value: Any) -> Any:
        node, inner = kind
        if node == Nodetype.NAME:
            return self._plain(inner, value)
        if node == Nodetype.BASE:
            return value
        item, _ = inner
        if item[0] == Nodetype.NAME:
            return [self._plain(item[1], entry) for entry in value]
        return self._array(item, value)

    @staticmethod
    def _array(item: Any, values: Any) -> Any:
        node, inner = item
        if node == Nodetype.NAME or inner[0] == _TEXT:
            return list(values)
        dtype = np.dtype(_DTYPES.get(inner[0], inner[0]))
        if isinstance(values, bytes | bytearray | memoryview):
            return np.frombuffer(values, dtype=dtype)
        return np.asarray(values, dtype=dtype)
