-- What happened, in the order it became known. Times of events are ISO 8601 UTC with milliseconds.

CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO facts (name, value) VALUES ('edition', lower(hex(randomblob(4))));

-- POS orders, every version of them.
CREATE TABLE orders (
    source TEXT NOT NULL,
    order_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    display_id TEXT NOT NULL,
    state TEXT NOT NULL,
    received_at TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (source, order_id, version)
) WITHOUT ROWID;
CREATE INDEX orders_by_time ON orders (received_at);
CREATE INDEX orders_by_number ON orders (display_id);

-- An order's stays at a counter: open, waiting for a verdict, judged.
CREATE TABLE visits (
    visit_id TEXT PRIMARY KEY,
    station_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    slip_text TEXT,
    opened_at TEXT NOT NULL,
    closed_at TEXT,
    state TEXT NOT NULL CHECK (state IN ('open', 'waiting', 'judged')),
    evidence TEXT
) WITHOUT ROWID;
CREATE INDEX visits_unfinished ON visits (opened_at) WHERE state <> 'judged';
CREATE INDEX visits_by_time ON visits (opened_at);

-- The highest number a visit of a station ever had; it outlives the visits.
CREATE TABLE stations (
    station_id TEXT PRIMARY KEY,
    last_visit INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE verdicts (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    verdict_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    latest INTEGER NOT NULL,
    station_id TEXT NOT NULL,
    order_id TEXT,
    slip_text TEXT,
    status TEXT NOT NULL,
    reason TEXT,
    closed_at TEXT,
    recorded_at TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (verdict_id, revision)
);
CREATE INDEX verdicts_latest ON verdicts (seq) WHERE latest = 1;
CREATE INDEX verdicts_by_station ON verdicts (station_id, seq) WHERE latest = 1;
CREATE INDEX verdicts_by_status ON verdicts (status, seq) WHERE latest = 1;
CREATE INDEX verdicts_by_time ON verdicts (recorded_at);
CREATE INDEX verdicts_by_number ON verdicts (slip_text);

-- What the crew says of a verdict. The newest counts.
CREATE TABLE reviews (
    review_id INTEGER PRIMARY KEY AUTOINCREMENT,
    verdict_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    opinion TEXT NOT NULL CHECK (opinion IN ('open', 'confirmed', 'wrong')),
    items TEXT,
    note TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    at TEXT NOT NULL
);
CREATE INDEX reviews_by_verdict ON reviews (verdict_id, review_id);

-- Visits somebody still wants to look at, or that wait for their verdict.
CREATE VIEW needed AS
    SELECT verdict_id AS visit_id FROM reviews AS one
    WHERE opinion = 'open' AND review_id = (SELECT max(review_id) FROM reviews WHERE verdict_id = one.verdict_id)
    UNION SELECT visit_id FROM visits WHERE state <> 'judged';

-- Objects in the store that belong to a visit; `kind` is frames, clips or verdicts.
CREATE TABLE objects (
    key TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    visit_id TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    stored_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX objects_by_visit ON objects (visit_id);
CREATE INDEX objects_by_kind ON objects (kind, stored_at);

CREATE TABLE events (
    event_id INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    station_id TEXT,
    subject TEXT,
    revision INTEGER,
    body TEXT
);
CREATE INDEX events_by_time ON events (at);
CREATE INDEX events_by_subject ON events (subject);

-- What is still to be told to the outside; times are seconds since 1970.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sink TEXT NOT NULL,
    station_id TEXT NOT NULL,
    key TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_at REAL NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'dead')),
    settled_at REAL,
    last_error TEXT,
    verdict_id TEXT,
    UNIQUE (sink, key)
);
CREATE INDEX outbox_by_verdict ON outbox (verdict_id);
CREATE INDEX outbox_pending ON outbox (sink, station_id, id) WHERE state = 'pending';
CREATE INDEX outbox_by_time ON outbox (created_at) WHERE state <> 'pending';
