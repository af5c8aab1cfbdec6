"""The tables. The DDL that a new database gets (``schema/*.sql``) is printed from here; migrations lead older ones here.

``run`` is wide and cold, ``run_head`` narrow and hot: its row is the lock of a run. Only migrations and the printer import this
module; the append and claim path speaks the same tables' SQL through the driver.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData()
_BIG = BigInteger().with_variant(Integer(), "sqlite")

_BY_BYTES = Text().with_variant(Text(collation="C"), "postgresql")
"""Text in the order of its bytes, as SQLite has it: what begins alike stands together."""

run = Table(
    "run",
    metadata,
    Column("run_id", String(64), primary_key=True),
    Column("created_at", Float(53), nullable=False),
    Column("job_name", Text, nullable=False),
    Column("root_run_id", String(64)),
    Column("parent_run_id", String(64)),
    Column("plan_id", String(40)),
    Column("body", Text, nullable=False, comment="origin, run config, selections: kind run, version 1"),
    Column("handle", Text, comment="where its worker is, as its launcher said; JSON"),
    Column("started_at", Float(53)),
    Column("ended_at", Float(53)),
    Index("run_by_creation", "created_at", "run_id"),
    Index("run_by_job", "job_name", "created_at"),
    Index("run_by_root", "root_run_id"),
    Index("run_by_plan", "plan_id"),
)

run_tag = Table(
    "run_tag",
    metadata,
    Column("run_id", String(64), ForeignKey("run.run_id", ondelete="CASCADE"), nullable=False),
    Column("key", Text, nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("run_id", "key"),
    Index("run_tag_by_value", "key", "value"),
)

plan = Table(
    "plan",
    metadata,
    Column("plan_id", String(40), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False, comment="zlib of the JSON text"),
    Column("used_at", Float(53), comment="when it was last stored for a run, an hour at most before; null: not known"),
)

plan_step = Table(
    "plan_step",
    metadata,
    Column("plan_id", String(40), nullable=False),
    Column("step", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("reads", Text, nullable=False, comment="steps whose outputs it reads first: [step, own mapping key only]"),
    Column("body", Text, nullable=False, comment="the step and what of the plan its inputs are made from, JSON"),
    PrimaryKeyConstraint("plan_id", "step"),
    sqlite_with_rowid=False,
)

run_head = Table(
    "run_head",
    metadata,
    Column("run_id", String(64), ForeignKey("run.run_id", ondelete="CASCADE"), primary_key=True),
    Column("day", Integer, nullable=False, comment="of the run's creation, days since the epoch"),
    Column("status", String(16), nullable=False),
    Column("intent", String(16), nullable=False, server_default="none", comment="none, cancel, deadline"),
    Column("level", String(16), comment="protocol level of the coordinator"),
    Column("epoch", Integer, nullable=False, server_default="0"),
    Column("head", _BIG, nullable=False, server_default="0", comment="number of the newest event"),
    Column("batch", _BIG, nullable=False, server_default="0", comment="newest batch of the coordinator"),
    Column("taken", Text, nullable=False, server_default="", comment="accepted ops of that batch: index:first number"),
    Column("mark", _BIG, nullable=False, server_default="0", comment="which op of the transaction is at work"),
    Column(
        "clock", Float(53), nullable=False, server_default="0", comment="time of the newest transaction, never falls"
    ),
    Column("beat", _BIG, nullable=False, server_default="0"),
    Column("resumes", Integer, nullable=False, server_default="0"),
    Column("owner", Text, comment="the coordinator's process, JSON"),
    Index("run_head_by_status", "status"),
    # Written at each transaction of the run: room on the page keeps the new versions of a row beside the old one.
    postgresql_with={"fillfactor": "50"},
)

event = Table(
    "event",
    metadata,
    Column("day", Integer, nullable=False),
    Column("run_id", String(64), nullable=False),
    Column("seq", _BIG, nullable=False),
    Column("kind", Text, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("step", Text),
    Column("n", Integer),
    Column("at", Float(53), nullable=False),
    Column("written_at", Float(53), nullable=False),
    Column("body", Text, nullable=False),
    PrimaryKeyConstraint("day", "run_id", "seq"),
    Index(
        "event_outputs",
        "run_id",
        "step",
        sqlite_where=text("kind = 'STEP_OUTPUT'"),
        postgresql_where=text("kind = 'STEP_OUTPUT'"),
    ),
    sqlite_with_rowid=False,
)

attempt = Table(
    "attempt",
    metadata,
    Column("run_id", String(64), nullable=False),
    Column("step", Text, nullable=False),
    Column("n", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("retry_number", Integer, nullable=False, server_default="0"),
    Column("nonce", String(40)),
    Column("worker", Text),
    Column("batch", _BIG, nullable=False, server_default="0", comment="newest batch of the attempt's own writer"),
    Column("outcome", String(32)),
    Column("cause", String(32)),
    PrimaryKeyConstraint("run_id", "step", "n"),
    sqlite_with_rowid=False,
)

pool = Table(
    "pool",
    metadata,
    Column("name", Text, primary_key=True),
    Column("slots", Integer, comment="null: no limit"),
    Column("used", Integer, nullable=False, server_default="0"),
    Column("is_default", Integer, nullable=False, server_default="0", comment="made from the default limit"),
)

slot = Table(
    "slot",
    metadata,
    Column("run_id", String(64), nullable=False),
    Column("step", Text, nullable=False),
    Column("n", Integer, nullable=False),
    Column("pool", Text, ForeignKey("pool.name"), nullable=False),
    PrimaryKeyConstraint("run_id", "step", "n", "pool"),
    Index("slot_by_pool", "pool"),
)

request = Table(
    "request",
    metadata,
    Column("request_id", String(64), primary_key=True),
    Column("run_id", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("at", Float(53), nullable=False),
    Column("body", Text, nullable=False),
    Column("done_at", Float(53)),
    Index("request_by_run", "run_id"),
    Index("request_open", "kind", "at", sqlite_where=text("done_at IS NULL"), postgresql_where=text("done_at IS NULL")),
)

feed = Table(
    "feed",
    metadata,
    Column("id", _BIG, primary_key=True, autoincrement=True, comment="order of insertion; not an order to read by"),
    Column("number", _BIG, comment="given afterwards by one sequencer; null until then"),
    Column("run_id", String(64), nullable=False),
    Column("seq", _BIG, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", Float(53), nullable=False),
    Column("body", Text, nullable=False),
    Index("feed_by_number", "number", unique=True),
    Index("feed_by_run", "run_id"),
    Index("feed_unnumbered", "id", sqlite_where=text("number IS NULL"), postgresql_where=text("number IS NULL")),
)

asset_event = Table(
    "asset_event",
    metadata,
    Column("asset_key", _BY_BYTES, nullable=False, comment="text: a/b"),
    Column("kind", Text, nullable=False, comment="materialized, observed, or evaluated"),
    Column("check_name", Text, nullable=False, server_default="", comment="of an evaluation"),
    Column("at", Float(53), nullable=False),
    Column("run_id", String(64), nullable=False),
    Column("seq", _BIG, nullable=False),
    Column("step", Text),
    Column("body", Text, nullable=False),
    PrimaryKeyConstraint("run_id", "seq"),
    Index("asset_event_newest", "asset_key", "kind", "check_name", "at", "run_id", "seq"),
)

feed_head = Table(
    "feed_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("last", _BIG, nullable=False, comment="newest number given; this row is the sequencer's lock"),
)

lease = Table(
    "lease",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text),
    Column("fence", _BIG, nullable=False, server_default="0"),
    Column("beat", _BIG, nullable=False, server_default="0"),
)

queue = Table(
    "queue",
    metadata,
    Column("run_id", String(64), ForeignKey("run.run_id", ondelete="CASCADE"), primary_key=True),
    Column("rank", Integer, nullable=False, comment="minus the priority: the smallest comes first"),
    Column("at", Float(53), nullable=False, comment="when it was enqueued"),
    Column("parked", Text, comment="the full limit that it waits for; null: to be looked at"),
    Column("pools", Text, comment="pools of its first steps, JSON; null: some first step needs none"),
    # Two orders: of those to be looked at, and of those that wait for one limit. A pick reads as many rows as it takes.
    Index(
        "queue_order",
        "rank",
        "at",
        "run_id",
        sqlite_where=text("parked IS NULL"),
        postgresql_where=text("parked IS NULL"),
    ),
    Index("queue_parked", "parked", "rank", "at", "run_id"),
)

launch = Table(
    "launch",
    metadata,
    Column("run_id", String(64), ForeignKey("run.run_id", ondelete="CASCADE"), primary_key=True),
    Column("at", Float(53), nullable=False, comment="when it was taken from the queue"),
    Column("daemon", Text, comment="who launches it; null: nobody yet"),
    Column("tries", Integer, nullable=False, server_default="0"),
    Index("launch_by_daemon", "daemon", "at"),
)

daemon = Table(
    "daemon",
    metadata,
    Column("daemon_id", Text, primary_key=True),
    Column("owner", Text, nullable=False, comment="its process, JSON"),
    Column("beat", _BIG, nullable=False, server_default="0"),
    Column("at", Float(53), nullable=False, comment="of the newest beat, the database's time; for people"),
    Column("body", Text, nullable=False, comment="how its loops are, JSON"),
)

instance_identity = Table(
    "instance_identity",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False, comment="always 1"),
    Column("id", String(64), nullable=False, comment="UUID text"),
)

step_queue = Table(
    "step_queue",
    metadata,
    Column("name", Text, primary_key=True),
    Column("taken", _BIG, nullable=False, comment="this row is the lock under which a queue's slots are counted"),
)

queued_step = Table(
    "queued_step",
    metadata,
    Column("run_id", String(64), nullable=False),
    Column("step", Text, nullable=False),
    Column("n", Integer, nullable=False),
    Column("queue", Text, nullable=False),
    Column("rank", Integer, nullable=False, comment="minus the priority: the smallest comes first"),
    Column("at", Float(53), nullable=False, comment="when it was put there, the database's time"),
    Column("body", Text, nullable=False, comment="what its watcher is to start, JSON"),
    Column("watcher", Text, comment="the worker that took it; null: nobody yet"),
    Column("token", Text, comment="of that taking, so that a lost reply can be asked for again"),
    Column("stop", Float(53), comment="it is to end: seconds between asking and killing"),
    Column("ended", Text, comment="what the watcher says of its end, JSON"),
    Column("apart", Integer, nullable=False, server_default="0", comment="1: it goes on without its watcher"),
    Column("taken", Float(53), comment="when a worker took it, the database's time"),
    PrimaryKeyConstraint("run_id", "step", "n"),
    Index("queued_step_order", "queue", "rank", "at"),
    Index("queued_step_by_watcher", "watcher"),
)

step_worker = Table(
    "step_worker",
    metadata,
    Column("worker_id", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("owner", Text, nullable=False, comment="its process, JSON"),
    Column("beat", _BIG, nullable=False, server_default="0"),
    Column("at", Float(53), nullable=False, comment="of the newest beat, the database's time"),
    Column("body", Text, nullable=False, comment="its name, versions and levels, JSON"),
    PrimaryKeyConstraint("worker_id", "queue"),
    Index("step_worker_by_queue", "queue"),
)

output_value = Table(
    "output_value",
    metadata,
    Column("run_id", String(64), nullable=False),
    Column("step", Text, nullable=False),
    Column("n", Integer, nullable=False),
    Column("output", Text, nullable=False),
    Column("mapping_key", Text, nullable=False, comment="empty for an output that is not dynamic"),
    Column("asset_key", Text, comment="the asset that it is, as text"),
    Column("at", Float(53), nullable=False, comment="when it was stored, the database's time"),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("run_id", "step", "n", "output", "mapping_key"),
    Index("output_value_by_asset", "asset_key", "at"),
)

run_instance = Table(
    "run_instance",
    metadata,
    Column("run_id", String(64), ForeignKey("run.run_id", ondelete="CASCADE"), primary_key=True),
    Column("body", Text, nullable=False, comment="the instance that launched it, as a document"),
)

# Alembic's own table, by this name.
schema_version = Table(
    "schema_version",
    metadata,
    Column("version_num", String(32), primary_key=True),
)

schema_serves = Table(
    "schema_serves",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("oldest", String(32), nullable=False, comment="oldest schema version whose library may use this database"),
)
