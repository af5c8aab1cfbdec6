CREATE TABLE run (
	run_id VARCHAR(64) NOT NULL,
	created_at FLOAT(53) NOT NULL,
	job_name TEXT NOT NULL,
	root_run_id VARCHAR(64),
	parent_run_id VARCHAR(64),
	plan_id VARCHAR(40),
	body TEXT NOT NULL,
	handle TEXT,
	started_at FLOAT(53),
	ended_at FLOAT(53),
	PRIMARY KEY (run_id)
);
CREATE TABLE plan (
	plan_id VARCHAR(40) NOT NULL,
	version INTEGER NOT NULL,
	body BYTEA NOT NULL,
	used_at FLOAT(53),
	PRIMARY KEY (plan_id)
);
CREATE TABLE plan_step (
	plan_id VARCHAR(40) NOT NULL,
	step TEXT NOT NULL,
	version INTEGER NOT NULL,
	reads TEXT NOT NULL,
	body TEXT NOT NULL,
	PRIMARY KEY (plan_id, step)
);
CREATE TABLE event (
	day INTEGER NOT NULL,
	run_id VARCHAR(64) NOT NULL,
	seq BIGINT NOT NULL,
	kind TEXT NOT NULL,
	version INTEGER DEFAULT '1' NOT NULL,
	step TEXT,
	n INTEGER,
	at FLOAT(53) NOT NULL,
	written_at FLOAT(53) NOT NULL,
	body TEXT NOT NULL,
	PRIMARY KEY (day, run_id, seq)
);
CREATE TABLE attempt (
	run_id VARCHAR(64) NOT NULL,
	step TEXT NOT NULL,
	n INTEGER NOT NULL,
	state VARCHAR(16) NOT NULL,
	retry_number INTEGER DEFAULT '0' NOT NULL,
	nonce VARCHAR(40),
	worker TEXT,
	batch BIGINT DEFAULT '0' NOT NULL,
	outcome VARCHAR(32),
	cause VARCHAR(32),
	PRIMARY KEY (run_id, step, n)
);
CREATE TABLE pool (
	name TEXT NOT NULL,
	slots INTEGER,
	used INTEGER DEFAULT '0' NOT NULL,
	is_default INTEGER DEFAULT '0' NOT NULL,
	PRIMARY KEY (name)
);
CREATE TABLE request (
	request_id VARCHAR(64) NOT NULL,
	run_id VARCHAR(64) NOT NULL,
	kind VARCHAR(16) NOT NULL,
	at FLOAT(53) NOT NULL,
	body TEXT NOT NULL,
	done_at FLOAT(53),
	PRIMARY KEY (request_id)
);
CREATE TABLE feed (
	id BIGSERIAL NOT NULL,
	number BIGINT,
	run_id VARCHAR(64) NOT NULL,
	seq BIGINT NOT NULL,
	kind TEXT NOT NULL,
	at FLOAT(53) NOT NULL,
	body TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE asset_event (
	asset_key TEXT COLLATE "C" NOT NULL,
	kind TEXT NOT NULL,
	check_name TEXT DEFAULT '' NOT NULL,
	at FLOAT(53) NOT NULL,
	run_id VARCHAR(64) NOT NULL,
	seq BIGINT NOT NULL,
	step TEXT,
	body TEXT NOT NULL,
	PRIMARY KEY (run_id, seq)
);
CREATE TABLE feed_head (
	id INTEGER NOT NULL,
	last BIGINT NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE lease (
	name TEXT NOT NULL,
	holder TEXT,
	fence BIGINT DEFAULT '0' NOT NULL,
	beat BIGINT DEFAULT '0' NOT NULL,
	PRIMARY KEY (name)
);
CREATE TABLE daemon (
	daemon_id TEXT NOT NULL,
	owner TEXT NOT NULL,
	beat BIGINT DEFAULT '0' NOT NULL,
	at FLOAT(53) NOT NULL,
	body TEXT NOT NULL,
	PRIMARY KEY (daemon_id)
);
CREATE TABLE instance_identity (
	one INTEGER NOT NULL,
	id VARCHAR(64) NOT NULL,
	PRIMARY KEY (one)
);
CREATE TABLE step_queue (
	name TEXT NOT NULL,
	taken BIGINT NOT NULL,
	PRIMARY KEY (name)
);
CREATE TABLE queued_step (
	run_id VARCHAR(64) NOT NULL,
	step TEXT NOT NULL,
	n INTEGER NOT NULL,
	queue TEXT NOT NULL,
	rank INTEGER NOT NULL,
	at FLOAT(53) NOT NULL,
	body TEXT NOT NULL,
	watcher TEXT,
	token TEXT,
	stop FLOAT(53),
	ended TEXT,
	apart INTEGER DEFAULT '0' NOT NULL,
	taken FLOAT(53),
	PRIMARY KEY (run_id, step, n)
);
CREATE TABLE step_worker (
	worker_id TEXT NOT NULL,
	queue TEXT NOT NULL,
	slots INTEGER NOT NULL,
	owner TEXT NOT NULL,
	beat BIGINT DEFAULT '0' NOT NULL,
	at FLOAT(53) NOT NULL,
	body TEXT NOT NULL,
	PRIMARY KEY (worker_id, queue)
);
CREATE TABLE output_value (
	run_id VARCHAR(64) NOT NULL,
	step TEXT NOT NULL,
	n INTEGER NOT NULL,
	output TEXT NOT NULL,
	mapping_key TEXT NOT NULL,
	asset_key TEXT,
	at FLOAT(53) NOT NULL,
	body BYTEA NOT NULL,
	PRIMARY KEY (run_id, step, n, output, mapping_key)
);
CREATE TABLE schema_version (
	version_num VARCHAR(32) NOT NULL,
	PRIMARY KEY (version_num)
);
CREATE TABLE schema_serves (
	id INTEGER NOT NULL,
	oldest VARCHAR(32) NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE run_tag (
	run_id VARCHAR(64) NOT NULL,
	key TEXT NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (run_id, key),
	FOREIGN KEY(run_id) REFERENCES run (run_id) ON DELETE CASCADE
);
CREATE TABLE run_head (
	run_id VARCHAR(64) NOT NULL,
	day INTEGER NOT NULL,
	status VARCHAR(16) NOT NULL,
	intent VARCHAR(16) DEFAULT 'none' NOT NULL,
	level VARCHAR(16),
	epoch INTEGER DEFAULT '0' NOT NULL,
	head BIGINT DEFAULT '0' NOT NULL,
	batch BIGINT DEFAULT '0' NOT NULL,
	taken TEXT DEFAULT '' NOT NULL,
	mark BIGINT DEFAULT '0' NOT NULL,
	clock FLOAT(53) DEFAULT '0' NOT NULL,
	beat BIGINT DEFAULT '0' NOT NULL,
	resumes INTEGER DEFAULT '0' NOT NULL,
	owner TEXT,
	PRIMARY KEY (run_id),
	FOREIGN KEY(run_id) REFERENCES run (run_id) ON DELETE CASCADE
)
 WITH (fillfactor = 50);
CREATE TABLE slot (
	run_id VARCHAR(64) NOT NULL,
	step TEXT NOT NULL,
	n INTEGER NOT NULL,
	pool TEXT NOT NULL,
	PRIMARY KEY (run_id, step, n, pool),
	FOREIGN KEY(pool) REFERENCES pool (name)
);
CREATE TABLE queue (
	run_id VARCHAR(64) NOT NULL,
	rank INTEGER NOT NULL,
	at FLOAT(53) NOT NULL,
	parked TEXT,
	pools TEXT,
	PRIMARY KEY (run_id),
	FOREIGN KEY(run_id) REFERENCES run (run_id) ON DELETE CASCADE
);
CREATE TABLE launch (
	run_id VARCHAR(64) NOT NULL,
	at FLOAT(53) NOT NULL,
	daemon TEXT,
	tries INTEGER DEFAULT '0' NOT NULL,
	PRIMARY KEY (run_id),
	FOREIGN KEY(run_id) REFERENCES run (run_id) ON DELETE CASCADE
);
CREATE TABLE run_instance (
	run_id VARCHAR(64) NOT NULL,
	body TEXT NOT NULL,
	PRIMARY KEY (run_id),
	FOREIGN KEY(run_id) REFERENCES run (run_id) ON DELETE CASCADE
);
CREATE INDEX asset_event_newest ON asset_event (asset_key, kind, check_name, at, run_id, seq);
CREATE INDEX event_outputs ON event (run_id, step) WHERE kind = 'STEP_OUTPUT';
CREATE INDEX feed_by_run ON feed (run_id);
CREATE INDEX feed_unnumbered ON feed (id) WHERE number IS NULL;
CREATE INDEX launch_by_daemon ON launch (daemon, at);
CREATE INDEX output_value_by_asset ON output_value (asset_key, at);
CREATE INDEX queue_order ON queue (rank, at, run_id) WHERE parked IS NULL;
CREATE INDEX queue_parked ON queue (parked, rank, at, run_id);
CREATE INDEX queued_step_by_watcher ON queued_step (watcher);
CREATE INDEX queued_step_order ON queued_step (queue, rank, at);
CREATE INDEX request_by_run ON request (run_id);
CREATE INDEX request_open ON request (kind, at) WHERE done_at IS NULL;
CREATE INDEX run_by_creation ON run (created_at, run_id);
CREATE INDEX run_by_job ON run (job_name, created_at);
CREATE INDEX run_by_plan ON run (plan_id);
CREATE INDEX run_by_root ON run (root_run_id);
CREATE INDEX run_head_by_status ON run_head (status);
CREATE INDEX run_tag_by_value ON run_tag (key, value);
CREATE INDEX slot_by_pool ON slot (pool);
CREATE INDEX step_worker_by_queue ON step_worker (queue);
CREATE UNIQUE INDEX feed_by_number ON feed (number);
COMMENT ON COLUMN run.body IS 'origin, run config, selections: kind run, version 1';
COMMENT ON COLUMN run.handle IS 'where its worker is, as its launcher said; JSON';
COMMENT ON COLUMN plan.body IS 'zlib of the JSON text';
COMMENT ON COLUMN plan.used_at IS 'when it was last stored for a run, an hour at most before; null: not known';
COMMENT ON COLUMN plan_step.reads IS 'steps whose outputs it reads first: [step, own mapping key only]';
COMMENT ON COLUMN plan_step.body IS 'the step and what of the plan its inputs are made from, JSON';
COMMENT ON COLUMN attempt.batch IS 'newest batch of the attempt''s own writer';
COMMENT ON COLUMN pool.slots IS 'null: no limit';
COMMENT ON COLUMN pool.is_default IS 'made from the default limit';
COMMENT ON COLUMN feed.id IS 'order of insertion; not an order to read by';
COMMENT ON COLUMN feed.number IS 'given afterwards by one sequencer; null until then';
COMMENT ON COLUMN asset_event.asset_key IS 'text: a/b';
COMMENT ON COLUMN asset_event.kind IS 'materialized, observed, or evaluated';
COMMENT ON COLUMN asset_event.check_name IS 'of an evaluation';
COMMENT ON COLUMN feed_head.last IS 'newest number given; this row is the sequencer''s lock';
COMMENT ON COLUMN daemon.owner IS 'its process, JSON';
COMMENT ON COLUMN daemon.at IS 'of the newest beat, the database''s time; for people';
COMMENT ON COLUMN daemon.body IS 'how its loops are, JSON';
COMMENT ON COLUMN instance_identity.one IS 'always 1';
COMMENT ON COLUMN instance_identity.id IS 'UUID text';
COMMENT ON COLUMN step_queue.taken IS 'this row is the lock under which a queue''s slots are counted';
COMMENT ON COLUMN queued_step.rank IS 'minus the priority: the smallest comes first';
COMMENT ON COLUMN queued_step.at IS 'when it was put there, the database''s time';
COMMENT ON COLUMN queued_step.body IS 'what its watcher is to start, JSON';
COMMENT ON COLUMN queued_step.watcher IS 'the worker that took it; null: nobody yet';
COMMENT ON COLUMN queued_step.token IS 'of that taking, so that a lost reply can be asked for again';
COMMENT ON COLUMN queued_step.stop IS 'it is to end: seconds between asking and killing';
COMMENT ON COLUMN queued_step.ended IS 'what the watcher says of its end, JSON';
COMMENT ON COLUMN queued_step.apart IS '1: it goes on without its watcher';
COMMENT ON COLUMN queued_step.taken IS 'when a worker took it, the database''s time';
COMMENT ON COLUMN step_worker.owner IS 'its process, JSON';
COMMENT ON COLUMN step_worker.at IS 'of the newest beat, the database''s time';
COMMENT ON COLUMN step_worker.body IS 'its name, versions and levels, JSON';
COMMENT ON COLUMN output_value.mapping_key IS 'empty for an output that is not dynamic';
COMMENT ON COLUMN output_value.asset_key IS 'the asset that it is, as text';
COMMENT ON COLUMN output_value.at IS 'when it was stored, the database''s time';
COMMENT ON COLUMN schema_serves.oldest IS 'oldest schema version whose library may use this database';
COMMENT ON COLUMN run_head.day IS 'of the run''s creation, days since the epoch';
COMMENT ON COLUMN run_head.intent IS 'none, cancel, deadline';
COMMENT ON COLUMN run_head.level IS 'protocol level of the coordinator';
COMMENT ON COLUMN run_head.head IS 'number of the newest event';
COMMENT ON COLUMN run_head.batch IS 'newest batch of the coordinator';
COMMENT ON COLUMN run_head.taken IS 'accepted ops of that batch: index:first number';
COMMENT ON COLUMN run_head.mark IS 'which op of the transaction is at work';
COMMENT ON COLUMN run_head.clock IS 'time of the newest transaction, never falls';
COMMENT ON COLUMN run_head.owner IS 'the coordinator''s process, JSON';
COMMENT ON COLUMN queue.rank IS 'minus the priority: the smallest comes first';
COMMENT ON COLUMN queue.at IS 'when it was enqueued';
COMMENT ON COLUMN queue.parked IS 'the full limit that it waits for; null: to be looked at';
COMMENT ON COLUMN queue.pools IS 'pools of its first steps, JSON; null: some first step needs none';
COMMENT ON COLUMN launch.at IS 'when it was taken from the queue';
COMMENT ON COLUMN launch.daemon IS 'who launches it; null: nobody yet';
COMMENT ON COLUMN run_instance.body IS 'the instance that launched it, as a document';
INSERT INTO feed_head (id, last) VALUES (1, 0);
INSERT INTO schema_serves (id, oldest) VALUES (1, '0001');
INSERT INTO schema_version (version_num) VALUES ('0009');
