"""Whether the service can do its work: the supervisor writes how its roles stand, the page reads it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestrator.app.installation.paths import role_states_of, spool_of
from orchestrator.app.service.role import Role
from orchestrator.config import Settings
from orchestrator.domain.errors import StorageFull
from orchestrator.durable import write_durably

STEADY_SECONDS = 60.0
"""A role that stays up for so long has recovered."""
LOOP = 2
"""So many restarts, each soon after the last, are a loop."""


@dataclass(frozen=True, slots=True)
class RoleState:
    """How a role stands. restarts: in a row, none of which stayed up. since: Unix time of the last change.

    waits_for: what it needs before it can start, empty where it runs.
    """

    restarts: int
    since: float
    waits_for: str = ""

    @property
    def fault(self) -> str:
        """Why the role cannot do its work, empty where it can."""
        if self.waits_for:
            return self.waits_for
        is_fresh = time.time() - self.since < STEADY_SECONDS
        return f"restarted {self.restarts} times in a row; see the log" if self.restarts >= LOOP and is_fresh else ""


def write_states(settings: Settings, states: Mapping[Role, RoleState]) -> None:
    """Let the page see how the roles stand."""
    content = {role.value: asdict(state) for role, state in states.items()}
    write_durably(role_states_of(settings), json.dumps(content).encode())


def faults(settings: Settings) -> Mapping[str, str]:
    """Return part of the service -> why it cannot work now; empty where all can."""
    found = {role: state.fault for role, state in _read(role_states_of(settings)).items() if state.fault}
    if settings.receiver.enabled:
        try:
            spool_of(settings).check_space()
        except StorageFull as fault:
            found[Role.RECEIVER.value] = str(fault)
        except OSError as fault:
            found[Role.RECEIVER.value] = f"the spool cannot be used: {fault.strerror}"
    return found


def _read(path: Path) -> dict[str, RoleState]:
    """Return the states; none where no supervisor wrote them, as where each role is started by itself."""
    try:
        content = json.loads(path.read_bytes())
        return {role: RoleState(**state) for role, state in content.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
