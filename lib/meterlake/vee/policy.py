"""What a source says about VEE: which rules, how severe, with which parameters."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, field_validator

from meterlake.vee.estimation_policy import EstimationPolicy

Severity = Literal["off", "review", "edit", "reject"]


class RuleConf(BaseModel):
    """A rule's severity and parameters for one source; what is not named keeps the rule's default."""

    model_config = ConfigDict(frozen=True, extra="allow")

    severity: Severity | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Vee(BaseModel):
    """VEE of one source, in TOML the section `[vee]`.

    Attributes:
        estimate: whether gaps are estimated. Nothing else is changed unless a rule has the severity edit or reject.
        civil_time_zone: zone of the clock that people at the meter live by, where the files are on another one (UTC):
            without it a change to summer time looks like a fault.
        estimation: how a gap is filled.
        rules: by rule name (`meterlake vee rules`): severity and parameters.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    estimate: bool = True
    civil_time_zone: str | None = None
    estimation: EstimationPolicy = EstimationPolicy()
    rules: dict[str, RuleConf] = {}

    @field_validator("rules")
    @classmethod
    def _rules_exist(cls, rules: dict[str, RuleConf]) -> dict[str, RuleConf]:
        if rules:
            from meterlake.vee.rulebook import check_conf  # numpy: only where a source changes a rule

            for name, conf in rules.items():
                check_conf(name, conf)
        return rules
