"""When a dead role is started again, and when the engine stops instead; pure, knows no process."""

import dataclasses
import enum
import random
import signal

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_BAD_CONFIG = 3
EXIT_BAD_CONFIG_SYSTEMD = 78
STOPPING_CODES = (EXIT_BAD_CONFIG, EXIT_BAD_CONFIG_SYSTEMD)
POISON_SIGNALS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE)


class Class(enum.Enum):
    """What the engine does without a role that keeps dying."""

    CRITICAL = "critical"        # the engine stops
    RESTARTABLE = "restartable"  # it is tried again for ever, with back-off
    OPTIONAL = "optional"        # it is left out


@dataclasses.dataclass(frozen=True)
class Limits:
    """Bounds on restarts; times in milliseconds and seconds."""

    max_deaths: int = 5
    budget_s: float = 60.0
    backoff_min_ms: int = 1000
    backoff_max_ms: int = 30_000


@dataclasses.dataclass(frozen=True)
class Death:
    """How a role ended. code: exit status, or minus the signal. progress: its number at the end."""

    at_s: float
    code: int
    progress: int
    progressed: bool

    def manner(self) -> str:
        """How it ended, for a sentence: "by SIGKILL", "with exit code 1"."""
        if self.code < 0:
            return f"by {signal_name(-self.code)}"
        return f"with exit code {self.code}"


@dataclasses.dataclass(frozen=True)
class Restart:
    """Start it again after so many seconds."""

    after_s: float


@dataclasses.dataclass(frozen=True)
class StopEngine:
    """Stop everything, leave with this code, say this."""

    exit_code: int
    sentence: str


@dataclasses.dataclass(frozen=True)
class Disable:
    """Go on without it, say this."""

    sentence: str


Verdict = Restart | StopEngine | Disable


class RestartPolicy:
    """Remembers the deaths of one role and decides after each."""

    def __init__(self, role: str, kind: Class, limits: Limits, rng: random.Random) -> None:
        self.role = role
        self.kind = kind
        self.limits = limits
        self._rng = rng
        self._fruitless_s: list[float] = []
        self._streak = 0
        self._poison: int | None = None

    def after(self, death: Death) -> Verdict:
        """What to do about this death."""
        if death.code in STOPPING_CODES:
            return StopEngine(
                EXIT_BAD_CONFIG, f"{self.role} refuses its configuration; the engine stops."
            )
        if -death.code in POISON_SIGNALS:
            if self._poison == death.progress:
                return StopEngine(
                    EXIT_FAILED,
                    f"{self.role} died twice {death.manner()} at number {death.progress}; "
                    "nothing is skipped, the engine stops.",
                )
            self._poison = death.progress
        if death.progressed:
            self._streak = 0
            return Restart(0.0)
        return self._fruitless(death)

    def _fruitless(self, death: Death) -> Verdict:
        limits = self.limits
        since_s = death.at_s - limits.budget_s
        self._fruitless_s = [at_s for at_s in self._fruitless_s if at_s > since_s] + [death.at_s]
        if len(self._fruitless_s) >= limits.max_deaths and self.kind is not Class.RESTARTABLE:
            told = (
                f"{self.role} died {len(self._fruitless_s)} times within {limits.budget_s:g} s "
                f"without progress, last {death.manner()}"
            )
            if self.kind is Class.CRITICAL:
                return StopEngine(EXIT_FAILED, f"{told}; the engine stops.")
            return Disable(f"{told}; the engine goes on without it.")
        wait_ms = min(limits.backoff_min_ms * 2**self._streak, limits.backoff_max_ms)
        self._streak = min(self._streak + 1, 30)
        return Restart(wait_ms * self._rng.uniform(0.8, 1.0) / 1000)


def signal_name(number: int) -> str:
    """SIGSEGV for 11; the number itself when it has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
