"""The base of what this floor raises on purpose."""


class IpcError(Exception):
    """Raised when processes cannot be started, reached or stopped; one sentence for the user."""


class LockedError(IpcError):
    """Raised when another engine holds the data directory; holder is its process id, 0 unknown."""

    def __init__(self, place: str, holder: int) -> None:
        owner = f"by process {holder}" if holder else "by another process"
        super().__init__(f"{place} is in use {owner}; stop that engine or set paths.data_dir.")
        self.place = place
        self.holder = holder


class ThreadsError(IpcError):
    """Raised when the process has more than one thread and so must not fork."""

    def __init__(self, threads: int) -> None:
        super().__init__(f"the supervisor has {threads} threads and must have one to fork a role.")
        self.threads = threads


class ControlError(IpcError):
    """Raised when a command over the control socket fails; exit_code is for the command line."""

    def __init__(self, sentence: str, exit_code: int = 1) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


class NoEngineError(ControlError):
    """Raised when no engine listens on the control socket of a data directory."""


class NoAnswerError(ControlError):
    """Raised when a command was sent and its answer is lost: it may have been carried out."""
