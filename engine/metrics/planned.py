"""Metric names that scanners have and this release does not, each with the reason."""

_SESSIONS = "needs 20 sessions of history, which this release does not load"
_DAILY = "needs daily bars of earlier sessions, which this release does not load"
_STATIC = "needs company reference data, which this release does not load"
_CROSS = "compares a symbol with others, which this release does not compute"
_NEWS = "needs a news feed, which this release does not read"
_SIDES = "needs trades signed by the quote, which this release does not keep"
_STATUS = "needs a status history, which this release does not keep"
_OPENING = "needs opening-range state, which this release does not keep"
_BARS = "is an indicator this release does not compute"


def _names(reason: str, text: str) -> dict[str, str]:
    return dict.fromkeys(text.split(), reason)


# name -> what follows "metric 'NAME'" in an error.
PLANNED: dict[str, str] = {
    **_names(
        _SESSIONS,
        "rvol_tod rvol_tod_rth rvol_tod_all relative_volume rvol rvol_1m rvol_5m rvol_10m rvol_15m "
        "rvol_30m pm_rvol vol_z trades_rel_5m ret_z_5m run_score exp_move proj_vol",
    ),
    **_names(
        _DAILY,
        "adv_5 adv_10 adv_20 adv_30 adv_63 rvol_flat pm_vol_adv_pct chg_2d_pct chg_5d_pct "
        "chg_20d_pct dist_52wh_pct pos_52w dist_pdh_pct dist_pdl_pct dist_ath_pct adr20_pct "
        "pos_prev wtd_pct mtd_pct ytd_pct pivot",
    ),
    **_names(_STATIC, "float mktcap market_cap float_rot sector industry shares short_pct_float"),
    **_names(_CROSS, "rs_spy_5m rs_spy_15m rs_sector_5m rank breadth corr_30m"),
    **_names(_NEWS, "news_n_24h news_age_s"),
    **_names(_SIDES, "delta_1m delta_5m buy_pct_5m blocks_n oddlot_pct trf_pct"),
    **_names(
        _STATUS, "halt_n_today halt_elapsed_s since_resume_s limit_state_s ssr halt_reason"
    ),
    **_names(
        _OPENING,
        "or1_high or1_low or5_high or5_low or15_high or15_low or30_high or30_low or60_high "
        "or60_low n_hod n_lod momo_count pullback_pct reclimb_pct",
    ),
    **_names(_BARS, "consec_1m consec_5m"),
}
