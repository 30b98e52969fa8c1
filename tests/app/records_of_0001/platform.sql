BEGIN TRANSACTION;
CREATE TABLE accounts_application_credentials (
	id VARCHAR(32) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description TEXT NOT NULL, 
	person_id VARCHAR(32) NOT NULL, 
	project_id VARCHAR(32) NOT NULL, 
	roles VARCHAR(100) NOT NULL, 
	created_at DATETIME NOT NULL, 
	expires_at DATETIME, 
	unrestricted BOOLEAN NOT NULL, 
	secret_hash TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (person_id, name), 
	FOREIGN KEY(person_id) REFERENCES accounts_people (id) ON DELETE CASCADE, 
	FOREIGN KEY(project_id) REFERENCES accounts_projects (id) ON DELETE CASCADE
);
CREATE TABLE accounts_applications (
	id VARCHAR(36) NOT NULL, 
	person_id VARCHAR(32) NOT NULL, 
	project_name VARCHAR(255) NOT NULL, 
	requested JSON NOT NULL, 
	reason TEXT NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	submitted_at DATETIME NOT NULL, 
	decided_at DATETIME, 
	decided_by VARCHAR(32), 
	granted JSON, 
	decision_reason TEXT NOT NULL, 
	project_id VARCHAR(32), 
	PRIMARY KEY (id), 
	FOREIGN KEY(person_id) REFERENCES accounts_people (id) ON DELETE CASCADE
);
CREATE TABLE accounts_grants (
	project_id VARCHAR(32) NOT NULL, 
	person_id VARCHAR(32) NOT NULL, 
	role VARCHAR(16) NOT NULL, 
	PRIMARY KEY (project_id, person_id, role), 
	FOREIGN KEY(project_id) REFERENCES accounts_projects (id) ON DELETE CASCADE, 
	FOREIGN KEY(person_id) REFERENCES accounts_people (id) ON DELETE CASCADE
);
INSERT INTO "accounts_grants" VALUES('a12ccc2a84d144c2abcea2297d3dcd97','65c3acdd416d4d74aa67568a54290466','admin');
CREATE TABLE accounts_people (
	id VARCHAR(32) NOT NULL, 
	user_name VARCHAR(255) NOT NULL, 
	full_name TEXT NOT NULL, 
	email VARCHAR(254) NOT NULL, 
	institute TEXT NOT NULL, 
	locale VARCHAR(10) NOT NULL, 
	is_admin BOOLEAN NOT NULL, 
	is_service BOOLEAN NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	created_at DATETIME NOT NULL, 
	password_hash TEXT, 
	previous_hash TEXT, 
	PRIMARY KEY (id), 
	UNIQUE (user_name)
);
INSERT INTO "accounts_people" VALUES('0cb1d12a17f54b2383406fb4fe632f13','armillary-fleet','armillary-fleet','','','en',1,1,1,'2026-11-22 22:51:26.716763','$argon2id$v=19$m=65536,t=3,p=4$jmHFlkycPhjY7QXAFnkNsg$T2F2BoyUerTTDFlA4y2qftqqsBXPudk3br7GI4U1fLg',NULL);
INSERT INTO "accounts_people" VALUES('65c3acdd416d4d74aa67568a54290466','admin','Administrator','','','en',1,0,1,'2026-11-22 22:51:28.811013','$argon2id$v=19$m=65536,t=3,p=4$obLDyLXY9idKX3VSIntKbQ$BQpfDaun6DPtTdbqQwZrJ23kRHYySQYjQgjRkyVTyKY',NULL);
CREATE TABLE accounts_projects (
	id VARCHAR(32) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description TEXT NOT NULL, 
	allocation JSON NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "accounts_projects" VALUES('a12ccc2a84d144c2abcea2297d3dcd97','admin','The platform''s own project: base images and upkeep.','{"cores": 16, "ram": 32768, "disk": 200, "storage": 100, "batch_cores": 16}',1,'2026-11-22 22:51:28.811013');
CREATE TABLE accounts_sign_in_failures (
	user_name VARCHAR(255) NOT NULL, 
	count INTEGER NOT NULL, 
	last_at DATETIME NOT NULL, 
	locked_until DATETIME, 
	PRIMARY KEY (user_name)
);
CREATE TABLE accounts_tokens (
	id VARCHAR(32) NOT NULL, 
	secret_hash VARCHAR(64) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	person_id VARCHAR(32) NOT NULL, 
	project_id VARCHAR(32), 
	label TEXT NOT NULL, 
	scopes TEXT NOT NULL, 
	roles VARCHAR(100), 
	created_at DATETIME NOT NULL, 
	expires_at DATETIME NOT NULL, 
	revoked_at DATETIME, 
	last_used_at DATETIME, 
	method VARCHAR(64) NOT NULL, 
	credential_id VARCHAR(32), 
	PRIMARY KEY (id), 
	UNIQUE (secret_hash), 
	FOREIGN KEY(person_id) REFERENCES accounts_people (id) ON DELETE CASCADE, 
	FOREIGN KEY(project_id) REFERENCES accounts_projects (id) ON DELETE CASCADE, 
	FOREIGN KEY(credential_id) REFERENCES accounts_application_credentials (id) ON DELETE CASCADE
);
INSERT INTO "accounts_tokens" VALUES('c0cfec25e25244d29b65cb0f8f7935d7','6cf45dd809b423792e79cda4dceb64565777137c4f87c91f7784fe009dce4a37','keystone','65c3acdd416d4d74aa67568a54290466','a12ccc2a84d144c2abcea2297d3dcd97','','',NULL,'2026-11-22 22:51:53.495045','2026-11-22 23:51:53.495045',NULL,NULL,'password',NULL);
CREATE TABLE batch_attempts (
	cluster INTEGER NOT NULL, 
	proc INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	worker VARCHAR(64) NOT NULL, 
	owner VARCHAR(64) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	live BOOLEAN NOT NULL, 
	secret_hash VARCHAR(64) NOT NULL, 
	lease_until DATETIME NOT NULL, 
	cpus INTEGER NOT NULL, 
	memory_mib BIGINT NOT NULL, 
	disk_kib BIGINT NOT NULL, 
	claimed_at DATETIME NOT NULL, 
	started_at DATETIME, 
	ended_at DATETIME, 
	exit_code INTEGER, 
	signal INTEGER, 
	error TEXT, 
	usage JSON NOT NULL, 
	became VARCHAR(16), 
	credential VARCHAR(64), 
	credential_expires DATETIME, 
	PRIMARY KEY (cluster, proc, number)
);
CREATE TABLE batch_boots (
	cloud VARCHAR(255) NOT NULL, 
	failures INTEGER NOT NULL, 
	last_at DATETIME, 
	last_reason TEXT NOT NULL, 
	PRIMARY KEY (cloud)
);
CREATE TABLE batch_clusters (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	project VARCHAR(64) NOT NULL, 
	project_name VARCHAR(255) NOT NULL, 
	owner VARCHAR(64) NOT NULL, 
	owner_name VARCHAR(255) NOT NULL, 
	batch_name VARCHAR(255), 
	image VARCHAR(128) NOT NULL, 
	image_name VARCHAR(255) NOT NULL, 
	flavor VARCHAR(255) NOT NULL, 
	submit_text TEXT NOT NULL, 
	submitted_at DATETIME NOT NULL, 
	jobs INTEGER NOT NULL, 
	idempotency_key VARCHAR(255), 
	request_hash VARCHAR(64) NOT NULL, 
	UNIQUE (owner, idempotency_key)
);
CREATE TABLE batch_deployment (
	one INTEGER NOT NULL, 
	mark VARCHAR(64) NOT NULL, 
	PRIMARY KEY (one)
);
INSERT INTO "batch_deployment" VALUES(1,'dd9d9582cd6e4acbb6cdd41d94f34b26');
CREATE TABLE batch_events (
	seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	cluster INTEGER NOT NULL, 
	proc INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	attempt INTEGER, 
	worker VARCHAR(64), 
	detail JSON NOT NULL
);
CREATE TABLE batch_jobs (
	cluster INTEGER NOT NULL, 
	proc INTEGER NOT NULL, 
	project VARCHAR(64) NOT NULL, 
	owner VARCHAR(64) NOT NULL, 
	image VARCHAR(128) NOT NULL, 
	flavor VARCHAR(255) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	entered_at DATETIME NOT NULL, 
	submitted_at DATETIME NOT NULL, 
	started_at DATETIME, 
	finished_at DATETIME, 
	priority INTEGER NOT NULL, 
	cpus INTEGER NOT NULL, 
	memory_mib BIGINT NOT NULL, 
	disk_kib BIGINT NOT NULL, 
	max_retries INTEGER NOT NULL, 
	spec JSON NOT NULL, 
	inputs JSON NOT NULL, 
	attempts INTEGER NOT NULL, 
	live_attempt INTEGER, 
	committed_attempt INTEGER, 
	retried INTEGER NOT NULL, 
	lost INTEGER NOT NULL, 
	exit_code INTEGER, 
	signal INTEGER, 
	hold_code VARCHAR(64), 
	reason TEXT, 
	PRIMARY KEY (cluster, proc)
);
CREATE TABLE batch_machines (
	id VARCHAR(64) NOT NULL, 
	project VARCHAR(64) NOT NULL, 
	project_name VARCHAR(255) NOT NULL, 
	image VARCHAR(128) NOT NULL, 
	flavor VARCHAR(255) NOT NULL, 
	cloud VARCHAR(255) NOT NULL, 
	vcpus INTEGER NOT NULL, 
	memory_mib BIGINT NOT NULL, 
	disk_kib BIGINT NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	server_id VARCHAR(64), 
	reason TEXT, 
	reason_code VARCHAR(64), 
	created_at DATETIME NOT NULL, 
	booted_at DATETIME, 
	registered_at DATETIME, 
	ended_at DATETIME, 
	PRIMARY KEY (id)
);
CREATE TABLE batch_outputs (
	cluster INTEGER NOT NULL, 
	proc INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	name VARCHAR(4096) NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	size BIGINT NOT NULL, 
	PRIMARY KEY (cluster, proc, attempt, name)
);
CREATE TABLE batch_reasons (
	project VARCHAR(64) NOT NULL, 
	image VARCHAR(128) NOT NULL, 
	flavor VARCHAR(255) NOT NULL, 
	at DATETIME NOT NULL, 
	refusals JSON NOT NULL, 
	PRIMARY KEY (project, image, flavor)
);
CREATE TABLE batch_workers (
	id VARCHAR(64) NOT NULL, 
	project VARCHAR(64) NOT NULL, 
	image VARCHAR(128) NOT NULL, 
	flavor VARCHAR(255) NOT NULL, 
	invited_at DATETIME NOT NULL, 
	invite_hash VARCHAR(64), 
	invite_until DATETIME, 
	expected_server VARCHAR(64), 
	server_id VARCHAR(64), 
	session_hash VARCHAR(64), 
	session_used BOOLEAN NOT NULL, 
	registered_at DATETIME, 
	last_seen_at DATETIME, 
	idle_since DATETIME, 
	agent_version VARCHAR(255) NOT NULL, 
	cpus INTEGER, 
	memory_mib BIGINT, 
	disk_kib BIGINT, 
	draining BOOLEAN NOT NULL, 
	left_at DATETIME, 
	lost_at DATETIME, 
	lost_reason TEXT, 
	PRIMARY KEY (id), 
	UNIQUE (invite_hash), 
	UNIQUE (session_hash)
);
CREATE TABLE portal_keys (
	person_id VARCHAR(64) NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	name VARCHAR(100) NOT NULL, 
	public_key TEXT NOT NULL, 
	created_at VARCHAR(40) NOT NULL, 
	PRIMARY KEY (person_id, fingerprint)
);
CREATE TABLE vospace_dead_blobs (
	blob VARCHAR(32) NOT NULL, 
	PRIMARY KEY (blob)
);
CREATE TABLE vospace_jobs (
	id VARCHAR(32) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	owner_id VARCHAR(64) NOT NULL, 
	owner_name TEXT NOT NULL, 
	phase VARCHAR(16) NOT NULL, 
	document TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	destroy_at DATETIME NOT NULL, 
	started_at DATETIME, 
	ended_at DATETIME, 
	results JSON NOT NULL, 
	error TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE vospace_nodes (
	id INTEGER NOT NULL, 
	parent_id INTEGER, 
	name TEXT NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	owner_id VARCHAR(64) NOT NULL, 
	owner_name TEXT NOT NULL, 
	written_by TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	modified_at DATETIME NOT NULL, 
	length BIGINT NOT NULL, 
	md5 VARCHAR(32) NOT NULL, 
	blob VARCHAR(32), 
	content_type TEXT NOT NULL, 
	content_encoding TEXT NOT NULL, 
	target TEXT NOT NULL, 
	is_public BOOLEAN NOT NULL, 
	group_read JSON NOT NULL, 
	group_write JSON NOT NULL, 
	is_locked BOOLEAN NOT NULL, 
	properties JSON NOT NULL, 
	used BIGINT NOT NULL, 
	quota BIGINT, 
	PRIMARY KEY (id), 
	CONSTRAINT vospace_nodes_place UNIQUE (parent_id, name), 
	FOREIGN KEY(parent_id) REFERENCES vospace_nodes (id) ON DELETE CASCADE
);
INSERT INTO "vospace_nodes" VALUES(1,NULL,'','container','','','','2026-11-22 22:51:27.906547','2026-11-22 22:51:27.906547',0,'',NULL,'','','',0,'[]','[]',0,'{}',0,NULL);
INSERT INTO "vospace_nodes" VALUES(2,1,'home','container','','','','2026-11-22 22:51:27.906547','2026-11-22 22:51:27.906547',0,'',NULL,'','','',0,'[]','[]',0,'{}',0,NULL);
CREATE TABLE vospace_secrets (
	name VARCHAR(32) NOT NULL, 
	value BLOB NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "vospace_secrets" VALUES('signing',X'3DBE555B268AD02BC4285B5627BBACDA9FE89B27F68730AB0D4119A8E24FEEC8');
CREATE INDEX ix_accounts_people_email ON accounts_people (email);
CREATE INDEX accounts_sign_in_failures_last_at ON accounts_sign_in_failures (last_at);
CREATE INDEX ix_accounts_grants_person_id ON accounts_grants (person_id);
CREATE INDEX ix_accounts_applications_person_id ON accounts_applications (person_id);
CREATE INDEX ix_accounts_applications_state ON accounts_applications (state);
CREATE INDEX ix_accounts_application_credentials_project_id ON accounts_application_credentials (project_id);
CREATE INDEX ix_accounts_tokens_person_id ON accounts_tokens (person_id);
CREATE INDEX ix_accounts_tokens_credential_id ON accounts_tokens (credential_id);
CREATE INDEX ix_accounts_tokens_expires_at ON accounts_tokens (expires_at);
CREATE INDEX ix_accounts_tokens_project_id ON accounts_tokens (project_id);
CREATE INDEX ix_vospace_nodes_blob ON vospace_nodes (blob);
CREATE INDEX vospace_jobs_of ON vospace_jobs (owner_id, kind, created_at);
CREATE INDEX ix_vospace_jobs_destroy_at ON vospace_jobs (destroy_at);
CREATE INDEX batch_clusters_by_project ON batch_clusters (project, id);
CREATE INDEX batch_jobs_by_project ON batch_jobs (project, cluster, proc);
CREATE INDEX batch_jobs_to_claim ON batch_jobs (state, project, image, flavor, owner, priority);
CREATE INDEX batch_attempts_live ON batch_attempts (live, lease_until);
CREATE INDEX batch_attempts_by_credential ON batch_attempts (credential);
CREATE INDEX batch_attempts_of_worker ON batch_attempts (worker, live);
CREATE INDEX batch_events_of_cluster ON batch_events (cluster, seq);
CREATE INDEX batch_machines_of_project ON batch_machines (project, created_at);
CREATE INDEX batch_machines_by_state ON batch_machines (state, created_at);
COMMIT;
