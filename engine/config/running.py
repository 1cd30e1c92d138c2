"""What every role of a running engine shares: built by the supervisor before the first fork."""

import dataclasses
from pathlib import Path

from engine.config.schema import Config
from engine.domain.stream import StreamInfo
from engine.domain.tables import EngineTables
from shm.board import Board
from shm.engine_clock import EngineClock


@dataclasses.dataclass(frozen=True)
class Running:
    """Configuration, stream, tables and board of this engine; data_dir holds everything written.

    arguments: those that `tapescan run` was given, but the file; no_switch: one sentence why the
    demo market cannot be switched from the page, empty when it can.
    """

    config: Config
    stream: StreamInfo
    tables: EngineTables
    board: Board
    data_dir: Path
    arguments: tuple[str, ...] = ()
    no_switch: str = ""

    @property
    def clock(self) -> EngineClock:
        """Engine time of a live stream; in a replay it paces and stamps, and is never moved."""
        return EngineClock(self.tables.clock)

    @property
    def alerts_path(self) -> Path:
        return self.data_dir / "alerts.db"

    @property
    def bars_path(self) -> Path:
        return self.data_dir / "bars.db"

    @property
    def spool_path(self) -> Path:
        return self.data_dir / "alerts.spool"

    @property
    def stream_dir(self) -> Path:
        return Path(self.stream.directory)
