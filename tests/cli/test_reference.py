"""`tapescan symbols` and `tapescan history` as a user types them."""

import json
from pathlib import Path

import pytest

from tools.main import call

Capture = pytest.CaptureFixture[str]
DIRECTORY = (
    "symbol,name,exchange,sector,industry,country,shares,test_issue\n"
    "NA,Nano Labs,NASDAQ,Technology,Semiconductors,China,28571220,N\n"
    "XYZ,Xyz Inc,NYSE,Energy,Oil,USA,,N\n"
)


def said(capsys: Capture, *arguments: str, code: int = 0) -> str:
    assert call([*arguments, "--config", "tapescan.toml"]) == code
    captured = capsys.readouterr()
    return captured.out + captured.err


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tapescan.toml").write_text('[paths]\ndata_dir = "data"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_symbols_are_imported_shown_and_listed(here: Path, capsys: Capture) -> None:
    told = said(capsys, "symbols", "list", code=1)
    assert "nothing was imported yet" in told and told.count("\n") == 1
    (here / "directory_2025-07-21.csv").write_text(DIRECTORY, encoding="utf-8")
    told = said(capsys, "symbols", "import", "directory_2025-07-21.csv")
    assert told == (
        "directory_2025-07-21.csv: symbols, 2 rows read, 0 left out, 2 records new or changed.\n"
    )
    assert "0 records new" in said(capsys, "symbols", "import", "directory_2025-07-21.csv")
    shown = said(capsys, "symbols", "show", "NA")
    assert "28,571,220  as of 2025-07-21, directory_2025-07-21.csv" in shown
    document = json.loads(said(capsys, "symbols", "show", "XYZ", "--json"))
    assert document["sector"] == "Energy" and document["shares"] is None
    listed = said(capsys, "symbols", "list", "--sector", "energy")
    assert listed == "XYZ\tNYSE\tEnergy\t-\tXyz Inc\n"
    assert said(capsys, "symbols", "list").splitlines()[0].startswith("NA\tNASDAQ\tTechnology")
    assert "nothing is known of NOPE" in said(capsys, "symbols", "show", "NOPE", code=1)


def test_a_list_is_made_of_a_file(here: Path, capsys: Capture) -> None:
    (here / "mine.csv").write_text("symbol\nNAN\nNA\n", encoding="utf-8")
    assert "needs --list NAME" in said(capsys, "symbols", "import", "mine.csv", code=1)
    told = said(capsys, "symbols", "import", "mine.csv", "--list", "mine")
    assert told == "mine.csv: list mine, 2 rows read, 0 left out, 2 records new or changed.\n"
    listed = said(capsys, "symbols", "list", "--list", "mine")
    assert [line.split("\t")[0] for line in listed.splitlines()] == ["NA", "NAN"]
    assert "no list is named yours" in said(capsys, "symbols", "list", "--list", "yours", code=1)


def test_bad_rows_are_told_and_the_exit_code_says_so(here: Path, capsys: Capture) -> None:
    rows = "".join(f"2025-01-0{i},A,{price},100\n" for i, price in ((2, "10"), (3, "x"), (6, "5")))
    (here / "d.csv").write_text("date,symbol,close,volume\n" + rows, encoding="utf-8")
    told = said(capsys, "history", "import", "d.csv", code=1)
    assert "d.csv: line 3, column close: 'x' is not a number" in told
    assert "daily bars, 3 rows read, 1 left out, 2 records new or changed." in told
    assert said(capsys, "history", "list") == (
        "daily bars                 2  1 symbol        2025-01-02 to 2025-01-06\n"
    )
    assert "there is no history of B" in said(capsys, "history", "list", "B", code=1)


def test_a_split_nobody_told_of_is_found_and_settled(here: Path, capsys: Capture) -> None:
    rows = "2025-01-02,A,10,100\n2025-01-03,A,1.001,100\n"
    (here / "d.csv").write_text("date,symbol,close,volume\n" + rows, encoding="utf-8")
    said(capsys, "history", "import", "d.csv")
    assert said(capsys, "history", "check", code=1) == "A\t2025-01-03\t10\n"
    (here / "s.csv").write_text("symbol,date,ratio\nA,2025-01-03,10:1\n", encoding="utf-8")
    said(capsys, "history", "import", "s.csv")
    assert said(capsys, "history", "check") == ""
    assert "split           2025-01-03  10 for 1" in said(capsys, "symbols", "show", "A")


def test_a_file_nobody_knows_is_refused_in_one_sentence(here: Path, capsys: Capture) -> None:
    (here / "x.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    told = said(capsys, "history", "import", "x.csv", code=1)
    assert told.startswith("tapescan: x.csv begins with the columns 'a,b', expected ")
    assert told.count("\n") == 1
