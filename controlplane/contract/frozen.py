"""What are all values of the contract made of?"""

from __future__ import annotations

from uuid import uuid4

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class Frozen(BaseModel):
    """A value that never changes and takes no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Reported(Frozen):
    """What every fact carries: an id for idempotence and when it was observed (UTC)."""

    id: str = Field(default_factory=lambda: uuid4().hex)
    at: AwareDatetime
