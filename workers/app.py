"""The Celery application and every option that it runs with.

A message is only a wake-up, so nothing here is about keeping messages: acknowledging late and rejecting on a lost
child keep wake-ups prompt, and the leases in Postgres keep them harmless. The broker's timeouts were chosen by
trial: without them a worker that the network forgot stays deaf for good.
"""

from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_process_init
from kombu.entity import Queue

from indexer.known import VenueRow
from indexer.model import Lane
from workers import broker, logs, wiring
from workers.lanes import ALL, CHAINS, KINDS, VENUES

VISIBILITY_S = 900
TICK_S = 5.0
MOST_TASKS_A_CHILD = 1_000
MOST_MEMORY_A_CHILD_KB = 300_000
MOST_MEMORY_A_VENUE_CHILD_KB = 350_000
SOFT_SHUTDOWN_S = 20.0
APPLY_S = 30.0
"""How long normalising and applying a list may take."""
RELATE_S, RELATE_LIMIT_S = 60.0, 300.0
"""How often it is looked whether anything new was said of what is the same, and how long that may take."""
MAINTENANCE = "maint"
ASSETS = "assets"
"""Of what is the same: minutes at most, so that no process of the chains' lanes serves it."""
TASKS = ("tasks", "venue_tasks")

broker.install()
app = Celery("gazetteer", include=[f"workers.{name}" for name in TASKS])


def queue_of(chain: str, lane: Lane) -> str:
    """The queue of a chain's work, named after what throttles it."""
    return f"rpc.{chain}" if lane is Lane.LIVE else f"rpc.{chain}.history"


def queues(lane: Lane) -> list[str]:
    """Every queue of a lane. Each has maintenance too, so that ticks are heard whichever lanes somebody starts."""
    return [*(queue_of(name, lane) for name in wiring.chain_names()), MAINTENANCE]


def venue_queue(row: VenueRow) -> str:
    """The queue of a venue's scopes."""
    return f"{'venue' if row.kind == 'cex' else 'broker'}.{row.name}"


def venue_queues(lane: str) -> list[str]:
    """Every queue of a lane of venues, of what is the same among them, and maintenance."""
    rows = wiring.venues()
    related = [ASSETS] if rows else []
    return [*(venue_queue(row) for row in rows if row.kind in KINDS[lane]), *related, MAINTENANCE]


def queues_of(lane: str) -> set[str]:
    """What a worker of one of `LANES` serves."""
    wanted = [*CHAINS, VENUES] if lane == ALL else [lane]
    return {name for each in wanted for name in (queues(Lane[each.upper()]) if each in CHAINS else venue_queues(each))}


def celery_url(url: str) -> str:
    """A broker's URL as Celery writes it: a Unix socket is `redis+socket://` with `virtual_host`."""
    if not url.startswith("unix://"):
        return url
    path, _, query = url.removeprefix("unix://").partition("?")
    number = query.removeprefix("db=") or "0"
    return f"redis+socket://{path}?virtual_host={number}"


def configure() -> Celery:
    """The application, told where its broker is. Raises BadSetting where there is none."""
    settings = wiring.settings()
    app.conf.update(_options(settings.task_s) | {"broker_url": celery_url(wiring.broker_url())})
    return app


def _options(task_s: float) -> dict[str, Any]:
    return {
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": {
            "visibility_timeout": VISIBILITY_S,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "socket_timeout": 10,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "result_backend": None,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_time_limit": task_s,
        "task_publish_retry": False,  # a kick that cannot be sent is dropped: the next tick sends another
        "task_send_sent_event": True,
        "task_create_missing_queues": False,
        "task_queues": [Queue(name) for name in sorted(queues_of(ALL))],  # type: ignore[no-untyped-call]  # kombu has no types
        "task_default_queue": MAINTENANCE,
        "worker_prefetch_multiplier": 1,
        "worker_max_tasks_per_child": MOST_TASKS_A_CHILD,
        "worker_max_memory_per_child": MOST_MEMORY_A_CHILD_KB,
        # killing a task for its broker's absence would cost its rows a lease; its late ack is dropped instead
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_soft_shutdown_timeout": SOFT_SHUTDOWN_S,
        "worker_send_task_events": True,
        "worker_hijack_root_logger": False,
        "enable_utc": True,
        "timezone": "UTC",
        "beat_max_loop_interval": TICK_S,
        "beat_schedule": {
            "maint.tick": {"task": "maint.tick", "schedule": TICK_S, "options": {"expires": 2 * TICK_S}},
            **_venue_schedule(),
        },
    }


def _venue_schedule() -> dict[str, Any]:
    """Each scope of each venue by itself, and what is the same among all; nothing where none is listed."""
    rows = wiring.venues()
    schedule = {f"venue.{row.name}.{scope}": _periodic(row, scope) for row in rows for scope in row.scopes}
    if rows:
        options = {"queue": ASSETS, "expires": RELATE_S, "time_limit": RELATE_LIMIT_S}
        schedule["assets.relate"] = {"task": "assets.relate", "schedule": RELATE_S, "options": options}
    return schedule


def _periodic(row: VenueRow, scope: str) -> dict[str, Any]:
    options = {"queue": venue_queue(row), "expires": row.every_s, "time_limit": hard_limit_s(row)}
    return {"task": venue_task(row), "schedule": row.every_s, "args": (row.name, scope), "options": options}


def venue_task(row: VenueRow) -> str:
    """What runs its scopes: one that lists nothing is asked what it knows of others' listings, or of coins."""
    if row.lists:
        return "venue.discover"
    return "venue.coins" if row.names_coins else "venue.enrich"


def hard_limit_s(row: VenueRow) -> float:
    """When a run is killed. Its requests stop at `limit_s`; the last one may take its time, and the list is applied."""
    return row.limit_s + row.timeout_s + APPLY_S


@setup_logging.connect  # type: ignore[untyped-decorator]  # celery has no types
def _our_logging(**_: object) -> None:
    """Celery's own set-up is replaced by ours."""
    logs.start()


@worker_process_init.connect  # type: ignore[untyped-decorator]  # celery has no types
def _own_connections(**_: object) -> None:
    """A forked child opens connections of its own."""
    wiring.forget()
