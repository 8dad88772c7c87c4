#!/usr/bin/env bash
# The colcon build where no ROS is installed: the wheels of a virtual environment are its underlay.
#
#   tools/colcon_on_wheels.sh OUT [colcon build arguments…]      VENV=.venv by default
#
# Afterwards:  source OUT/install/setup.bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out=$(realpath -m "$1")
shift
venv=$(realpath "${VENV:-.venv}")
python=$venv/bin/python

[[ -x $venv/bin/colcon ]] \
  || "$python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -r tools/requirements-colcon.txt

# The tree may lie in a workspace that colcon would crawl: --paths takes this package and no other.
mkdir -p "$out"
touch "$out/COLCON_IGNORE"
export AMENT_PREFIX_PATH=$venv CMAKE_PREFIX_PATH=$venv PATH=$venv/bin:$PATH
"$venv/bin/colcon" --log-base "$out/log" build --paths . --build-base "$out/build" --install-base "$out/install" \
  --event-handlers console_direct- --cmake-args "-DPython3_EXECUTABLE=$python" "$@"
