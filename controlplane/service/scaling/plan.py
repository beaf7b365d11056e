"""What would an order change, and what stands against it? Nothing of it forbids the order: an operator may know better; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.contract.scaling import ScalePlanned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlplane.contract.scaling import ExecutorsChanged, ScaleOrdered, ScalingPolicy


def planned(
    order: ScaleOrdered,
    executors: ExecutorsChanged | None,
    reason: str | None,
    wanted: int | None,
    policy: ScalingPolicy,
) -> ScalePlanned:
    """An order as a plan.

    Args:
        order: what would be ordered.
        executors: what the part says that it has; None when it says nothing.
        reason: why `executors` is None.
        wanted: what is wanted now; None: leave it as it is.
        policy: what the autoscaler may do.
    """
    have = None if executors is None else executors.have
    return ScalePlanned(
        order=order,
        have=have,
        wanted=wanted,
        changes=_changes(order, have),
        against=tuple(_against(order, executors, reason, policy)),
    )


def _changes(order: ScaleOrdered, have: int | None) -> str:
    target, count = order.target, order.executors
    until = "until it is given back" if order.until is None else f"until {order.until:%Y-%m-%d %H:%M:%S} UTC"
    if have is None:
        return f"{target} has {count} executors {until}; how many it has now is not known"
    if count == have:
        return f"{target} keeps its {have} executors {until}, whatever the load"
    what = f"{count - have} more" if count > have else f"{have - count} fewer, at the end of a micro-batch"
    return f"{target} has {count} executors instead of {have} ({what}) {until}"


def _against(
    order: ScaleOrdered, executors: ExecutorsChanged | None, reason: str | None, policy: ScalingPolicy
) -> Iterator[str]:
    count = order.executors
    if executors is None:
        yield f"{reason}: nobody may be there to follow the order"
    elif count > executors.most:
        yield f"the cluster gives {executors.most} executors at most"
    elif count < executors.least:
        yield f"the part keeps {executors.least} executors at least"
    if policy.is_on and not policy.least <= count <= policy.most:
        bounds = f"between {policy.least} and {policy.most}"
        yield f"the policy lets it be {bounds}: it goes back there when the order ends"
