"""Message <-> array. Decoders read attributes; encoders get the message class as an argument.

So nothing of ROS is imported here: the same code reads what rclpy received, what `rosbags` read from a bag,
and the plain objects of tests. Vectors are brought into the robot's order by joint *name*; what does not fit
the contract is refused with a `ContractError` that names cause and cure.

    stamps        nanoseconds <-> Time           joints       JointState, JointCommand
    header        stamp of serialised messages   chunks       ActionChunk
    images        Image, colour and depth        status       ExecutorStatus, SafetyState
    camera_info   CameraInfo, FrameInfo          columns      numbers in the robot's order
    compressed    CompressedImage, JPEG and PNG

Imports `robots`, `schema` and `errors`. Every room above may import this one.
"""

from vla_mbpo_ros.messages.camera_info import encode_camera_info, encode_frame_info
from vla_mbpo_ros.messages.chunks import decode_chunk, encode_chunk
from vla_mbpo_ros.messages.compressed import decode_compressed, encode_compressed
from vla_mbpo_ros.messages.header import stamp_of_cdr
from vla_mbpo_ros.messages.images import decode_depth, decode_frame, decode_image, fill_image
from vla_mbpo_ros.messages.joints import decode_command, decode_joint_state, encode_command, encode_joint_state
from vla_mbpo_ros.messages.stamps import fill_stamp, from_ns, to_ns
from vla_mbpo_ros.messages.status import encode_status

__all__ = [
    "decode_chunk",
    "decode_command",
    "decode_compressed",
    "decode_depth",
    "decode_frame",
    "decode_image",
    "decode_joint_state",
    "encode_camera_info",
    "encode_chunk",
    "encode_command",
    "encode_compressed",
    "encode_frame_info",
    "encode_joint_state",
    "encode_status",
    "fill_image",
    "fill_stamp",
    "from_ns",
    "stamp_of_cdr",
    "to_ns",
]
