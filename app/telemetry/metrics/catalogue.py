"""Catalogue: every metric of a worker, by subject; `docs/metrics.md` is rendered of it.

What a number is about the whole cluster says so: it is read from PostgreSQL, and every worker tells the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from app.telemetry.metrics.metric import Metric

#: What each label holds, and what bounds how many values it has.
LABELS: Final[Mapping[str, str]] = {
    "agent": "an agent of the loaded domains; a shadow's is `agent@label`",
    "outcome": "what the agent chose; 1,000 combinations of the labels of decisions, then `other`",
    "brain": "`rules`, or a model by the name it is asked by",
    "fallback_reason": "why the rules decided in place of a model, a closed set; empty where they did not",
    "status": "`committed`, `held`, `rejected`, `refused`, `shadow`; of workers `alive`, `silent`, `stopped`",
    "consumer": "`router`, or an agent",
    "reason": "of a dead letter, one word; with `consumer` 1,000 combinations, then `other`",
    "group": "a consumer group: the agent set's, or `innervate-router`",
    "topic": "a topic that this worker reads",
    "partition": "its number",
    "lane": "of the outbox, 0 to 63",
    "answer": "`approved`, `rejected`, `expired`",
    "model": "a language model by the name it answers with, the first 20 different ones; then `other`",
    "result": "`valid`, or why a reply cannot be used, a closed set",
    "kind": "of tokens: `prompt`, `completion`; of a worker: `live`, `shadow`",
    "check": "a check of `/health/ready`",
    "expectation": "one that an agent of the loaded domains declares",
    "state": "of an expectation: `missed`, `met_late`, `void_late`, `unknown`",
    "contents": "`decision_contents`, `llm_call_contents`",
    "generation": "of Python's garbage collector, 0 to 2",
    "source": "a part that metrics are read from",
    "release": "the version of Innervate",
    "agent_set": "`AGENTS`, joined by `-`; `all` without; `routers` where no agent runs",
}


def _counter(name: str, text: str, unit: str, *labels: str) -> Metric:
    return Metric(name=name, kind="counter", help=text, unit=unit, labels=labels)


def _gauge(name: str, text: str, unit: str, *labels: str) -> Metric:
    return Metric(name=name, kind="gauge", help=text, unit=unit, labels=labels)


_PLACE: Final = ("group", "topic", "partition")

POSITION: Final = _gauge(
    "innervate_partition_position", "The next offset to read, of partitions this worker has.", "offset", *_PLACE
)
END: Final = _gauge("innervate_partition_end", "The end of what can be read.", "offset", *_PLACE)
LAG_RECORDS: Final = _gauge(
    "innervate_partition_lag_records",
    "Offsets between the two. Of the domain topics every worker tells of all partitions, also of those nobody has.",
    "records",
    *_PLACE,
)
LAG_SECONDS: Final = _gauge(
    "innervate_partition_lag_seconds", "For how long there has been something that is not read yet.", "seconds", *_PLACE
)
UNMOVED: Final = _gauge(
    "innervate_partition_unmoved_seconds",
    "For how long a partition with something to read has not moved; 60 is stuck.",
    "seconds",
    *_PLACE,
)
COMMIT_AGE: Final = _gauge(
    "innervate_partition_commit_age_seconds",
    "Since the committed offset was last seen to move, whether or not there is something to read; absent until it has.",
    "seconds",
    *_PLACE,
)
ASSIGNED: Final = _gauge("innervate_assigned_partitions", "Partitions this worker has.", "partitions", "topic")
UNREADABLE: Final = _gauge("innervate_topics_unreadable", "Domain topics that cannot be read.", "topics")
BROKER_AGE: Final = _gauge(
    "innervate_broker_answer_age_seconds",
    "Since Kafka last said how far the groups are; it is asked every 5 s.",
    "seconds",
)

TAKEN: Final = _counter("innervate_events_taken_total", "Records of timelines an agent has taken.", "records", "agent")
IN_FLIGHT: Final = _gauge("innervate_events_in_flight", "Events taken and not finished.", "events", "agent")
OLDEST_IN_FLIGHT: Final = _gauge(
    "innervate_events_oldest_in_flight_seconds", "Age of the oldest of them; 0 where there is none.", "seconds", "agent"
)
ENTITIES_WAITING: Final = _gauge(
    "innervate_entity_lanes", "Entities with events that are decided one after another.", "entities", "agent"
)
LANE_EVENTS: Final = _gauge("innervate_entity_lane_events", "Those events, of all entities.", "events", "agent")
DEEPEST_LANE: Final = _gauge(
    "innervate_entity_lane_deepest_events", "Those of the entity that has most.", "events", "agent"
)
ROUTED: Final = _counter("innervate_routed_events_total", "Events the router wrote to timelines.", "events")

DECISIONS: Final = _counter(
    "innervate_decisions_total",
    "Decisions that were written, each once.",
    "decisions",
    "agent",
    "outcome",
    "brain",
    "fallback_reason",
    "status",
)
DUPLICATES: Final = _counter(
    "innervate_duplicates_suppressed_total", "Decisions on events that were decided on before.", "decisions", "agent"
)
DEAD_LETTERS: Final = _counter(
    "innervate_dead_letters_total", "Input that could not be processed.", "letters", "consumer", "reason"
)
OPEN_LETTERS: Final = _gauge(
    "innervate_dead_letters_open",
    "Of the cluster: dead letters that nobody has put back, of the newest 1,000.",
    "letters",
    "consumer",
    "reason",
)
ANSWERS: Final = _counter(
    "innervate_answers_total", "Held decisions this worker answered or expired.", "decisions", "answer"
)
HELD: Final = _gauge(
    "innervate_held_decisions", "Of the cluster: decisions that wait for a person, counted up to 1,000.", "decisions"
)
HELD_OLDEST: Final = _gauge(
    "innervate_held_oldest_seconds", "Of the cluster: age of the oldest that waits; 0 where there is none.", "seconds"
)
HELD_EXPIRES_IN: Final = _gauge(
    "innervate_held_expires_in_seconds",
    "Of the cluster: until the next of them expires; absent where none waits.",
    "seconds",
)
HELD_OVERDUE: Final = _gauge(
    "innervate_held_overdue_decisions",
    "Of the cluster: held decisions that should have expired more than a minute ago.",
    "decisions",
)
EXPECTATIONS: Final = _counter(
    "innervate_expectations_settled_total",
    "Expectations that were not met in time, by what this worker found; each once.",
    "expectations",
    "agent",
    "expectation",
    "state",
)
EXPECTATIONS_MISSED: Final = _gauge(
    "innervate_expectations_missed",
    "Of the cluster: missed within the last day and not ended since, of the 1,000 that were due last.",
    "expectations",
    "agent",
    "expectation",
)
EXPECTATIONS_OVERDUE: Final = _gauge(
    "innervate_expectations_overdue_seconds",
    "Of the cluster: since the oldest that nobody has judged was due; 0 where there is none.",
    "seconds",
)

PENDING: Final = _gauge(
    "innervate_outbox_pending_messages",
    "Of the cluster: committed and not yet published, counted up to 10,000.",
    "messages",
)
PENDING_OLDEST: Final = _gauge(
    "innervate_outbox_oldest_seconds", "Of the cluster: age of the oldest of them; 0 where there is none.", "seconds"
)
PENDING_UNMOVED: Final = _gauge(
    "innervate_outbox_unmoved_seconds",
    "Of the cluster: the longest that the first message of a lane has been the same; 60 is stuck.",
    "seconds",
)
LANE_OLDEST: Final = _gauge(
    "innervate_outbox_lane_oldest_seconds",
    "Age of the oldest message of a lane that this worker holds, or that nobody does and something is in.",
    "seconds",
    "lane",
)
LANES_HELD: Final = _gauge("innervate_outbox_lanes_held", "Lanes this worker publishes, of 64.", "lanes")
PUBLISHED: Final = _counter("innervate_outbox_published_total", "Messages that Kafka has acknowledged.", "messages")
BURIED: Final = _gauge(
    "innervate_outbox_buried_messages",
    "Of the cluster: messages Kafka refused for good, counted up to 10,000.",
    "messages",
)
BURIED_OLDEST: Final = _gauge(
    "innervate_outbox_buried_oldest_seconds",
    "Of the cluster: since the first of them was; 0 where there is none.",
    "seconds",
)
BURIED_TOTAL: Final = _counter("innervate_outbox_buried_total", "Messages this worker buried.", "messages")
LEASES_LOST: Final = _counter(
    "innervate_outbox_leases_lost_total", "Lanes another worker took over before this one renewed its lease.", "leases"
)
FENCED: Final = _counter(
    "innervate_outbox_batches_fenced_total",
    "Batches that were not published because their lane has another owner (`OUTBOX_FENCED`).",
    "batches",
)
TOPICS_WAITING: Final = _gauge("innervate_topics_waiting", "Topics that Kafka takes nothing for now.", "topics")

#: Models answer in tenths of seconds to half a minute; the limits of an attempt are 10 s, of a decision 20 s.
MODEL_SECONDS: Final = Metric(
    name="innervate_model_call_seconds",
    kind="histogram",
    help="How long calls of language models took, with every attempt.",
    unit="seconds",
    labels=("agent", "model"),
    buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 60),
)
MODEL_CALLS: Final = _counter(
    "innervate_model_calls_total",
    "Calls of language models, and what came of them.",
    "calls",
    "agent",
    "model",
    "result",
)
MODEL_TOKENS: Final = _counter(
    "innervate_model_tokens_total", "Tokens, as the server counted them.", "tokens", "agent", "model", "kind"
)

WINDOW_PARTITIONS: Final = _gauge(
    "innervate_window_partitions", "Databases of windows that are open, standbys too.", "partitions", "agent"
)
WINDOW_ENTRIES: Final = _gauge(
    "innervate_window_entries", "Remembered events on this machine, as RocksDB estimates them.", "events", "agent"
)
WINDOW_FILES: Final = _gauge("innervate_window_file_bytes", "Windows in files.", "bytes", "agent")
WINDOW_MEMORY: Final = _gauge(
    "innervate_window_memory_bytes", "Windows in memory before they are in files.", "bytes", "agent"
)
WINDOWS_REMOVED: Final = _counter(
    "innervate_windows_removed_total",
    "Windows of entities that were silent for so long that no event to come sees them, removed by this worker.",
    "windows",
    "agent",
)
CACHED_WINDOWS: Final = _gauge("innervate_window_cache_entities", "Windows that are kept decoded.", "entities")
CACHED_BYTES: Final = _gauge("innervate_window_cache_bytes", "What they take, estimated.", "bytes")
DISK_FREE: Final = _gauge("innervate_data_directory_free_bytes", "Free on the disk of `DATADIR`.", "bytes")
DISK_SIZE: Final = _gauge("innervate_data_directory_size_bytes", "Size of that disk.", "bytes")

RETENTION_DUE: Final = _gauge(
    "innervate_retention_due_seconds",
    "Of the cluster: for how long the oldest partition that is due could have been dropped; 0 where none is.",
    "seconds",
    "contents",
)
RETENTION_AHEAD: Final = _gauge(
    "innervate_retention_ahead_seconds",
    "Of the cluster: for how long from now on there are partitions; negative where there are none any more.",
    "seconds",
    "contents",
)

INFO: Final = _gauge("innervate_worker_info", "1: what this worker is.", "", "release", "agent_set", "kind")
CHECK: Final = _gauge("innervate_check_ok", "1 where a check of readiness is ok.", "", "check")
DATABASE_UP: Final = _gauge(
    "innervate_database_up", "1 where PostgreSQL answers and takes writes; what is read of it is absent otherwise.", ""
)
DATABASE_SECONDS: Final = _gauge(
    "innervate_database_answer_seconds", "How long it took to answer the questions of the last look.", "seconds"
)
WORKERS: Final = _gauge(
    "innervate_cluster_workers", "Of the cluster: workers that were heard of within a day.", "workers", "status"
)
STUCK: Final = _gauge(
    "innervate_cluster_stuck", "Of the cluster: sentences under `stuck` in `GET /workers`.", "sentences"
)
#: From what nobody notices to what makes a session of Kafka end.
LOOP_DELAY: Final = Metric(
    name="innervate_event_loop_delay_seconds",
    kind="histogram",
    help="By how much the event loop was late, twice a second.",
    unit="seconds",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
GC_PAUSE: Final = Metric(
    name="innervate_gc_pause_seconds",
    kind="histogram",
    help="How long everything stood still for the garbage collector.",
    unit="seconds",
    labels=("generation",),
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1),
)
SOURCE_UP: Final = _gauge(
    "innervate_metrics_source_up", "1 where these metrics could be read; the log says why not.", "", "source"
)

#: By subject, in the order of the documentation.
CATALOGUE: Final[Mapping[str, Sequence[Metric]]] = {
    "Reading": (POSITION, END, LAG_RECORDS, LAG_SECONDS, UNMOVED, COMMIT_AGE, ASSIGNED, UNREADABLE, BROKER_AGE),
    "Events": (ROUTED, TAKEN, IN_FLIGHT, OLDEST_IN_FLIGHT, ENTITIES_WAITING, LANE_EVENTS, DEEPEST_LANE),
    "Decisions": (
        DECISIONS,
        DUPLICATES,
        DEAD_LETTERS,
        OPEN_LETTERS,
        ANSWERS,
        HELD,
        HELD_OLDEST,
        HELD_EXPIRES_IN,
        HELD_OVERDUE,
        EXPECTATIONS,
        EXPECTATIONS_MISSED,
        EXPECTATIONS_OVERDUE,
    ),
    "Publishing": (
        PENDING,
        PENDING_OLDEST,
        PENDING_UNMOVED,
        LANE_OLDEST,
        LANES_HELD,
        PUBLISHED,
        BURIED,
        BURIED_OLDEST,
        BURIED_TOTAL,
        LEASES_LOST,
        FENCED,
        TOPICS_WAITING,
    ),
    "Language models": (MODEL_SECONDS, MODEL_CALLS, MODEL_TOKENS),
    "Windows": (
        WINDOW_PARTITIONS,
        WINDOW_ENTRIES,
        WINDOW_FILES,
        WINDOW_MEMORY,
        WINDOWS_REMOVED,
        CACHED_WINDOWS,
        CACHED_BYTES,
        DISK_FREE,
        DISK_SIZE,
    ),
    "Retention": (RETENTION_DUE, RETENTION_AHEAD),
    "The worker": (INFO, CHECK, DATABASE_UP, DATABASE_SECONDS, WORKERS, STUCK, LOOP_DELAY, GC_PAUSE, SOURCE_UP),
}

#: What `prometheus_client` tells of the process beside them.
LIBRARY: Final[Mapping[str, str]] = {
    "process_cpu_seconds_total": "CPU time of the process.",
    "process_resident_memory_bytes": "Memory it has.",
    "process_virtual_memory_bytes": "Memory it has asked for.",
    "process_start_time_seconds": "When it was started, since 1970.",
    "process_open_fds": "Files and sockets it has open.",
    "process_max_fds": "How many it may.",
    "python_info": "The Python it runs on.",
    "python_gc_collections_total": "Garbage collections, by `generation`.",
    "python_gc_objects_collected_total": "Objects they removed.",
    "python_gc_objects_uncollectable_total": "Objects they could not.",
}
