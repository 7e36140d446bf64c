-- The schema as PostgreSQL runs it: psql -v ON_ERROR_STOP=1 -f sql/schema.sql
-- Generated from the migrations by scripts/schema; do not edit.

BEGIN;

CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

-- Running upgrade  -> 0009

CREATE TABLE leases (
    identity VARCHAR(32) NOT NULL,
    place VARCHAR NOT NULL,
    host VARCHAR NOT NULL,
    pid INTEGER NOT NULL,
    started VARCHAR NOT NULL,
    beat BIGINT NOT NULL,
    renewed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_leases PRIMARY KEY (identity)
);

CREATE TABLE training_jobs (
    id VARCHAR(32) NOT NULL,
    market VARCHAR NOT NULL,
    exchange VARCHAR NOT NULL,
    pair VARCHAR NOT NULL,
    timeframe VARCHAR NOT NULL,
    strategy VARCHAR NOT NULL,
    optimizer VARCHAR NOT NULL,
    config JSONB NOT NULL,
    config_hash VARCHAR NOT NULL,
    seed BIGINT NOT NULL,
    status VARCHAR NOT NULL,
    stage_of_work TEXT,
    progress DOUBLE PRECISION NOT NULL,
    error TEXT,
    owner VARCHAR(32),
    heartbeat_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE,
    finished_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_training_jobs PRIMARY KEY (id),
    CONSTRAINT ck_training_jobs_status CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
    CONSTRAINT ck_training_jobs_progress CHECK (progress >= 0 AND progress <= 1)
);

CREATE INDEX ix_training_jobs_status ON training_jobs (status);

CREATE INDEX ix_training_jobs_created_at ON training_jobs (created_at);

CREATE TABLE job_events (
    id BIGSERIAL NOT NULL,
    job_id VARCHAR(32) NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    kind VARCHAR NOT NULL,
    payload JSONB NOT NULL,
    CONSTRAINT pk_job_events PRIMARY KEY (id),
    CONSTRAINT ck_job_events_kind CHECK (kind IN ('status', 'progress', 'note', 'result')),
    CONSTRAINT fk_job_events_job_id_training_jobs FOREIGN KEY(job_id) REFERENCES training_jobs (id)
);

CREATE INDEX ix_job_events_job_id_id ON job_events (job_id, id);

CREATE TABLE dispatcher (
    id INTEGER NOT NULL,
    owner VARCHAR(32) NOT NULL,
    CONSTRAINT pk_dispatcher PRIMARY KEY (id),
    CONSTRAINT ck_dispatcher_one CHECK (id = 1)
);

CREATE TABLE trained_configurations (
    id VARCHAR(80) NOT NULL,
    job_id VARCHAR(32) NOT NULL,
    strategy VARCHAR NOT NULL,
    exchange VARCHAR NOT NULL,
    pair VARCHAR NOT NULL,
    timeframe VARCHAR NOT NULL,
    lifecycle_stage VARCHAR NOT NULL,
    synthetic BOOLEAN NOT NULL,
    parameters JSONB NOT NULL,
    in_sample JSONB NOT NULL,
    out_of_sample JSONB NOT NULL,
    statistics JSONB NOT NULL,
    gates JSONB NOT NULL,
    circuit_breakers JSONB NOT NULL,
    provenance JSONB NOT NULL,
    document JSONB NOT NULL,
    artifacts VARCHAR,
    artifact_digests JSONB NOT NULL,
    oos_sharpe_ratio DOUBLE PRECISION NOT NULL,
    oos_net_profit DOUBLE PRECISION NOT NULL,
    sample_size INTEGER NOT NULL,
    p_value DOUBLE PRECISION,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    is_active BOOLEAN DEFAULT false NOT NULL,
    head VARCHAR(64) NOT NULL,
    seal VARCHAR(64) NOT NULL,
    verified_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_trained_configurations PRIMARY KEY (id),
    CONSTRAINT ck_trained_configurations_lifecycle_stage CHECK (lifecycle_stage IN ('DECAY', 'PAPER', 'DISCOVERY', 'VALIDATION', 'MATURE')),
    CONSTRAINT fk_trained_configurations_job_id_training_jobs FOREIGN KEY(job_id) REFERENCES training_jobs (id)
);

CREATE INDEX ix_trained_configurations_job_id ON trained_configurations (job_id);

CREATE INDEX ix_trained_configurations_by_created_at ON trained_configurations (created_at, id, lifecycle_stage, exchange, pair, timeframe, strategy, synthetic, is_active);

