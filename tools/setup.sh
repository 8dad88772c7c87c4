#!/usr/bin/env bash
# Makes .venv ready: system packages, Python, pinned dependencies, messages. `make setup` calls it.
# Each step leaves a stamp with a hash of what it depends on, so a second run has nothing to do.
#
#   PYTHON=python3.12 tools/setup.sh      with a Python of your choice (3.10 to 3.13)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly VENV=.venv
readonly TORCH=torch==2.13.0
readonly OLDEST=10 NEWEST=13 # the ROS wheels exist for CPython 3.10 to 3.13

say() { printf '== %s\n' "$*"; }
fail() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}

# ---- system packages -----------------------------------------------------------------------------------

# Compiler and CMake for the messages; OpenGL for the simulator's cameras (OSMesa or EGL, whichever works).
readonly PACKAGES=(build-essential cmake libegl1 libgl1 libgl1-mesa-dri libgles2)
readonly PACKAGES_IF_KNOWN=(libosmesa6) # gone from the newest distributions

installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

install_packages() {
  local missing=() package
  for package in "$@"; do installed "$package" || missing+=("$package"); done
  [[ ${#missing[@]} == 0 ]] && return
  local line="apt-get install -y --no-install-recommends ${missing[*]}"
  if ! as_root true 2>/dev/null; then
    fail "these system packages are missing and only root may install them. Run this, then try again:
  sudo $line"
  fi
  say "System packages: ${missing[*]}"
  as_root apt-get update -qq || say "apt-get update failed; going on with the lists that are there"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null \
    || fail "apt-get could not install them. Run this and read what it says:
  sudo $line"
}

system_packages() {
  if ! command -v dpkg-query apt-get >/dev/null; then
    command -v cmake c++ >/dev/null || fail "this is not Debian or Ubuntu: install CMake, a C++ compiler and Mesa (EGL) yourself."
    return
  fi
  local wanted=("${PACKAGES[@]}") package
  for package in "${PACKAGES_IF_KNOWN[@]}"; do
    if installed "$package" || [[ -n $(apt-cache show "$package" 2>/dev/null) ]]; then wanted+=("$package"); fi
  done
  install_packages "${wanted[@]}"
}

# ---- Python --------------------------------------------------------------------------------------------

# "3.11" if the interpreter runs and is one that we can use, else nothing.
usable_version() {
  "$1" -c "import sys; v = sys.version_info
if v[0] == 3 and $OLDEST <= v[1] <= $NEWEST and sys.implementation.name == 'cpython': print('%d.%d' % v[:2])" 2>/dev/null || true
}

# The version of a venv that can be used as it is, else nothing. pyvenv.cfg is read because starting Python is slow.
venv_version() {
  [[ -x $VENV/bin/python ]] || return 0 # absent, or its Python has been removed
  [[ ! -f $VENV/.place || $(<"$VENV/.place") == "$PWD" ]] || return 0 # moved: its scripts point to the old place
  sed -n 's/^version *= *\(3\.[0-9]*\).*/\1/p' "$VENV/pyvenv.cfg" 2>/dev/null
}

pick_python() {
  if [[ -n ${PYTHON:-} ]]; then
    [[ -n $(usable_version "$PYTHON") ]] || fail "PYTHON=$PYTHON is not a CPython 3.$OLDEST to 3.$NEWEST."
    echo "$PYTHON"
    return
  fi
  command -v python3 >/dev/null || install_packages python3 python3-venv python3-dev >&2
  local candidate
  for candidate in python3 python3.12 python3.13 python3.11 python3.10; do
    if [[ -n $(usable_version "$candidate") ]]; then
      echo "$candidate"
      return
    fi
  done
  fail "no CPython 3.$OLDEST to 3.$NEWEST found, and the ROS wheels exist for those only.
  Install one (for example: sudo apt-get install python3 python3-venv python3-dev), or name it: PYTHON=/path/to/python3.12 make setup"
}

# What a distribution's own Python leaves out: venv, and the headers that the messages are compiled with.
complete_python() {
  local missing
  missing=$("$1" - <<'PY'
import importlib.util, os, sys, sysconfig
name = "python%d.%d" % sys.version_info[:2]
if not (importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv")):
    print(name + "-venv")
if not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")):
    print(name + "-dev")
PY
  )
  [[ -z $missing ]] && return
  command -v apt-get >/dev/null || fail "$1 lacks venv or Python.h: install what your distribution calls ${missing//$'\n'/ }."
  # shellcheck disable=SC2086  # one word for each package
  install_packages $missing
}

make_venv() {
  local python version
  # Without PYTHON=… a venv that works is kept as it is.
  if [[ -n $(venv_version) && -z ${PYTHON:-} ]]; then return; fi
  python=$(pick_python)
  version=$(usable_version "$python")
  [[ $(venv_version) == "$version" ]] && return
  complete_python "$python"
  say "Python $version in $VENV"
  [[ ! -e $VENV || -f $VENV/pyvenv.cfg ]] || fail "$VENV exists and is not a virtual environment; move it away."
  rm -rf "$VENV"
  "$python" -m venv "$VENV"
  printf '%s\n' "$PWD" >"$VENV/.place"
}

# ---- dependencies and messages ---------------------------------------------------------------------------

pip_install() { "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt "$@"; }

dependencies() {
  pip_install "$TORCH" || return # first and alone: what else asks for torch must not choose another build
  pip_install -r tools/requirements-build.txt || return
  # Editable, and without isolation: the messages are made with the ROS wheels of this very environment.
  pip_install --no-build-isolation --editable '.[ros,dev,formats,learn]'
}

messages() { pip_install --no-build-isolation --no-deps --editable .; }

# Names count as well as contents: a file that is gone changes the hash too.
hash_of() { { venv_version; printf '%s\n' "$@"; cat -- "$@"; } | sha256sum | cut -d ' ' -f 1; }

is_done() { [[ -f $VENV/.stamp-$1 && $(<"$VENV/.stamp-$1") == "$2" ]]; }

mark_done() { printf '%s\n' "$2" >"$VENV/.stamp-$1"; }

run_step() {
  local text=$1 started=$SECONDS log=$VENV/setup.log
  say "$text ... (log: $log)"
  "$2" >"$log" 2>&1 || { tail -n 40 "$log" >&2; fail "failed: $text. The lines above say why, $log has all."; }
  say "$text: done in $((SECONDS - started)) s"
}

main() {
  shopt -s nullglob
  system_packages
  make_venv
  local of_dependencies of_messages installed_files
  of_dependencies=$(hash_of pyproject.toml constraints.txt tools/requirements-build.txt tools/build_backend.py)
  mapfile -t installed_files < <(find msg srv action cmake launch config -type f ! -path '*/__pycache__/*' | sort)
  of_messages=$(hash_of CMakeLists.txt package.xml setup.py vla_mbpo_ros/__init__.py vla_mbpo_ros/nodes/*_node.py \
    "${installed_files[@]}")
  if ! is_done dependencies "$of_dependencies"; then
    run_step "Dependencies and messages, about three minutes the first time" dependencies
    mark_done dependencies "$of_dependencies"
    mark_done messages "$of_messages"
  elif ! is_done messages "$of_messages" || [[ ! -f vla_mbpo_ros/msg/__init__.py ]]; then
    run_step "Messages" messages
    mark_done messages "$of_messages"
  fi
}

main
