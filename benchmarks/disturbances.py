"""Does a graph outlive what happens to its nodes? Every few seconds one is killed, before most kills one is stopped.

    .venv/bin/python benchmarks/disturbances.py --transport sockets --seconds 900 --seed 1 >> results.jsonl

A disturbance is survived if every node is active again within 20 s and the simulator answers a reset within 6 s. The
first that is not ends the run: from then on the graph would only tell of the same. One JSON line comes out.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from vla_mbpo_ros.bringup.graph import GraphSpec, graph_for
from vla_mbpo_ros.bringup.options import Options
from vla_mbpo_ros.bringup.run_folder import make_run_folder
from vla_mbpo_ros.bringup.session import Session
from vla_mbpo_ros.config import SHARED_MEMORY, SOCKETS

VICTIMS = ("policy_node", "chunk_executor_node", "recorder_node", "robot_node")
STOPPED = (*VICTIMS, "sim_node", "supervisor_node")
WHOLE_S, ANSWER_S = 20.0, 6.0  # longest waits
STOP_S = (0.3, 2.2)  # how long one is stopped
SIZE = tuple(
    f"cameras.{name}.{side}=64" for name in ("head", "left_wrist", "right_wrist") for side in ("width", "height")
)
QUICK = ("sim.answer_timeout_s=1.0", "gate.stall_s=1.5", "executor.policy_wait_s=0.5", "runtime.heartbeat_s=0.2")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transport", choices=(SOCKETS, SHARED_MEMORY), required=True)
    parser.add_argument("--seconds", type=float, default=900.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    os.environ.setdefault("ROS_DOMAIN_ID", str(random.SystemRandom().randint(1, 100)))
    with TemporaryDirectory() as folder:
        bags = f"recorder.folder={folder}/bags"
        graph = graph_for(Options("arx_x5", sim=True, set=(*SIZE, *QUICK, bags, f"runtime.transport={args.transport}")))
        survived, failure = disturb(graph, Path(folder), random.Random(args.seed), args.seconds)
    told = {"transport": args.transport, "seed": args.seed, "survived": survived, "failure": failure}
    print(json.dumps(told))


def disturb(graph: GraphSpec, folder: Path, chance: random.Random, seconds: float) -> tuple[int, str]:
    """How many disturbances were survived, and what the last one was if it was not."""
    survived, end_s = 0, time.monotonic() + seconds
    with Session(graph, make_run_folder(graph, folder), echo=lambda name, line: None) as session:
        session.wait_until_active()
        for victim in victims(chance):
            if time.monotonic() > end_s:
                return survived, ""
            stop_somebody(session, chance)
            failure = kill(session, victim) or ask(session)
            if failure:
                return survived, f"{victim}: {failure}"
            survived += 1
            print(f"{survived} survived, the last one of {victim}", file=sys.stderr)
    raise AssertionError("victims never end")


def victims(chance: random.Random) -> Iterator[str]:
    """All in turn, each round in another order: nobody dies so often that it is given up."""
    while True:
        yield from chance.sample(VICTIMS, len(VICTIMS))


def stop_somebody(session: Session, chance: random.Random) -> None:
    wait(session, chance.uniform(0.0, 1.0), lambda: False)
    if chance.random() < 0.3:
        return
    pid = session.processes.pids[chance.choice(STOPPED)]
    os.kill(pid, signal.SIGSTOP)
    try:
        wait(session, chance.uniform(*STOP_S), lambda: False)
    finally:
        os.kill(pid, signal.SIGCONT)


def kill(session: Session, victim: str) -> str:
    before = session.processes.restarts[victim]
    os.kill(session.processes.pids[victim], signal.SIGKILL)
    session.observer.states.pop(f"/{victim}", None)  # what it said last is not true any more
    back = wait(
        session, WHOLE_S, lambda: session.processes.restarts[victim] > before and not session.observer.inactive()
    )
    return "" if back else f"not active again: {', '.join(session.observer.inactive())}"


def ask(session: Session) -> str:
    from vla_mbpo_ros.srv import Reset

    client = session.observer.node.create_client(Reset, "sim/reset")
    try:
        if not wait(session, ANSWER_S, client.service_is_ready):
            return "no sim/reset"
        answer = client.call_async(Reset.Request(seed=2))
        return "" if wait(session, ANSWER_S, answer.done) else "sim/reset gave no answer"
    finally:
        session.observer.node.destroy_client(client)


def wait(session: Session, limit_s: float, condition: Callable[[], bool]) -> bool:
    end_s = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end_s:
            return False
        session.processes.check()
        session.observer.spin(0.05)
    return True


if __name__ == "__main__":
    main()
