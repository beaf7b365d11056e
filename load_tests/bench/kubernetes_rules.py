"""What does Kubernetes' API server refuse, and what does a selector choose? Pure; the published rules, as far as pods need them."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

_LABEL_NAME = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LABEL_KEY = re.compile(rf"([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_LABEL_NAME}")
_LABEL_VALUE = re.compile(rf"({_LABEL_NAME})?")
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?")
_UNITS = {"m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_UNITS |= {f"{unit}i": 1024.0**power for power, unit in enumerate("KMGTPE", 1)}
_SELECTOR = re.compile(r"(!)?([\w./-]+)\s*(?:(==|=|!=)\s*([\w.-]*)|\s+(in|notin)\s+\(([^)]*)\))?")
_FIELDS = {
    "metadata.name": ("metadata", "name"),
    "metadata.namespace": ("metadata", "namespace"),
    "status.phase": ("status", "phase"),
}
_NAME_AT_MOST = 253
_PORT_AT_MOST = 65535
_CONFIG_MAP_BYTES = 2**20
_PATCHES = ("application/merge-patch+json", "application/strategic-merge-patch+json")
_POLICIES = ("Always", "OnFailure", "Never")
Thing = dict[str, Any]


class Refused(Exception):  # noqa: N818 (what has happened, as the API says it)
    """The API server does not take it."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message

    def status(self) -> Thing:
        """As the API says it."""
        return {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "code": int(self.code), "reason": self.reason, "message": self.message,
        }  # fmt: skip


def check(thing: Thing, kind: str, namespace: str) -> None:
    """Take it or not.

    Raises:
        Refused: 400 for what is not of the kind, 422 for what breaks a rule; says which.
    """
    if (thing.get("kind"), thing.get("apiVersion")) != (kind, "v1"):
        raise Refused(
            HTTPStatus.BAD_REQUEST, "BadRequest", f"{thing.get('kind')} in {thing.get('apiVersion')} is no {kind} in v1"
        )
    metadata = thing.get("metadata") or {}
    if metadata.get("namespace", namespace) != namespace:
        message = "the namespace of the provided object does not match the namespace sent on the request"
        raise Refused(HTTPStatus.BAD_REQUEST, "BadRequest", message)
    wrong = [*_wrong_metadata(metadata), *(_wrong_pod(thing.get("spec") or {}) if kind == "Pod" else ())]
    if kind == "ConfigMap":
        wrong += _wrong_config(thing.get("data") or {})
    if wrong:
        name = metadata.get("name", "")
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid", f'{kind} "{name}" is invalid: {"; ".join(wrong)}')


def _wrong_metadata(metadata: Thing) -> list[str]:
    name = metadata.get("name", "")
    wrong = (
        [] if _SUBDOMAIN.fullmatch(name) and len(name) <= _NAME_AT_MOST else [f"metadata.name: Invalid value: {name!r}"]
    )
    for key, value in (metadata.get("labels") or {}).items():
        if not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
            wrong.append(f"metadata.labels: Invalid value: {key}={value}")
    return wrong


def _wrong_pod(spec: Thing) -> list[str]:
    containers = spec.get("containers") or []
    volumes = {each.get("name") for each in spec.get("volumes") or []}
    wrong = [] if containers else ["spec.containers: Required value"]
    if spec.get("restartPolicy", "Always") not in _POLICIES:
        wrong.append(f"spec.restartPolicy: Unsupported value: {spec['restartPolicy']!r}")
    names = [each.get("name", "") for each in containers]
    wrong += [f"spec.containers: Duplicate value: {name!r}" for name in set(names) if names.count(name) > 1]
    for container in containers:
        wrong += _wrong_container(container, volumes)
    return wrong


def _wrong_container(container: Thing, volumes: set[str]) -> list[str]:
    name = container.get("name", "")
    wrong = [] if _DNS_LABEL.fullmatch(name) else [f"spec.containers.name: Invalid value: {name!r}"]
    if not container.get("image"):
        wrong.append("spec.containers.image: Required value")
    mounted = [each.get("name") for each in container.get("volumeMounts") or []]
    wrong += [f"spec.containers.volumeMounts.name: Not found: {each!r}" for each in mounted if each not in volumes]
    for each in container.get("env") or []:
        if not each.get("name"):
            wrong.append("spec.containers.env.name: Required value")
        if "value" in each and each["value"] and each.get("valueFrom"):
            wrong.append(f"spec.containers.env.valueFrom: Invalid value: {each['name']} has a value as well")
    ports = [each.get("containerPort", 0) for each in container.get("ports") or []]
    wrong += [
        f"spec.containers.ports.containerPort: Invalid value: {each}" for each in ports if not 0 < each <= _PORT_AT_MOST
    ]
    return wrong + _wrong_resources(container.get("resources") or {})