CREATE INDEX ix_trained_configurations_by_oos_sharpe_ratio ON trained_configurations (oos_sharpe_ratio, id, lifecycle_stage, exchange, pair, timeframe, strategy, synthetic, is_active);

CREATE INDEX ix_trained_configurations_by_oos_net_profit ON trained_configurations (oos_net_profit, id, lifecycle_stage, exchange, pair, timeframe, strategy, synthetic, is_active);

CREATE INDEX ix_trained_configurations_by_sample_size ON trained_configurations (sample_size, id, lifecycle_stage, exchange, pair, timeframe, strategy, synthetic, is_active);

CREATE INDEX ix_trained_configurations_by_p_value ON trained_configurations (p_value, id, lifecycle_stage, exchange, pair, timeframe, strategy, synthetic, is_active);

CREATE INDEX ix_trained_configurations_by_p_value_descending ON trained_configurations (p_value DESC NULLS LAST, id DESC, lifecycle_stage, exchange, pair, timeframe, strategy, synthetic, is_active);

CREATE INDEX ix_trained_configurations_active ON trained_configurations (created_at, id, is_active, head) WHERE is_active;

CREATE TABLE configuration_events (
    id VARCHAR(32) NOT NULL,
    configuration_id VARCHAR(80) NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    kind VARCHAR NOT NULL,
    from_stage VARCHAR NOT NULL,
    to_stage VARCHAR NOT NULL,
    reason TEXT NOT NULL,
    figures JSONB NOT NULL,
    number INTEGER NOT NULL,
    previous VARCHAR(64) NOT NULL,
    digests JSONB NOT NULL,
    CONSTRAINT pk_configuration_events PRIMARY KEY (id),
    CONSTRAINT ck_configuration_events_from_stage CHECK (from_stage IN ('DECAY', 'PAPER', 'DISCOVERY', 'VALIDATION', 'MATURE')),
    CONSTRAINT ck_configuration_events_to_stage CHECK (to_stage IN ('DECAY', 'PAPER', 'DISCOVERY', 'VALIDATION', 'MATURE')),
    CONSTRAINT fk_configuration_events_configuration_id_trained_configurations FOREIGN KEY(configuration_id) REFERENCES trained_configurations (id),
    CONSTRAINT uq_configuration_events_configuration_id_number UNIQUE (configuration_id, number)
);

CREATE TABLE sweeps (
    id VARCHAR(32) NOT NULL,
    key VARCHAR(64) NOT NULL,
    strategy VARCHAR NOT NULL,
    optimizer VARCHAR NOT NULL,
    config JSONB NOT NULL,
    since TIMESTAMP WITH TIME ZONE,
    until TIMESTAMP WITH TIME ZONE NOT NULL,
    engine_version VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    owner VARCHAR(32) NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    pooled JSONB,
    seal VARCHAR(64) NOT NULL,
    CONSTRAINT pk_sweeps PRIMARY KEY (id),
    CONSTRAINT ck_sweeps_status CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled'))
);

CREATE INDEX ix_sweeps_key_created_at ON sweeps (key, created_at);

CREATE UNIQUE INDEX uq_sweeps_running ON sweeps (key) WHERE status = 'running';

CREATE TABLE sweep_markets (
    sweep_id VARCHAR(32) NOT NULL,
    position INTEGER NOT NULL,
    market VARCHAR NOT NULL,
    task_hash VARCHAR(64) NOT NULL,
    status VARCHAR NOT NULL,
    job_id VARCHAR(32) NOT NULL,
    configuration_id VARCHAR(80),
    p_value DOUBLE PRECISION,
    surrogate_p DOUBLE PRECISION,
    fdr_q_value DOUBLE PRECISION,
    error TEXT,
    seconds DOUBLE PRECISION,
    CONSTRAINT pk_sweep_markets PRIMARY KEY (sweep_id, position),
    CONSTRAINT ck_sweep_markets_status CHECK (status IN ('pending', 'running', 'done', 'failed', 'skipped')),
    CONSTRAINT fk_sweep_markets_sweep_id_sweeps FOREIGN KEY(sweep_id) REFERENCES sweeps (id),
    CONSTRAINT fk_sweep_markets_job_id_training_jobs FOREIGN KEY(job_id) REFERENCES training_jobs (id),
    CONSTRAINT fk_sweep_markets_configuration_id_trained_configurations FOREIGN KEY(configuration_id) REFERENCES trained_configurations (id),
    CONSTRAINT uq_sweep_markets_sweep_id_market UNIQUE (sweep_id, market)
);

