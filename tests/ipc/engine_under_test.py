"""A whole little engine for the proofs: `python -m tests.ipc.engine_under_test plan.json`."""

import json
import sys
from pathlib import Path

from tools import runtime

runtime.prepare()

from ipc.lock import DataLock  # noqa: E402
from ipc.logs import open_log  # noqa: E402
from ipc.policy import Class, Limits  # noqa: E402
from ipc.roles import RoleSpec  # noqa: E402
from ipc.supervisor import Parts, Settings, Supervisor  # noqa: E402
from ipc.telemetry import create_board  # noqa: E402
from ipc.watch import Patience  # noqa: E402
from shm.segments import SharedArena, sweep  # noqa: E402


def main(plan_path: str) -> int:
    """Run the plan: data_dir, engine, roles [{name, entry, ...}], patience, limits."""
    plan = json.loads(Path(plan_path).read_text(encoding="utf-8"))
    data_dir = Path(plan["data_dir"])
    lock = DataLock(data_dir, wait_s=plan.get("lock_wait_s", 3.0))
    log = open_log("supervisor", file=str(data_dir / "log.jsonl"), max_per_s=1000)
    for name in sweep(plan["engine"]):
        log.info("swept", segment=name)
    specs = [
        RoleSpec(**{**role, "kind": Class(role.get("kind", "critical")),
                    "entry": f"tests.ipc.dummies:{role['entry']}"})
        for role in plan["roles"]
    ]
    arena = SharedArena(plan["engine"], 1)
    board = create_board(arena, [spec.key for spec in specs])
    settings = Settings(
        Patience(**plan.get("patience", {})), Limits(**plan.get("limits", {})),
        abort_wait_ms=plan.get("abort_wait_ms", 300),
        stop_timeout_ms=plan.get("stop_timeout_ms", 2000),
    )
    parts = Parts(
        engine=plan["engine"], data_dir=data_dir, board=board, log=log,
        shared={"order": str(data_dir / "order.txt"), **plan.get("shared", {})},
        handlers={"hello": lambda command: f"hello {command.get('name')}"},
        forward={"reload": "web", "break": "web"} if plan.get("forward") else {},
        cleanup=arena.unlink_all,
        relaunch=[sys.executable, "-m", "tests.ipc.engine_under_test"],
    )
    code = Supervisor(specs, settings, parts).run()
    lock.release()
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
