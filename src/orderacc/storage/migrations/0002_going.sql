-- Verdicts whose removal has begun: nothing is said of them any more, and what is cut off is gone on with.
CREATE TABLE going (
    visit_id TEXT PRIMARY KEY
) WITHOUT ROWID;
