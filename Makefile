# Two commands on a fresh machine without ROS:  make demo   and   make test
# Every target does the set-up that it needs; repeating it costs less than a second.

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin

# The .venv has a ROS of its own. What a sourced ROS, another venv or a parent Python has put into the environment
# would mix the two.
unexport AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH LD_LIBRARY_PATH PYTHONHOME PYTHONPATH
unexport ROS_DISTRO ROS_VERSION ROS_PYTHON_VERSION VIRTUAL_ENV _ROS_WHEELS_BOOTSTRAP_COMPLETE

# Nothing that runs here may reach a robot on the network.
export ROS_AUTOMATIC_DISCOVERY_RANGE ?= LOCALHOST

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all check format coverage colcon prove clean

help: ## This text
	@echo "make TARGET [PYTHON=python3.12] [ARGS=...]"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

setup: ## System packages, .venv, pinned dependencies, messages
	@tools/setup.sh

demo: setup ## The first flow: twin, cameras, policy, executor, gate, recorder; then a summary and a picture
	@$(BIN)/vla-mbpo demo $(ARGS)

test: setup ## All tests but the slow ones
	@$(BIN)/python -m pytest -m "not slow" $(ARGS)

test-all: setup ## All tests
	@$(BIN)/python -m pytest $(ARGS)

check: setup ## Style, types, rooms
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup ## Put the code into the common form
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

coverage: setup ## Tests with coverage, report in htmlcov/
	@$(BIN)/python -m pytest -m "not slow" --cov --cov-report=term --cov-report=html $(ARGS)

colcon: setup ## The colcon build, on the ROS wheels, into build/colcon
	@tools/colcon_on_wheels.sh build/colcon $(ARGS)

prove: setup ## Every way to build and install, each into a new environment (minutes)
	@tools/prove_builds.sh $(ARGS)

clean: ## Remove all that is built, .venv included
	rm -rf $(VENV) build install log dist *.egg-info .coverage .coverage.* htmlcov \
	  .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis \
	  vla_mbpo_ros/msg vla_mbpo_ros/srv vla_mbpo_ros/action vla_mbpo_ros/_lib vla_mbpo_ros/*.so
