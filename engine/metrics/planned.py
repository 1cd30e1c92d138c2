"""Metric names that scanners have and this release does not, each with the reason."""

_SESSIONS = "needs the spread of volumes or returns over 20 sessions, which is not kept"
_TEXT = "is text, not a number: use universe.sectors, or rank and pctile within the sector"
_SHORTS = "needs data on short interest, which this release does not load"
_CROSS = "compares a symbol with others: write rank(x), pctile(x, sector) or breadth(rule)"
_CORRELATION = "compares a symbol with others, which this release does not compute"
_NEWS = "needs a news feed, which this release does not read"
_SIDES = "needs trades signed by the quote, which this release does not keep"
_STATUS = "needs limit-state messages and reason codes, which feeds do not give alike"


def _names(reason: str, text: str) -> dict[str, str]:
    return dict.fromkeys(text.split(), reason)


# name -> what follows "metric 'NAME'" in an error.
PLANNED: dict[str, str] = {
    **_names(_SESSIONS, "vol_z trades_rel_5m ret_z_5m run_score exp_move"),
    **_names(_TEXT, "sector industry exchange country"),
    **_names(_SHORTS, "short_pct_float dtc"),
    **_names(_CROSS, "rank breadth"),
    **_names(_CORRELATION, "rs_sector_5m corr_30m"),
    **_names(_NEWS, "news_n_24h news_age_s"),
    **_names(_SIDES, "delta_1m delta_5m buy_pct_5m oddlot_pct trf_pct"),
    **_names(_STATUS, "limit_state_s halt_reason"),
}
