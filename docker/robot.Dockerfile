# The robot's computer: real ROS 2, the graph without a simulator.
#   docker build -f docker/robot.Dockerfile --build-arg UID=$(id -u) -t vla_mbpo_ros/robot .
ARG ROS_DISTRO=jazzy
FROM ros:${ROS_DISTRO}-ros-base
ARG UID=1000

RUN apt-get update \
 && apt-get install -y --no-install-recommends python3-venv libusb-1.0-0 \
 && rm -rf /var/lib/apt/lists/*

# One user id for all services: shared memory of another user cannot be opened, and nothing would arrive.
RUN id -u ${UID} >/dev/null 2>&1 || useradd --uid ${UID} --create-home robot
WORKDIR /ws/src/vla_mbpo_ros
COPY . .
WORKDIR /ws
# ROS brings rclpy and numpy; only what it lacks comes from the package index, into a venv that sees the system's.
RUN . /opt/ros/${ROS_DISTRO}/setup.sh \
 && apt-get update && rosdep update --rosdistro ${ROS_DISTRO} \
 && rosdep install --from-paths src --ignore-src -y \
 && rm -rf /var/lib/apt/lists/* \
 && python3 -m venv --system-site-packages /ws/venv \
 && /ws/venv/bin/pip install --no-cache-dir "numpy<2" mcap mcap-ros2-support rosbags rich \
 && . /ws/venv/bin/activate && colcon build --packages-select vla_mbpo_ros \
 && chown -R ${UID} /ws
USER ${UID}
ENV VIRTUAL_ENV=/ws/venv PATH=/ws/venv/bin:$PATH
COPY docker/entrypoint.sh /entrypoint.sh
ENTRYPOINT ["/bin/bash", "/entrypoint.sh"]
CMD ["ros2", "launch", "vla_mbpo_ros", "arx_x5.launch.py"]
