"""What a model that reads sentences is told; the words are those of the paper's Appendix D.

    task       the role, and the instruction
    prompt     for each view: the state, the actions, which view to predict
    question   is the task done? Yes or No

The state line is ours: actions of radians are differences from it.
"""

from __future__ import annotations

from collections.abc import Sequence

from vla_mbpo_ros.errors import ContractError

MAX_INSTRUCTION = 500  # characters; longer ones are no instructions, and a sequence has no room for them

ROLE = (
    "You are now acting as a world model that simulates robot manipulation task execution. Your task is to predict "
    "the next frame of visual observation, given the following inputs: (1) Multiple current observation images from "
    "the robot's cameras (head and wrist); (2) An action sequence describing the manipulation to execute; "
    "(3) Optionally, the next frame from the head camera (for predicting wrist camera views). You will receive images "
    "from different camera viewpoints and need to predict the next frame according to the provided action sequence "
    "and instruction."
)
LIBERO = (
    "You are observing a robot workspace from the LIBERO dataset. The robot can manipulate objects (pick, place, "
    "arrange) in the scene."
)
TABLETOP = (
    "You are observing a simulated table from a camera before it and from the robot's wrist. The robot can press "
    "buttons, and push, lift and place objects in the scene."
)
ROBOT = "You are observing a robot workspace. The robot can manipulate objects in the scene."

_QUESTION = """You are a vision-language model with advanced reasoning abilities. Your task is to carefully observe \
the image and determine whether the task is successfully completed.
Environment description: {environment}
Guidelines: Carefully examine the state of objects. Check if the goal state matches the task description. Consider \
spatial arrangement.
Response format: Answer with "Yes." if the task is successfully completed. Answer with "No." if the task is not yet \
completed or failed. Your response must be either "Yes." or "No." without additional explanation.
Task: Determine whether the task: {instruction} is successfully completed."""


def clean(instruction: str) -> str:
    """The instruction on one line. What is too long or would be read as a control token is refused."""
    words = " ".join(instruction.split())
    if len(words) > MAX_INSTRUCTION:
        cause = f"The instruction '{words[:60]}…' has {len(words)} characters; at most {MAX_INSTRUCTION} are read."
        raise ContractError(cause, "Say it shorter: what to do with which thing.")
    if "<|" in words or "|>" in words:
        raise ContractError(f"The instruction '{words[:60]}' has a control token in it.", "Leave '<|' and '|>' out.")
    return words


def task(instruction: str) -> str:
    return f"{ROLE} Instruction: {clean(instruction)}"


def action_lines(levels: Sequence[Sequence[int]]) -> str:
    """Levels of K steps: "Step 0: [124, 34]. Step 1: [127, 33]." """
    return " ".join(f"Step {step}: {_numbers(row)}." for step, row in enumerate(levels))


def predict(view: str) -> str:
    """Which view comes next: "head", "left_wrist"."""
    return f"Predict next {view.replace('_', ' ')} camera view according to the current observation and action."


def prompt(view: str, levels: Sequence[Sequence[int]], state: Sequence[int] = ()) -> str:
    """All that is said before a view is made."""
    before = f"State: {_numbers(state)}. " if len(state) else ""
    return f"{before}{action_lines(levels)} {predict(view)}"


def question(instruction: str, environment: str = ROBOT) -> str:
    return _QUESTION.format(environment=environment, instruction=clean(instruction))


def _numbers(values: Sequence[int]) -> str:
    return f"[{', '.join(str(int(value)) for value in values)}]"
