"""What can be asked of a running emulated cell, checked at the edge: one class per request."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from hil.fci.panel_socket import PanelError

_Name = Annotated[str, Field(min_length=1, max_length=64)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class RaiseFault(_Request):
    """Raise a fault of an arm or of the hand it carries, now or at robot time `at_s` [s]."""

    do: Literal["fault"]
    name: _Name
    arm: _Name | None = None  # None: the only one
    at_s: Annotated[float, Field(ge=0, le=1e9)] | None = None
    arguments: Annotated[dict[_Name, Number], Field(max_length=16)] = Field(default_factory=dict)


class ListFaults(_Request):
    """Every fault there is."""

    do: Literal["faults"]


class ClearFaults(_Request):
    """End the lasting faults of one arm and its hand, or of all, and forget those that are due later."""

    do: Literal["clear"]
    arm: _Name | None = None


class Status(_Request):
    """What every device of the cell is doing."""

    do: Literal["status"]


class Time(_Request):
    """Robot time."""

    do: Literal["time"]


class Objects(_Request):
    """Where the objects are."""

    do: Literal["objects"]


class Place(_Request):
    """Put an object somewhere, at rest."""

    do: Literal["place"]
    name: _Name
    xyz_m: Annotated[list[Annotated[float, Field(ge=-5, le=5)]], Field(min_length=3, max_length=3)]
    quat_wxyz: Annotated[list[Annotated[float, Field(ge=-1, le=1)]], Field(min_length=4, max_length=4)]


class Scatter(_Request):
    """Put all objects at the poses of a seed."""

    do: Literal["scatter"]
    seed: Annotated[int, Field(ge=0, lt=1 << 63)]


Request = RaiseFault | ListFaults | ClearFaults | Status | Time | Objects | Place | Scatter
_ADAPTER: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="do")])


def parse(fields: dict[str, Any]) -> Request:
    """The request in these fields.

    Raises:
        PanelError: unknown request or key, or a value that is not allowed; each finding in a line.
    """
    try:
        return _ADAPTER.validate_python(fields)
    except ValidationError as error:
        findings = [f"{'.'.join(map(str, one['loc'])) or 'request'}: {one['msg']}" for one in error.errors()]
        raise PanelError("; ".join(findings[:6])[:2000]) from error
