CREATE TABLE run (
	run_id VARCHAR(64) NOT NULL,
	created_at FLOAT NOT NULL,
	job_name TEXT NOT NULL,
	root_run_id VARCHAR(64),
	parent_run_id VARCHAR(64),
	plan_id VARCHAR(40),
	body TEXT NOT NULL,
	handle TEXT,
	started_at FLOAT,
	ended_at FLOAT,
	PRIMARY KEY (run_id)
);
CREATE TABLE "plan" (
	plan_id VARCHAR(40) NOT NULL,
	version INTEGER NOT NULL,
	body BLOB NOT NULL,
	used_at FLOAT,
	PRIMARY KEY (plan_id)
);
CREATE TABLE plan_step (
	plan_id VARCHAR(40) NOT NULL,
	step TEXT NOT NULL,
	version INTEGER NOT NULL,
	reads TEXT NOT NULL,
	body TEXT NOT NULL,
	PRIMARY KEY (plan_id, step)
)
 WITHOUT ROWID;
CREATE TABLE event (
	day INTEGER NOT NULL,
	run_id VARCHAR(64) NOT NULL,
	seq INTEGER NOT NULL,
	kind TEXT NOT NULL,
	version INTEGER DEFAULT '1' NOT NULL,
	step TEXT,
	n INTEGER,
	at FLOAT NOT NULL,
	written_at FLOAT NOT NULL,
	body TEXT NOT NULL,
	PRIMARY KEY (day, run_id, seq)
)
 WITHOUT ROWID;
CREATE TABLE attempt (
	run_id VARCHAR(64) NOT NULL,
	step TEXT NOT NULL,
	n INTEGER NOT NULL,
	state VARCHAR(16) NOT NULL,
	retry_number INTEGER DEFAULT '0' NOT NULL,
	nonce VARCHAR(40),
	worker TEXT,
	batch INTEGER DEFAULT '0' NOT NULL,
	outcome VARCHAR(32),
	cause VARCHAR(32),
	PRIMARY KEY (run_id, step, n)
)
 WITHOUT ROWID;
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
	at FLOAT NOT NULL,
	body TEXT NOT NULL,
	done_at FLOAT,
	PRIMARY KEY (request_id)
);
CREATE TABLE feed (
	id INTEGER NOT NULL,
	number INTEGER,
	run_id VARCHAR(64) NOT NULL,
	seq INTEGER NOT NULL,
	kind TEXT NOT NULL,
	at FLOAT NOT NULL,
	body TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE asset_event (
	asset_key TEXT NOT NULL,
	kind TEXT NOT NULL,
	check_name TEXT DEFAULT '' NOT NULL,
	at FLOAT NOT NULL,
	run_id VARCHAR(64) NOT NULL,
	seq INTEGER NOT NULL,
	step TEXT,
	body TEXT NOT NULL,
	PRIMARY KEY (run_id, seq)
);
CREATE TABLE feed_head (
	id INTEGER NOT NULL,
	last INTEGER NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE lease (
	name TEXT NOT NULL,
	holder TEXT,
	fence INTEGER DEFAULT '0' NOT NULL,
	beat INTEGER DEFAULT '0' NOT NULL,
	PRIMARY KEY (name)
);
CREATE TABLE daemon (
	daemon_id TEXT NOT NULL,
	owner TEXT NOT NULL,
	beat INTEGER DEFAULT '0' NOT NULL,
	at FLOAT NOT NULL,
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
	taken INTEGER NOT NULL,
	PRIMARY KEY (name)
);
CREATE TABLE queued_step (
	run_id VARCHAR(64) NOT NULL,
	step TEXT NOT NULL,
	n INTEGER NOT NULL,
	queue TEXT NOT NULL,
	rank INTEGER NOT NULL,
	at FLOAT NOT NULL,
	body TEXT NOT NULL,
	watcher TEXT,
	token TEXT,
	stop FLOAT,
	ended TEXT,
	apart INTEGER DEFAULT '0' NOT NULL,
	taken FLOAT,
	PRIMARY KEY (run_id, step, n)
);
CREATE TABLE step_worker (
	worker_id TEXT NOT NULL,
	queue TEXT NOT NULL,
	slots INTEGER NOT NULL,
	owner TEXT NOT NULL,
	beat INTEGER DEFAULT '0' NOT NULL,
	at FLOAT NOT NULL,
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
	at FLOAT NOT NULL,
	body BLOB NOT NULL,
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
	"key" TEXT NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (run_id, "key"),
	FOREIGN KEY(run_id) REFERENCES run (run_id) ON DELETE CASCADE
);
CREATE TABLE run_head (
	run_id VARCHAR(64) NOT NULL,
	day INTEGER NOT NULL,
	status VARCHAR(16) NOT NULL,
	intent VARCHAR(16) DEFAULT 'none' NOT NULL,
	level VARCHAR(16),
	epoch INTEGER DEFAULT '0' NOT NULL,
	head INTEGER DEFAULT '0' NOT NULL,
	batch INTEGER DEFAULT '0' NOT NULL,
	taken TEXT DEFAULT '' NOT NULL,
	mark INTEGER DEFAULT '0' NOT NULL,
	clock FLOAT DEFAULT '0' NOT NULL,
	beat INTEGER DEFAULT '0' NOT NULL,
	resumes INTEGER DEFAULT '0' NOT NULL,
	owner TEXT,
	PRIMARY KEY (run_id),
	FOREIGN KEY(run_id) REFERENCES run (run_id) ON DELETE CASCADE
);
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
	at FLOAT NOT NULL,
	parked TEXT,
	pools TEXT,
	PRIMARY KEY (run_id),
	FOREIGN KEY(run_id) REFERENCES run (run_id) ON DELETE CASCADE
);
CREATE TABLE launch (
	run_id VARCHAR(64) NOT NULL,
	at FLOAT NOT NULL,
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
CREATE INDEX run_tag_by_value ON run_tag ("key", value);
CREATE INDEX slot_by_pool ON slot (pool);
CREATE INDEX step_worker_by_queue ON step_worker (queue);
CREATE UNIQUE INDEX feed_by_number ON feed (number);
INSERT INTO feed_head (id, last) VALUES (1, 0);
INSERT INTO schema_serves (id, oldest) VALUES (1, '0001');
INSERT INTO schema_version (version_num) VALUES ('0009');