def _wrong_resources(resources: Thing) -> list[str]:
    limits, wrong = resources.get("limits") or {}, []
    for what, asked in (resources.get("requests") or {}).items():
        if (amount := quantity(asked)) is None:
            wrong.append(f"spec.containers.resources.requests: Invalid value: {asked!r}")
        elif what in limits and amount > (quantity(limits[what]) or 0):
            wrong.append(f"spec.containers.resources.requests: must be less than or equal to {what} limit")
    return wrong


def _wrong_config(data: Thing) -> list[str]:
    size = sum(len(str(key)) + len(str(value)) for key, value in data.items())
    return ["data: Too long: may not be more than 1048576 bytes"] if size > _CONFIG_MAP_BYTES else []


def quantity(written: object) -> float | None:
    """`500m`, `1Gi`; None when it is none."""
    found = _QUANTITY.fullmatch(str(written))
    return None if found is None else float(found[1]) * _UNITS[found[2] or ""]


def is_selected(thing: Thing, labels: str, fields: str) -> bool:
    """Does a thing have what label and field selectors ask for? All of it.

    Raises:
        Refused: if a selector can't be read, or names a field that can't be selected by.
    """
    has = thing["metadata"].get("labels") or {}
    return all(_has_label(has, each) for each in _split(labels)) and all(
        _has_field(thing, each) for each in _split(fields)
    )


def _split(selector: str) -> list[str]:
    return [each.strip() for each in re.split(r",(?![^(]*\))", selector) if each.strip()]


def _has_label(has: Thing, asked: str) -> bool:
    found = _SELECTOR.fullmatch(asked)
    if found is None:
        raise Refused(HTTPStatus.BAD_REQUEST, "BadRequest", f"unable to parse requirement: {asked}")
    is_not, key, sign, value, word, values = found.groups()
    if sign in ("=", "=="):
        return bool(has.get(key) == value)
    if sign == "!=":
        return bool(has.get(key) != value)
    if word is not None:
        return (has.get(key) in [each.strip() for each in values.split(",")]) is (word == "in")
    return (key in has) is (is_not is None)


def _has_field(thing: Thing, asked: str) -> bool:
    key, sign, value = re.split(r"(!=|==|=)", asked, maxsplit=1) if "=" in asked else (asked, "", "")
    if key not in _FIELDS:
        raise Refused(HTTPStatus.BAD_REQUEST, "BadRequest", f"field label not supported: {key}")
    part, name = _FIELDS[key]
    return ((thing.get(part) or {}).get(name) == value) is (sign != "!=")


def merged(thing: Thing, patch: Thing, how: str) -> Thing:
    """A thing with a patch applied; of a pod only its metadata may change.

    Raises:
        Refused: 415 for another kind of patch, 409 for a version that is not the thing's, 422 for what may not change.
    """
    if how not in _PATCHES:
        raise Refused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            f"the body of the request was in an unknown format: {how}",
        )
    version = (patch.get("metadata") or {}).get("resourceVersion")
    if version is not None and version != thing["metadata"]["resourceVersion"]:
        raise Refused(
            HTTPStatus.CONFLICT,
            "Conflict",
            "the object has been modified; please apply your changes to the latest version",
        )
    changed: Thing = _overlaid(thing, patch)
    if thing["kind"] == "Pod" and changed.get("spec") != thing.get("spec"):
        raise Refused(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "Invalid",
            "spec: Forbidden: pod updates may not change fields other than its metadata",
        )
    return changed


def _overlaid(under: Any, over: Any) -> Any:  # noqa: ANN401 (JSON)
    if not isinstance(under, dict) or not isinstance(over, dict):
        return over
    kept = {key: value for key, value in under.items() if over.get(key, value) is not None}
    return {**kept, **{key: _overlaid(under.get(key), value) for key, value in over.items() if value is not None}}
