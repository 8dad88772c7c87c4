#!/usr/bin/env bash
# Source ROS and the workspace, where there are such, then become the command.
set -eo pipefail
if [[ -n ${ROS_DISTRO:-} && -f /opt/ros/$ROS_DISTRO/setup.bash ]]; then source "/opt/ros/$ROS_DISTRO/setup.bash"; fi
if [[ -f /ws/install/setup.bash ]]; then source /ws/install/setup.bash; fi
exec "$@"
