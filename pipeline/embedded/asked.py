"""What does a request ask for?

ClickHouse's HTTP interface puts a few fields of its own, the statement's parameters (`param_x`) and any setting side by
side in the address, and the statement in the address, in the body, or in a form. This sorts them. Fields that only
steer ClickHouse's own HTTP server are known and dropped; every other name is a setting, and the engine knows whether it
exists.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl
from uuid import uuid4

from pipeline.embedded.encoding import best_encoding, unpack
from pipeline.embedded.errors import BAD_ARGUMENTS, NOT_IMPLEMENTED, SYNTAX_ERROR, refusal
from pipeline.embedded.statement import Statement, read_statement

if TYPE_CHECKING:
    from collections.abc import Mapping

BODY_AT_MOST = 256 * 1024 * 1024
"""Bytes of a body, packed and unpacked."""
_DROPPED = frozenset(
    {
        *("add_http_cors_header", "buffer_size", "cancel_http_readonly_queries_on_client_close", "close_session"),
        *("client_protocol_version", "database", "default_format", "enable_http_compression"),
        *("http_headers_progress_interval_ms", "http_zlib_compression_level", "log_comment", "password", "profile"),
        *("query", "query_id", "quota_key", "role", "send_progress_in_http_headers", "session_check", "session_id"),
        *("session_timeout", "user", "wait_end_of_query"),
    }
)
_BY_PATH = "deltalakelocal"
_EXACT = {"optimize_trivial_count_query": "0"}
"""Else `count()` of a Delta table is that of its files, and rows that a deletion vector has taken away are in it."""
_PACKED_BLOCKS = ("compress", "decompress")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


@dataclass(frozen=True)
class External:
    """A table that a query brings along."""

    name: str
    structure: str
    format: str
    data: bytes


@dataclass(frozen=True)
class Request:
    """One request, sorted."""

    statement: Statement
    settings: dict[str, str]
    parameters: dict[str, str]
    database: str
    query_id: str
    output: str
    """Format of the result."""
    packing: str | None
    """Encoding of the answer."""
    is_whole: bool
    """The client wants the answer only when it is complete (`wait_end_of_query`)."""
    externals: tuple[External, ...] = ()


def read_request(method: str, query_string: str, headers: Mapping[str, str], packed: bytes) -> Request:
    """Sort a request; header names in lower case.

    Raises:
        ServerError: if anything in it is malformed or not supported.
    """
    fields = dict(parse_qsl(query_string, keep_blank_values=True))
    body = unpack(packed, headers.get("content-encoding", "").strip().lower(), BODY_AT_MOST)
    externals: tuple[External, ...] = ()
    if headers.get("content-type", "").startswith("multipart/form-data"):
        externals = _read_form(headers["content-type"], body, fields)
        body = b""
    statement = read_statement(fields.get("query", "").encode(), body)
    wants_packed = fields.get("enable_http_compression") in ("1", "true")
    default = fields.get("default_format") or headers.get("x-clickhouse-format") or "TabSeparated"
    return Request(
        statement=statement,
        settings={
            **(_EXACT if _BY_PATH in statement.sql.lower() else {}),
            **_settings(fields, method, {external.name for external in externals}),
        },
        parameters=_parameters(fields),
        database=fields.get("database") or headers.get("x-clickhouse-database") or "default",
        query_id=fields.get("query_id") or str(uuid4()),
        output=statement.output or default,
        packing=best_encoding(headers.get("accept-encoding", "")) if wants_packed else None,
        is_whole=fields.get("wait_end_of_query") in ("1", "true"),
        externals=externals,
    )


def _parameters(fields: Mapping[str, str]) -> dict[str, str]:
    return {name.removeprefix("param_"): value for name, value in fields.items() if name.startswith("param_")}


def _settings(fields: Mapping[str, str], method: str, external: set[str]) -> dict[str, str]:
    if packed := next((name for name in _PACKED_BLOCKS if fields.get(name, "0") not in ("0", "false")), None):
        raise refusal(NOT_IMPLEMENTED, f"{packed}=1 (native blocks) is not supported; use HTTP's own encodings")
    described = {f"{name}_{what}" for name in external for what in ("structure", "format", "types")}
    no_settings = _DROPPED | described | set(_PACKED_BLOCKS)
    settings = {
        name: value for name, value in fields.items() if name not in no_settings and not name.startswith("param_")
    }
    if wrong := next((name for name in settings if not _NAME.fullmatch(name)), None):
        raise refusal(BAD_ARGUMENTS, f"{wrong!r} in the address is not the name of a setting")
    if method != "POST" and settings.get("readonly", "0") == "0":
        settings["readonly"] = "2"
    return settings


def _read_form(content_type: str, body: bytes, fields: dict[str, str]) -> tuple[External, ...]:
    """Put a form's text fields among the address's, and return its files."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1")
    form = BytesParser(EmailMessage, policy=policy.HTTP).parsebytes(head + body)
    if not form.is_multipart():
        raise refusal(SYNTAX_ERROR, "the multipart/form-data body is malformed")
    files: dict[str, bytes] = {}
    for part in form.iter_parts():
        name = str(part.get_param("name", "", header="content-disposition"))
        data = part.get_payload(decode=True)
        content = data if isinstance(data, bytes) else b""
        if part.get_filename() is None:
            fields[name] = content.decode("utf-8", "replace")
        else:
            files[name] = content
    return tuple(_external(name, data, fields) for name, data in files.items())


def _external(name: str, data: bytes, fields: Mapping[str, str]) -> External:
    types = [written.strip() for written in fields.get(f"{name}_types", "").split(",") if written]
    numbered = ", ".join(f"_{number} {written}" for number, written in enumerate(types, start=1))
    structure = fields.get(f"{name}_structure") or numbered
    if not structure or not _NAME.fullmatch(name):
        raise refusal(BAD_ARGUMENTS, f"the file {name!r} needs a plain name and its columns in {name}_structure")
    return External(name, structure, fields.get(f"{name}_format", "TabSeparated"), data)
