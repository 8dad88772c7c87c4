"""One camera of ours: images, their numbers and their intrinsics. A thread reads; the node publishes."""

from __future__ import annotations

import threading
from typing import ClassVar

from sensor_msgs.msg import CameraInfo, Image

from vla_mbpo_ros.devices.cameras.factory import make_camera
from vla_mbpo_ros.errors import DeviceError, UnknownName
from vla_mbpo_ros.messages.camera_info import encode_camera_info, encode_frame_info
from vla_mbpo_ros.messages.images import fill_image
from vla_mbpo_ros.msg import FrameInfo
from vla_mbpo_ros.nodes import diagnostics, qos
from vla_mbpo_ros.nodes.compressed_color import CompressedColor
from vla_mbpo_ros.nodes.process import run
from vla_mbpo_ros.nodes.runtime import ManagedNode
from vla_mbpo_ros.schema import Frame

READ_S = 1.0  # longest wait for one frame before it is reported
RETRY_S = 1.0  # pause before a camera that failed is opened again


class CameraNode(ManagedNode):
    SECTIONS = ("cameras",)
    EXTRAS: ClassVar = {"camera": ("head", "Which of the robot's cameras this node drives.")}

    def __init__(self) -> None:
        super().__init__("camera_node")

    def build(self) -> None:
        name = str(self.settings.extras["camera"])
        if name not in self.cfg.cameras:
            raise UnknownName("camera", name, self.cfg.cameras, "the parameter 'camera'")
        settings = self.cfg.cameras[name]
        self._frame_id = next(camera.frame_id for camera in self.robot.cameras if camera.name == name)
        self._camera = make_camera(name, settings, self.now_ns)
        self._image = Image()  # filled again for every frame
        self._image_pub = self.pub(Image, f"{name}/color/image_raw", qos.IMAGE)
        self._compressed = CompressedColor(self, name, self._frame_id, settings.jpeg_quality)
        self._frame_pub = self.pub(FrameInfo, f"{name}/color/frame_info", qos.EVENT)
        self._info_pub = self.pub(CameraInfo, f"{name}/color/camera_info", qos.LATCHED)
        self._watch = self.watch(f"{name} device", max(3.0 / settings.hz, 0.5), settings.hz)
        self._arrived = self.from_thread(self._on_arrived)
        self._frame: Frame | None = None
        self._error: Exception | None = None
        self._stopping = threading.Event()

    def start(self) -> None:
        self._info_pub.publish(encode_camera_info(self._camera.intrinsics, self.now_ns(), self._frame_id, CameraInfo))
        self._stopping.clear()
        self._thread = threading.Thread(target=self._read_forever, name="camera", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(2.0 * READ_S)

    def diagnose(self, status: diagnostics.Status) -> None:
        status.add("frames lost by the device", str(self._watch.lost))

    def _read_forever(self) -> None:
        """On the reading thread: open, read, and open again after a failure."""
        while not self._stopping.is_set():
            try:
                self._camera.open()
                self._frame = self._camera.read(READ_S)
            except DeviceError as error:
                self._error = error
                self._camera.close()
                self._stopping.wait(RETRY_S)
            except Exception as error:  # a defect: told where it ends the process, not lost with this thread
                self._error = error
                self._stopping.set()
            self._arrived.trigger()
        self._camera.close()

    def _on_arrived(self) -> None:
        frame, self._frame = self._frame, None
        error, self._error = self._error, None
        if error is not None:
            raise error
        if frame is None:
            return
        self._watch.tick(frame.stamp_ns, self.now_ns(), frame.number)
        fill_image(self._image, frame.image, frame.stamp_ns, self._frame_id)
        self._image_pub.publish(self._image)
        self._compressed.publish(frame)
        self._frame_pub.publish(encode_frame_info(frame, self._frame_id, FrameInfo, FrameInfo.SYSTEM))


def main() -> None:
    run(CameraNode)


if __name__ == "__main__":
    main()