CREATE INDEX ix_sweep_markets_task_hash_status ON sweep_markets (task_hash, status);

CREATE INDEX ix_sweep_markets_job_id ON sweep_markets (job_id);

INSERT INTO alembic_version (version_num) VALUES ('0009') RETURNING alembic_version.version_num;

-- Running upgrade 0009 -> 0010

CREATE TABLE follower (
    id INTEGER NOT NULL,
    owner VARCHAR(32) NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    looked_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_follower PRIMARY KEY (id),
    CONSTRAINT ck_follower_one CHECK (id = 1)
);

CREATE TABLE signals (
    configuration_id VARCHAR(80) NOT NULL,
    version BIGINT NOT NULL,
    made_at TIMESTAMP WITH TIME ZONE NOT NULL,
    signal JSONB NOT NULL,
    CONSTRAINT pk_signals PRIMARY KEY (configuration_id),
    CONSTRAINT fk_signals_configuration_id_trained_configurations FOREIGN KEY(configuration_id) REFERENCES trained_configurations (id)
);

CREATE TABLE paper_accounts (
    configuration_id VARCHAR(80) NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL,
    first_candle TIMESTAMP WITH TIME ZONE NOT NULL,
    through TIMESTAMP WITH TIME ZONE,
    position JSONB,
    trades INTEGER NOT NULL,
    equity DOUBLE PRECISION NOT NULL,
    called INTEGER NOT NULL,
    called_equity DOUBLE PRECISION NOT NULL,
    difference TEXT,
    checked_at TIMESTAMP WITH TIME ZONE,
    checked_through TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_paper_accounts PRIMARY KEY (configuration_id),
    CONSTRAINT fk_paper_accounts_configuration_id_trained_configurations FOREIGN KEY(configuration_id) REFERENCES trained_configurations (id)
);

CREATE TABLE paper_trades (
    configuration_id VARCHAR(80) NOT NULL,
    number INTEGER NOT NULL,
    side INTEGER NOT NULL,
    setup_at TIMESTAMP WITH TIME ZONE NOT NULL,
    signal_at TIMESTAMP WITH TIME ZONE NOT NULL,
    entry_at TIMESTAMP WITH TIME ZONE NOT NULL,
    exit_at TIMESTAMP WITH TIME ZONE NOT NULL,
    entry DOUBLE PRECISION NOT NULL,
    exit DOUBLE PRECISION NOT NULL,
    reason VARCHAR NOT NULL,
    ret DOUBLE PRECISION NOT NULL,
    stop DOUBLE PRECISION,
    target DOUBLE PRECISION,
    booked_at TIMESTAMP WITH TIME ZONE NOT NULL,
    called BOOLEAN NOT NULL,
    CONSTRAINT pk_paper_trades PRIMARY KEY (configuration_id, number),
    CONSTRAINT fk_paper_trades_configuration_id_paper_accounts FOREIGN KEY(configuration_id) REFERENCES paper_accounts (configuration_id)
);

CREATE TABLE paper_days (
    configuration_id VARCHAR(80) NOT NULL,
    day INTEGER NOT NULL,
    ret DOUBLE PRECISION NOT NULL,
    equity DOUBLE PRECISION NOT NULL,
    CONSTRAINT pk_paper_days PRIMARY KEY (configuration_id, day),
    CONSTRAINT fk_paper_days_configuration_id_paper_accounts FOREIGN KEY(configuration_id) REFERENCES paper_accounts (configuration_id)
);

CREATE TABLE live_events (
    id BIGSERIAL NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    kind VARCHAR NOT NULL,
    configuration_id VARCHAR(80),
    market VARCHAR,
    candle TIMESTAMP WITH TIME ZONE,
    text TEXT NOT NULL,
    payload JSONB NOT NULL,
    CONSTRAINT pk_live_events PRIMARY KEY (id),
    CONSTRAINT fk_live_events_configuration_id_trained_configurations FOREIGN KEY(configuration_id) REFERENCES trained_configurations (id)
);

CREATE INDEX ix_live_events_configuration_id_id ON live_events (configuration_id, id);

CREATE INDEX ix_live_events_at ON live_events (at);

CREATE TABLE notice_targets (
    target VARCHAR NOT NULL,
    owner VARCHAR(32),
    failures INTEGER NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE NOT NULL,
    error TEXT,
    CONSTRAINT pk_notice_targets PRIMARY KEY (target)
);

CREATE TABLE notice_marks (
    target VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_notice_marks PRIMARY KEY (target, kind),
    CONSTRAINT fk_notice_marks_target_notice_targets FOREIGN KEY(target) REFERENCES notice_targets (target)
);

