"""Where is everything, and how should it behave?

The only place that reads the environment. `tidegate up` starts every part with these variables set to the addresses
it picked; in production the same parts get the addresses of a Kafka cluster, a registry and a ClickHouse cluster.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from controlplane.contract.access import authorization, service_token
from controlplane.contract.durations import Duration, parse_duration

SHIPPED_STREAMS = Path(__file__).parents[2] / "pipeline" / "streams"
PROBE_STREAM = Path(__file__).parents[2] / "pipeline" / "probe" / "tidegate_probe"
"""Folder of the stream of probes; it is in none of the roots, so only who asks for it has it."""


class Settings(BaseSettings):
    """Every setting of every part; each is read from `TIDEGATE_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="TIDEGATE_", frozen=True)

    data: Path = Field(Path(".tidegate"), description="Folder that keeps everything of an embedded platform.")
    streams: str = Field(
        "", description=f"Folders of stream folders to add to the shipped ones, separated by {os.pathsep!r}."
    )
    trials: str = Field(
        "",
        description="Folder below which trials find changed stream folders; empty: `trials/folders` in the data folder.",
    )
    kafka: str = Field("127.0.0.1:9092", description="Kafka bootstrap servers.")
    registry: str = Field(
        "http://127.0.0.1:8081", description="Schema registry, Confluent's REST API, a path prefix included."
    )
    clickhouse: str = Field("http://127.0.0.1:8123", description="ClickHouse HTTP address.")
    api: str = Field("http://127.0.0.1:8090", description="Control plane: API and hub.")
    quality: str = Field("http://127.0.0.1:8091", description="Quality: quarantine, replay, Data Docs.")
    alerts: str = Field("http://127.0.0.1:8092", description="Alerts: incidents, and what PagerDuty was told.")
    operations: str = Field(
        "http://127.0.0.1:8093", description="Worker of operations: plans and runs them, reads the lake, answers SQL."
    )
    collector: str = Field("http://127.0.0.1:8094", description="Collector: takes events over HTTP.")
    collector_id: str = Field(
        "tidegate-collector",
        min_length=1,
        description="Its transactional id: a collector that starts takes over from another one of the same id.",
    )
    collector_waiting: int = Field(
        20_000,
        ge=1,
        description="Most events that wait for the collector's transactions; who sends more is told to wait.",
    )
    collector_behind: Duration = Field(
        parse_duration("30m"),
        description="Events of a stream whose route or live is further behind are told to wait, too; 0s: never.",
    )
    collector_batch: int = Field(10_000, ge=1, description="Most events of one request to the collector.")
    collector_body: int = Field(
        4 * 2**20, ge=1, description="Most bytes of the body of one request to the collector, unpacked."
    )
    backfill_files: Path | None = Field(
        None, description="Folder whose files backfills may read; nothing else of the machine is read."
    )
    load_targets: str = Field(
        "",
        description=(
            "Addresses (`host` or `host:port`, comma-separated) that load tests may load besides those of this machine's "
            "loopback; empty: none."
        ),
    )
    operations_memory: str = Field("768m", description="Heap ceiling of the Spark of each running operation.")
    database: SecretStr = Field(
        SecretStr(""),
        description=(
            "Database of operations, users and audit: `postgresql://...` or `sqlite:///...`; "
            "empty: `control/operations.sqlite` in the data folder."
        ),
    )
    token_file: Path | None = Field(
        None,
        description="File with the token by which parts know each other; `tidegate up` makes one in the data folder.",
    )
    session_idle: Duration = Field(
        parse_duration("12h"), description="A session of the console ends when it was not used for so long."
    )
    session_lasts: Duration = Field(parse_duration("7d"), description="No session of the console is older than this.")
    oidc_issuer: str = Field(
        "", description="OpenID provider at which one can sign in, as its tokens name it; empty: by password only."
    )
    oidc_client_id: str = Field("tidegate", description="What this platform is called at the provider.")
    oidc_client_secret: SecretStr = Field(
        SecretStr(""),
        description="Its secret there, or `@` and the file that has it; empty: a public client, by PKCE alone.",
    )
    oidc_roles: str = Field(
        "",
        description=(
            "Who has which role there: `claim=value:role`, `claim=value:role@stream,stream` or `*:role`, "
            "separated by semicolons; who has none may not sign in."
        ),
    )
    token: SecretStr = Field(
        SecretStr(""),
        description="For commands: the API token to ask the control plane with, instead of the folder's own.",
    )
    pagerduty_routing_key: SecretStr = Field(
        SecretStr(""),
        description="Integration key of a PagerDuty service (Events API v2); empty: incidents are in the console only.",
    )
    pagerduty: str = Field("https://events.pagerduty.com", description="Where PagerDuty's Events API v2 is.")
    alerts_settle: Duration = Field(
        parse_duration("60s"),
        description="How long a cause must be well before its incident resolves; rules over windows have their own time.",
    )
    grafana: str = Field(
        "",
        pattern=r"^$|^https?://.",
        description="Address of a Grafana to whose Grafana Live the platform's live numbers are pushed; empty: nowhere.",
    )
    grafana_token: SecretStr = Field(
        SecretStr(""), description="Token of a service account there, or `@` and the file that has it."
    )
    grafana_mode: Literal["http", "websocket"] = Field(
        "http",
        description="How: `http` hears what Grafana refuses; `websocket` does not, and needs an administrator's token.",
    )
    grafana_topics: str = Field(
        "overview,lag",
        description=(
            "What, separated by commas: `overview`, `lag`, `live/<stream>/<rollup>`; `live/*` is every rollup, "
            "and each of them is asked of ClickHouse while it is pushed."
        ),
    )
    grafana_rate: float = Field(2.0, gt=0, le=20, description="At most so many pushes a second.")
    console: str = Field("http://127.0.0.1:8050", description="Console; the only Origin that may open the hub.")
    lake: str = Field("", description="Root of the Delta tables; empty means `lake` in the data folder.")
    checkpoints: str = Field("", description="Root of Spark's checkpoints; empty: in the data folder.")
    route_mode: Literal["realtime", "microbatch"] = Field(
        "realtime", description="How route runs: Spark's real-time mode, or micro-batches of the same DataFrame."
    )
    route_batch: Duration = Field(
        parse_duration("5m"), description="Length of a real-time batch; each boundary is a gap of 0.2-0.8 s."
    )
    lake_trigger: Duration = Field(parse_duration("10s"), description="How often lake starts a micro-batch.")
    lake_batch: int = Field(1_000_000, ge=1, description="Most events of a micro-batch of lake.")
    lake_master: str = Field(
        "",
        pattern=r"^$|^(spark|k8s)://.",
        description="Spark master that gives lake its executors (`spark://...`, `k8s://...`); empty: lake runs in its own process.",
    )
    lake_executors: str = Field(
        "2:8", pattern=r"^[1-9]\d{0,3}:[1-9]\d{0,3}$", description="On a cluster: least and most executors of lake."
    )
    lake_options: str = Field(
        "", description="On a cluster: further Spark settings of lake, `key=value`, separated by semicolons."
    )
    executor_memory: str = Field("512m", description="Heap of each executor; Spark takes no less than 480m.")
    executor_batch: int = Field(
        100_000, ge=1, description="On a cluster: most events of a micro-batch of lake for each executor."
    )
    tables_trigger: Duration = Field(
        parse_duration("20s"),
        description="How often entities and rollups follow the lake's events, and closed windows are published.",
    )
    sql_user: str = Field(
        "bi", description="ClickHouse user of the SQL page and of `tidegate sql`; one that may only read."
    )
    sql_password: SecretStr = Field(SecretStr(""), description="Password of that user.")
    metrics: str = Field(
        "",
        description="Where a part that has no HTTP address of its own serves `/metrics`, as host:port; empty: nowhere.",
    )
    lag_shadow: bool = Field(
        True, description="Mirror where each query is into a consumer group of its own, for Kafka's own tools."
    )
    probes: Literal["on", "off"] = Field(
        "on",
        description="Whether an event a second goes the way of all others, to know how long it takes while nobody watches.",
    )
    push_tick: Duration = Field(parse_duration("100ms"), description="How often the hub looks for something new.")
    push_clients: int = Field(2000, ge=1, description="Watchers that may be connected to the hub, in all.")
    push_clients_each: int = Field(100, ge=1, description="Watchers that one user may have connected.")
    notify_socket: str = Field(
        "", validation_alias="NOTIFY_SOCKET", description="Where to say that a part is ready (systemd's sd_notify)."
    )
    cache: Path = Field(Path.home() / ".cache" / "tidegate", description="Where `make setup` keeps the jars.")
    spark_jars: str = Field("", description="Jars of Spark's connectors, comma-separated; `tidegate up` sets it.")
    spark_ui_hosts: str = Field(
        "", description="Hosts besides this one whose Spark REST API may be asked, comma-separated; `*`: any."
    )
    spark_memory: str = Field("768m", description="Heap ceiling of each Spark JVM.")

    @property
    def executors_range(self) -> tuple[int, int]:
        """Least and most executors of lake on a cluster."""
        least, most = map(int, self.lake_executors.split(":"))
        return least, max(least, most)

    @property
    def lake_options_given(self) -> dict[str, str]:
        """Spark's name of a setting -> its value."""
        given = (each.partition("=") for each in self.lake_options.split(";") if each.strip())
        return {key.strip(): value.strip() for key, _, value in given}

    @property
    def spark_archive(self) -> Path:
        """Archive of the classes that this version of Spark loads at its start; `make setup` has it made."""
        return self.cache / f"spark-{version('pyspark')}.jsa"

    @property
    def lake_root(self) -> str:
        """Root path or URL of the Delta tables."""
        return self.lake or str(self.data.resolve() / "lake")

    @property
    def checkpoint_root(self) -> str:
        """Root path or URL of Spark's checkpoints."""
        return self.checkpoints or str(self.data.resolve() / "checkpoints")

    @property
    def database_url(self) -> str:
        """Where operations, users and audit are kept; may hold a password."""
        return self.database.get_secret_value() or f"sqlite:///{self.data.resolve() / 'control' / 'operations.sqlite'}"

    @property
    def service_token(self) -> str:
        """The token by which parts know each other; empty when there is none."""
        return service_token(self.token_file)

    @property
    def oidc_secret(self) -> str:
        """The secret at the provider.

        Raises:
            OSError: if it is in a file that cannot be read.
        """
        return _given(self.oidc_client_secret)

    @property
    def grafana_secret(self) -> str:
        """The token of the service account at Grafana.

        Raises:
            OSError: if it is in a file that cannot be read.
        """
        return _given(self.grafana_token)

    @property
    def authorization(self) -> dict[str, str]:
        """The header by which a part shows that it is one."""
        return authorization(self.service_token)

    @property
    def trials_root(self) -> Path:
        """Below which trials find changed stream folders."""
        return Path(self.trials) if self.trials else self.data.resolve() / "trials" / "folders"

    @property
    def promoted_streams(self) -> Path:
        """Folders that promotions have made today's."""
        return self.data.resolve() / "streams"

    @property
    def added_streams(self) -> tuple[Path, ...]:
        """Folders whose sub-folders are streams besides the shipped ones."""
        return tuple(Path(part).resolve() for part in self.streams.split(os.pathsep) if part)

    @property
    def stream_roots(self) -> tuple[Path, ...]:
        """Folders whose sub-folders are streams: the shipped one first, last the promoted ones, which win."""
        return (SHIPPED_STREAMS, *self.added_streams, self.promoted_streams)


def _given(secret: SecretStr) -> str:
    """A secret that may be in a file, which is then named after `@`."""
    given = secret.get_secret_value()
    return Path(given.removeprefix("@")).read_text().strip() if given.startswith("@") else given
