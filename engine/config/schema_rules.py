"""The settings of the section [rules]."""

from typing import Annotated

import msgspec
from msgspec import Meta


class RulesSection(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The rules and their bounds."""

    path: Annotated[
        str,
        Meta(
            description="Rules that are taken in at a start and a reload: a file of them, or a "
            "directory with one in each file, JSON or YAML.",
            extra={"path": True, "filled": True},
        ),
    ] = "rules.json"
    max_rules: Annotated[
        int,
        Meta(ge=1, le=65_536, description="Rules there is room for; a larger file is refused."),
    ] = 16_384
    max_alerts_per_cycle: Annotated[
        int,
        Meta(
            ge=1,
            le=65_536,
            description="Alerts of one cycle, of all scan workers together; the rest is counted.",
            extra={"counter": "alerts_capped_total"},
        ),
    ] = 1024
    max_cooling: Annotated[
        int,
        Meta(
            ge=1024,
            le=1 << 24,
            description="Pairs of rule and symbol that can cool down at a time.",
        ),
    ] = 262_144
    max_leaves: Annotated[
        int, Meta(ge=1, le=64, description="Conditions that one rule can have.")
    ] = 16
    max_depth: Annotated[
        int,
        Meta(ge=2, le=32, description="Levels of and, or, functions and brackets in one rule."),
    ] = 16
    max_rule_cost_us: Annotated[
        float, Meta(ge=1.0, le=1e6, description="Estimated time that one rule can take in a cycle.")
    ] = 5_000.0
    max_set_cost_share: Annotated[
        float,
        Meta(
            ge=0.01, le=1.0, description="Share of the interval that all rules can take, estimated."
        ),
    ] = 0.5
    max_bytes: Annotated[
        int,
        Meta(ge=1 << 14, le=1 << 28, description="Bytes that the compiled rules can take."),
    ] = 1 << 22
    keep_versions: Annotated[
        int,
        Meta(
            ge=1,
            le=100_000,
            description="Versions kept of one rule; the oldest are dropped.",
            extra={"counter": "rule_versions_dropped_total"},
        ),
    ] = 200
    keep_deleted: Annotated[
        int,
        Meta(
            ge=0,
            le=100_000,
            description="Deleted rules whose versions are kept; those deleted longest ago go.",
            extra={"counter": "rule_versions_dropped_total"},
        ),
    ] = 1000
    max_nodes: Annotated[
        int,
        Meta(
            ge=64,
            le=1 << 22,
            description="Nodes of all compiled rules: operators, each once for equal parts.",
        ),
    ] = 65_536
    op_bit_slots: Annotated[
        int,
        Meta(
            ge=16,
            le=1 << 20,
            description="Bits a symbol that operators of rules and control of repeats remember.",
        ),
    ] = 8192
    op_row_slots: Annotated[
        int,
        Meta(
            ge=16,
            le=1 << 17,
            description="Numbers a symbol that operators of rules remember: times, samples.",
        ),
    ] = 1024
    max_derived: Annotated[
        int,
        Meta(
            ge=1,
            le=4096,
            description="Columns for rank, pctile, zscore, breadth and the expressions they rank.",
        ),
    ] = 64
    max_families: Annotated[
        int,
        Meta(
            ge=1,
            le=4096,
            description="Indicators with numbers of their own, such as ema(34, 5m), that all rules "
            "can name together.",
        ),
    ] = 256
    family_rows: Annotated[
        int,
        Meta(
            ge=1,
            le=1 << 15,
            description="Numbers a symbol that those indicators remember from bar to bar: an EMA "
            "2, an RSI 3, an ADX 5.",
        ),
    ] = 512
