-- The same statements for SQLite and PostgreSQL. Times are milliseconds since 1970-01-01 UTC.
--
-- A later migration that needs what was projected anew empties all four tables: everything here is
-- made of the log, and lists wait until it is whole again.

-- Every order as it is now. Its body is that of its latest event.
CREATE TABLE orders (
    id TEXT PRIMARY KEY NOT NULL,
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    currency TEXT NOT NULL,
    total TEXT,
    placed_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- One for each combination of what a list can be asked for, in the list's order.
CREATE INDEX orders_by_time ON orders (placed_at, id);
CREATE INDEX orders_by_state ON orders (state, placed_at, id);
CREATE INDEX orders_by_customer ON orders (customer_id, placed_at, id);
CREATE INDEX orders_by_customer_and_state ON orders (customer_id, state, placed_at, id);

-- What was ordered; it never changes.
CREATE TABLE order_lines (
    order_id TEXT NOT NULL,
    line_number BIGINT NOT NULL,
    product_id TEXT NOT NULL,
    quantity BIGINT NOT NULL,
    unit_price TEXT,
    PRIMARY KEY (order_id, line_number)
);

-- Every event, and where it lies on the log.
CREATE TABLE order_events (
    order_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    log_partition BIGINT NOT NULL,
    log_offset BIGINT NOT NULL,
    event_type TEXT NOT NULL,
    happened_at BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (order_id, version)
);

CREATE UNIQUE INDEX order_events_by_place ON order_events (log_partition, log_offset);

-- Up to where each partition of the topic is in the tables above: moved in the transaction that
-- writes to them. They are whole where it has reached whole_at.
CREATE TABLE projection_positions (
    log_partition BIGINT PRIMARY KEY NOT NULL,
    next_offset BIGINT NOT NULL,
    whole_at BIGINT NOT NULL
);
