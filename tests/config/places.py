"""A directory with the files that a good configuration names."""

from pathlib import Path

from engine.config.load import Loaded, load

GOOD = '[feed]\ntrades = "trades.csv"\n'


def good_place(directory: Path) -> Path:
    """Put trades and rules there; returns where its scanner.toml goes."""
    (directory / "trades.csv").write_text("ts_ns,symbol,price,size,conditions,exchange\n")
    (directory / "rules.json").write_text("[]")
    return directory / "scanner.toml"


def load_text(directory: Path, text: str, environ: dict[str, str] | None = None) -> Loaded:
    """Load `text` as that directory's scanner.toml, without this process's environment.

    A text that does not speak of trades gets them from the environment: one fault at a time.
    """
    file = good_place(directory)
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    added = {} if "trades =" in text else {"TAPESCAN_FEED__TRADES": "trades.csv"}
    return load(file, environ={"HOME": str(directory)} | added | (environ or {}))