CREATE TABLE deliveries (
    id BIGSERIAL NOT NULL,
    target VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    event_id VARCHAR NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE,
    attempts INTEGER NOT NULL,
    delivered_at TIMESTAMP WITH TIME ZONE,
    error TEXT,
    body JSONB NOT NULL,
    CONSTRAINT pk_deliveries PRIMARY KEY (id),
    CONSTRAINT fk_deliveries_target_notice_targets FOREIGN KEY(target) REFERENCES notice_targets (target)
);

CREATE UNIQUE INDEX uq_deliveries_target_source_event_id ON deliveries (target, source, event_id);

CREATE INDEX ix_deliveries_target_due_at ON deliveries (target, due_at);

CREATE INDEX ix_configuration_events_at ON configuration_events (at);

CREATE INDEX ix_job_events_of_status_at ON job_events (at) WHERE kind = 'status';

UPDATE alembic_version SET version_num='0010' WHERE alembic_version.version_num = '0009';

-- Running upgrade 0010 -> 0011

ALTER TABLE sweep_markets DROP CONSTRAINT ck_sweep_markets_status;

ALTER TABLE sweep_markets ADD CONSTRAINT ck_sweep_markets_status CHECK (status IN ('pending', 'running', 'done', 'failed', 'skipped', 'cancelled'));

UPDATE alembic_version SET version_num='0011' WHERE alembic_version.version_num = '0010';

-- Running upgrade 0011 -> 0012

ALTER TABLE training_jobs ADD COLUMN start_key VARCHAR(64);

CREATE UNIQUE INDEX uq_training_jobs_start ON training_jobs (start_key) WHERE status IN ('pending', 'running');

UPDATE alembic_version SET version_num='0012' WHERE alembic_version.version_num = '0011';

-- Running upgrade 0012 -> 0013

ALTER TABLE trained_configurations ADD COLUMN max_drawdown DOUBLE PRECISION;

ALTER TABLE trained_configurations ADD COLUMN fdr_q_value DOUBLE PRECISION;

ALTER TABLE trained_configurations ADD COLUMN market VARCHAR DEFAULT '' NOT NULL;

ALTER TABLE trained_configurations ADD COLUMN stage_rank INTEGER DEFAULT '0' NOT NULL;

ALTER TABLE trained_configurations ADD COLUMN optimizer VARCHAR DEFAULT '' NOT NULL;

ALTER TABLE trained_configurations ADD COLUMN seed BIGINT DEFAULT '0' NOT NULL;

ALTER TABLE trained_configurations ADD COLUMN first_day VARCHAR DEFAULT '' NOT NULL;

CREATE INDEX ix_trained_configurations_by_max_drawdown ON trained_configurations (max_drawdown, id, lifecycle_stage, exchange, pair, timeframe, strategy, synthetic, is_active);

CREATE INDEX ix_trained_configurations_by_fdr_q_value ON trained_configurations (fdr_q_value, id, lifecycle_stage, exchange, pair, timeframe, strategy, synthetic, is_active);

CREATE INDEX ix_trained_configurations_by_market ON trained_configurations (market, id, lifecycle_stage, exchange, pair, timeframe, strategy, synthetic, is_active);

CREATE INDEX ix_trained_configurations_by_stage_rank ON trained_configurations (stage_rank, id, lifecycle_stage, exchange, pair, timeframe, strategy, synthetic, is_active);

CREATE INDEX ix_trained_configurations_by_optimizer ON trained_configurations (optimizer, id, lifecycle_stage, exchange, pair, timeframe, strategy, synthetic, is_active);

CREATE INDEX ix_trained_configurations_by_seed ON trained_configurations (seed, id, lifecycle_stage, exchange, pair, timeframe, strategy, synthetic, is_active);

CREATE INDEX ix_trained_configurations_by_first_day ON trained_configurations (first_day, id, lifecycle_stage, exchange, pair, timeframe, strategy, synthetic, is_active);

CREATE INDEX ix_trained_configurations_by_max_drawdown_descending ON trained_configurations (max_drawdown DESC NULLS LAST, id DESC, lifecycle_stage, exchange, pair, timeframe, strategy, synthetic, is_active);

CREATE INDEX ix_trained_configurations_by_fdr_q_value_descending ON trained_configurations (fdr_q_value DESC NULLS LAST, id DESC, lifecycle_stage, exchange, pair, timeframe, strategy, synthetic, is_active);

UPDATE alembic_version SET version_num='0013' WHERE alembic_version.version_num = '0012';

COMMIT;
