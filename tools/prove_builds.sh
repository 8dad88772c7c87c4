#!/usr/bin/env bash
# Proves every way to build and install on a machine without ROS, each from a fresh copy of the tree:
#
#   tools/prove_builds.sh [pip] [editable] [colcon] [symlink]      all four without arguments
#   PYTHON=python3.13 tools/prove_builds.sh pip                    with another Python
#
# What must hold afterwards is in tools/check_install.py.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=${PYTHON:-.venv/bin/python}
work=$(mktemp -d)
venv=$work/venv
tree=$work/tree

# Nothing of the caller's ROS or venv may help.
unset AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH LD_LIBRARY_PATH PYTHONPATH _ROS_WHEELS_BOOTSTRAP_COMPLETE

say() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }

# What git would commit: a file that is forgotten in the repository must be missing here as well.
fresh_tree() {
  rm -rf "$tree"
  mkdir -p "$tree"
  git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
    if [[ -f $file ]]; then printf '%s\0' "$file"; fi
  done | tar --create --null --files-from - | tar --extract --directory "$tree"
}

pip_install() { "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt "$@"; }

# Run outside the tree, where a plain `import` cannot find the sources by accident.
check_install() { (cd "$work" && "$venv/bin/python" "$tree/tools/check_install.py"); }

uninstall() {
  "$venv/bin/python" -m pip uninstall --quiet --yes vla_mbpo_ros
  if [[ -e $venv/share/vla_mbpo_ros || -e $venv/lib/vla_mbpo_ros ]]; then
    echo "uninstall left files behind in $venv" >&2
    return 1
  fi
}

# The command of the README, in an empty environment: pip itself gets what generates the messages.
prove_pip() {
  pip_install "${tree}[ros]"
  check_install
  uninstall
}

# As `make setup` does it: the wheels first, then without isolation.
prove_editable() {
  pip_install -r "$tree/tools/requirements-build.txt"
  pip_install --no-build-isolation --editable "${tree}[ros]"
  check_install
  uninstall
}

# Dependencies of our package without the package, which colcon builds.
colcon_environment() {
  pip_install -r "$tree/tools/requirements-build.txt"
  "$venv/bin/python" -c 'import mujoco, rosbags, rich' 2>/dev/null && return
  pip_install --no-build-isolation "${tree}[ros]"
  uninstall
}

prove_colcon() {
  local out=$work/colcon${1:-}
  colcon_environment
  VENV=$venv "$tree/tools/colcon_on_wheels.sh" "$out" "$@"
  # The generated set-up files read variables that may be unset.
  # shellcheck disable=SC1091
  (set +u && source "$out/install/setup.bash" && check_install)
}

prove_symlink() { prove_colcon --symlink-install; }

trap 'rm -rf "$work"' EXIT
"$python" -m venv "$venv"
[[ $# -gt 0 ]] || set -- pip editable colcon symlink
for proof in "$@"; do
  declare -F "prove_$proof" >/dev/null || { echo "unknown proof '$proof': pip, editable, colcon or symlink" >&2; exit 2; }
  say "$proof"
  fresh_tree
  "prove_$proof"
done
say "proven: $*"
