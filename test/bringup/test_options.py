"""Launch arguments and command-line options are one set, made from one place."""

from __future__ import annotations

import argparse

import pytest

from vla_mbpo_ros.bringup.options import (
    ARGUMENTS,
    Options,
    add_options,
    options_from_args,
    options_from_text,
)
from vla_mbpo_ros.errors import ConfigError, UnknownName


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser()
    add_options(result)
    return result


def test_defaults_are_the_same_in_launch_and_on_the_command_line() -> None:
    texts = {argument.name: argument.text_default for argument in ARGUMENTS}
    assert options_from_text("arx_x5", texts) == Options("arx_x5")
    assert options_from_args("arx_x5", parser().parse_args([])) == Options("arx_x5")


def test_every_option_has_a_flag_of_its_own_name_and_a_text() -> None:
    flags = {flag for action in parser()._actions for flag in action.option_strings}
    for argument in ARGUMENTS:
        assert "--" + argument.name.replace("_", "-") in flags
        assert argument.doc.endswith(".")


def test_the_default_is_one_of_the_choices() -> None:
    for argument in ARGUMENTS:
        assert not argument.text_choices or argument.text_default in argument.text_choices


def test_both_ways_of_saying_the_same_give_the_same() -> None:
    words = ["--sim", "--no-record", "--policy", "scripted", "--namespace", "lab", "--instruction", "tidy up"]
    words += ["--set", "policy.horizon=8", "--set", "instruction=a b"]
    texts = {"sim": "True", "record": "false", "policy": "scripted", "namespace": "lab", "instruction": "tidy up"}
    texts["set"] = "policy.horizon=8 'instruction=a b'"
    assert options_from_args("arx_x5", parser().parse_args(words)) == options_from_text("arx_x5", texts)


def test_a_misspelt_launch_argument_gets_a_suggestion() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'policy'"):
        options_from_text("arx_x5", {"polcy": "scripted"})


def test_a_misspelt_value_gets_a_suggestion() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'external'"):
        options_from_text("arx_x5", {"cameras": "externel"})


def test_what_is_neither_true_nor_false_is_refused() -> None:
    with pytest.raises(ConfigError, match="'sim' is 'maybe'"):
        options_from_text("arx_x5", {"sim": "maybe"})


@pytest.mark.parametrize(("sim", "source"), [(True, "sim"), (False, "external")])
def test_cameras_and_robot_follow_sim(sim: bool, source: str) -> None:
    options = Options("arx_x5", sim=sim)
    assert (options.cameras_from, options.robot_from) == (source, source)
