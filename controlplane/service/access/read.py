"""How is a body read? 422 with the field that is wrong; what was sent is not repeated, because it may be a password."""

from __future__ import annotations

from typing import TypeVar

from fastapi import HTTPException
from pydantic import ValidationError

from controlplane.contract.frozen import Frozen

Model = TypeVar("Model", bound=Frozen)


def read(model: type[Model], body: bytes) -> Model:
    """The body as a model.

    Raises:
        HTTPException: 422, naming the first mistake.
    """
    try:
        return model.model_validate_json(body or b"{}")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise HTTPException(422, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
