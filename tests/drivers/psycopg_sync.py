"""psycopg 3 with threads, all settings as they come. Each worker keeps to one customer, so all of them can run at once."""

import datetime
import decimal
import threading

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from common import Report, arguments, chosen, show

ARGS = arguments()


def connect(**more):
    return psycopg.connect(host="127.0.0.1", port=ARGS.port, user="app", password="app", dbname=ARGS.dbname, **more)


def types(report, key):
    with connect() as conn:
        row = (key, "Zoë " * 3, decimal.Decimal("12.50"), datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC))
        conn.execute("INSERT INTO customers (id, name, balance, joined, tags) VALUES (%s, %s, %s, %s, %s)", (*row, ["a", None, 'b"c']))
        report.say("row", conn.execute("SELECT * FROM customers WHERE id = %s", (key,)).fetchone())
        report.say("binary", conn.execute("SELECT * FROM customers WHERE id = %b", (key,), binary=True).fetchone())
        conn.commit()
        conn.execute("INSERT INTO log (worker, n, note, data, doc) VALUES (%s, 1, %s, %s, %s)", (key, "types", b"\x00\xff", Jsonb({"k": [1, None]})))
        report.say("log", conn.execute("SELECT note, data, doc FROM log WHERE worker = %s AND n = 1", (key,)).fetchone())


def prepared(report, key):
    """The fifth execution is prepared on the server, on whichever that is each time."""
    with connect(autocommit=True) as conn:
        conn.execute("DELETE FROM orders WHERE customer_id = %s", (key,))
        for n in range(12):
            conn.execute("INSERT INTO orders VALUES (%s, %s, %s, %s)", (key, n, f"item {n}", n * n))
            row = conn.execute("SELECT item, qty FROM orders WHERE customer_id = %s AND id = %s", (key, n)).fetchone()
            report.say("read back", row)
        with conn.transaction():
            for n in range(12):
                conn.execute("UPDATE orders SET qty = qty + %s WHERE customer_id = %s AND id = %s", (1, key, n))
        report.say("all", conn.execute("SELECT id, qty FROM orders WHERE customer_id = %s ORDER BY id", (key,), prepare=True).fetchall())
        conn.execute("DEALLOCATE ALL")
        report.say("fresh", conn.execute("SELECT id FROM orders WHERE customer_id = %s AND qty > 90 ORDER BY id", (key,), prepare=True).fetchall())


def evicted(report, key):
    """More statements than the driver keeps: it deallocates the oldest."""
    with connect(autocommit=True) as conn:
        conn.prepare_threshold = 0
        conn.prepared_max = 3
        for turn in range(3):
            for n in range(6):
                report.say("value", conn.execute(f"SELECT name, {n} + %s FROM customers WHERE id = %s", (turn, key)).fetchone())


def many(report, key):
    with connect() as conn, conn.cursor() as cur:
        cur.execute("DELETE FROM orders WHERE customer_id = %s", (key,))
        cur.executemany("INSERT INTO orders VALUES (%s, %s, %s, %s)", [(key, n, f"many {n}", n) for n in range(50)])
        report.say("count", cur.rowcount)
        cur.executemany("UPDATE orders SET qty = qty * 2 WHERE customer_id = %s AND id = %s RETURNING id, qty", [(key, n) for n in (3, 7, 49)], returning=True)
        while True:
            report.say("returned", cur.fetchall())
            if not cur.nextset():
                break
        try:
            cur.executemany("INSERT INTO orders VALUES (%s, %s, %s, %s)", [(key, 100, "", 0), (key, 3, "", 0), (key, 101, "", 0)])
        except psycopg.Error as error:
            report.failed(error)
        conn.rollback()
        report.say("rolled back", cur.execute("SELECT count(*) FROM orders WHERE customer_id = %s", (key,)).fetchone())


def blocks(report, key):
    with connect(autocommit=True) as conn:
        with conn.transaction():
            conn.execute("UPDATE customers SET balance = 1 WHERE id = %s", (key,))
            try:
                with conn.transaction():
                    conn.execute("UPDATE customers SET balance = 2 WHERE id = %s", (key,))
                    with conn.transaction():
                        conn.execute("UPDATE customers SET balance = 3 WHERE id = %s", (key,))
                    conn.execute("INSERT INTO customers (id, name) VALUES (%s, 'twice')", (key,))
            except psycopg.Error as error:
                report.failed(error)
            report.say("outer", conn.execute("SELECT balance FROM customers WHERE id = %s", (key,)).fetchone())
            with conn.transaction("named"):
                conn.execute("UPDATE customers SET balance = balance + 10 WHERE id = %s", (key,))
            with conn.transaction(force_rollback=True):
                conn.execute("UPDATE customers SET balance = 99 WHERE id = %s", (key,))
        report.say("after", conn.execute("SELECT balance FROM customers WHERE id = %s", (key,)).fetchone())
        report.say("state", conn.info.transaction_status.name)


def failed(report, key):
    with connect() as conn:
        try:
            conn.execute("SELECT 1 / (id - %s) FROM customers WHERE id = %s", (key, key))
        except psycopg.Error as error:
            report.failed(error)
        report.say("state", conn.info.transaction_status.name)
        try:
            conn.execute("SELECT name FROM customers WHERE id = %s", (key,))
        except psycopg.Error as error:
            report.failed(error)
        conn.rollback()
        report.say("state", conn.info.transaction_status.name)
        conn.execute("UPDATE customers SET balance = 7 WHERE id = %s", (key,))
        conn.commit()
        report.say("balance", conn.execute("SELECT balance FROM customers WHERE id = %s", (key,)).fetchone())
    for isolation in ("REPEATABLE_READ", "SERIALIZABLE"):
        with connect() as conn:
            conn.isolation_level = psycopg.IsolationLevel[isolation]
            report.say("isolation", conn.execute("SELECT current_setting('transaction_isolation'), name FROM customers WHERE id = %s", (key,)).fetchone())
    with connect() as conn:
        conn.read_only = True
        try:
            conn.execute("UPDATE customers SET balance = 8 WHERE id = %s", (key,))
        except psycopg.Error as error:
            report.failed(error)


def pipeline(report, key):
    with connect(autocommit=True) as conn:
        with conn.pipeline() as pipe:
            conn.execute("UPDATE customers SET balance = 20 WHERE id = %s", (key,))
            cursors = [conn.execute("SELECT balance + %s FROM customers WHERE id = %s", (n, key)) for n in range(30)]
            pipe.sync()
            report.say("sums", [cur.fetchone()[0] for cur in cursors])
            nested = conn.execute("SELECT name FROM customers WHERE id = %s", (key,))
            with conn.transaction():
                conn.execute("UPDATE customers SET balance = 21 WHERE id = %s", (key,))
                inside = conn.execute("SELECT balance FROM customers WHERE id = %s", (key,))
            report.say("nested", [nested.fetchone(), inside.fetchone()])
        try:
            with conn.pipeline():
                conn.execute("UPDATE customers SET balance = 22 WHERE id = %s", (key,))
                conn.execute("INSERT INTO customers (id, name) VALUES (%s, 'twice')", (key,))
                skipped = conn.execute("SELECT name FROM customers WHERE id = %s", (key,))
                skipped.fetchone()
        except psycopg.Error as error:
            report.failed(error)
        report.say("after", conn.execute("SELECT balance FROM customers WHERE id = %s", (key,)).fetchone())
    with connect() as conn:
        with conn.pipeline():
            conn.execute("UPDATE customers SET balance = 23 WHERE id = %s", (key,))
            conn.execute("UPDATE customers SET balance = balance + 1 WHERE id = %s", (key,))
            conn.commit()
        report.say("committed", conn.execute("SELECT balance FROM customers WHERE id = %s", (key,)).fetchone())


def cursors(report, key):
    with connect() as conn:
        with conn.cursor() as cur:
            cur.executemany("INSERT INTO log (worker, n, note) VALUES (%s, %s, 'cursor')", [(key, n) for n in range(40)])
        with conn.cursor(name="through_all") as cur:
            cur.itersize = 7
            cur.execute("SELECT n, note FROM log WHERE worker = %s AND note = 'cursor' ORDER BY n", (key,))
            report.say("columns", [column.name for column in cur.description])
            report.say("sum", sum(row[0] for row in cur))
        with conn.cursor(name="back", scrollable=True, row_factory=dict_row) as cur:
            cur.execute("SELECT n FROM log WHERE worker = %s AND note = 'cursor' ORDER BY n", (key,))
            report.say("some", cur.fetchmany(3))
            cur.scroll(10)
            report.say("one", cur.fetchone())
            cur.scroll(2, mode="absolute")
            report.say("rest", len(cur.fetchall()))
        conn.commit()
        with conn.cursor() as cur:
            rows = cur.stream("SELECT n FROM log WHERE worker = %s AND note = 'cursor' ORDER BY n", (key,))
            report.say("streamed", [row[0] for row in rows][-3:])
    with connect(autocommit=True) as conn:
        with conn.cursor(name="held", withhold=True) as cur:
            cur.execute("SELECT n FROM log WHERE worker = %s AND note = 'cursor' ORDER BY n", (key,))
            report.say("held", [cur.fetchmany(2), cur.fetchmany(2)])


def copies(report, key):
    """COPY of a table that lives on one shard, in text and binary, in and out, and one that fails half way."""
    with connect() as conn, conn.cursor() as cur:
        cur.execute("DELETE FROM log WHERE worker = %s", (key,))
        with cur.copy("COPY log (worker, n, note) FROM STDIN") as copy:
            for n in range(1000):
                copy.write_row((key, n, f"note {n} \t\\ é"))
        report.say("copied", cur.rowcount)
        with cur.copy("COPY log (worker, n, note) FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int4", "int4", "text"])
            copy.write_row((key, 5000, None))
        with cur.copy("COPY (SELECT n, note FROM log WHERE worker = %s AND n > 997 ORDER BY n) TO STDOUT", (key,)) as copy:
            report.say("rows", list(copy.rows()))
        conn.commit()
        try:
            with cur.copy("COPY log (worker, n, note) FROM STDIN") as copy:
                for n in range(20000):
                    copy.write_row((key, 10000 + n, "x" * 50))
                    if n == 1:
                        copy.write_row((key, "no number", ""))
        except psycopg.Error as error:
            report.failed(error)
        conn.rollback()
        try:
            with cur.copy("COPY log (worker, n) FROM STDIN") as copy:
                copy.write_row((key, 6000))
                raise KeyError("the application gives up")
        except KeyError as error:
            report.say("given up", str(error))
        conn.rollback()
        report.say("count", cur.execute("SELECT count(*) FROM log WHERE worker = %s", (key,)).fetchone())


def large(report, key):
    """Values longer than any buffer, both ways."""
    with connect() as conn:
        note = "0123456789abcdef" * 30000
        conn.execute("INSERT INTO log (worker, n, note) VALUES (%s, 7000, %s)", (key, note))
        row = conn.execute("SELECT length(note), note FROM log WHERE worker = %s AND n = 7000", (key,)).fetchone()
        report.say("large", [row[0], row[1] == note])
        rows = conn.execute("SELECT id, repeat('x', 100) FROM customers, generate_series(1, 20000) WHERE id = %s", (key,)).fetchall()
        report.say("rows", [len(rows), len({row for row in rows})])


def settings(report, key):
    """What leaves something behind on its server: seen by its owner for as long as it lives, by nobody else."""
    with connect(autocommit=True) as conn:
        with conn.transaction():
            conn.execute("SET LOCAL statement_timeout = '7s'")
            report.say("local", conn.execute("SHOW statement_timeout").fetchone())
        report.say("gone", conn.execute("SHOW statement_timeout").fetchone())
        conn.execute("SET statement_timeout = '8s'")
        report.say("mine", conn.execute("SHOW statement_timeout").fetchone())
        conn.execute("SELECT set_config('TimeZone', 'Asia/Tokyo', false)")
        report.say("zone", [conn.info.parameter_status("TimeZone"), conn.execute("SHOW timezone").fetchone()])
        conn.execute("CREATE TEMP TABLE scratch (n int)")
        conn.execute("INSERT INTO scratch VALUES (1), (2)")
        report.say("scratch", conn.execute("SELECT sum(n) FROM scratch").fetchone())
        conn.execute("DISCARD ALL")
        report.say("reset", conn.execute("SHOW statement_timeout").fetchone())
    with connect(autocommit=True, options="-c statement_timeout=9s", application_name=f"worker {key}") as conn:
        report.say("options", conn.execute("SHOW statement_timeout").fetchone())
        report.say("name", conn.execute("SHOW application_name").fetchone())
        conn.execute("SELECT name FROM customers WHERE id = %s", (key,))
    with connect(autocommit=True) as conn:
        report.say("fresh", conn.execute("SHOW statement_timeout").fetchone())
        report.say("name", conn.execute("SHOW application_name").fetchone())
        try:
            conn.execute("SELECT * FROM scratch")
        except psycopg.Error as error:
            report.failed(error)


def client_side(report, key):
    """Parameters put into the text by the driver, and several statements in one string."""
    with connect(cursor_factory=psycopg.ClientCursor) as conn:
        cur = conn.cursor()
        cur.execute("UPDATE customers SET name = %s WHERE id = %s", ("O'Brien \\ é", key))
        report.say("name", cur.execute("SELECT name FROM customers WHERE id = %s", (key,)).fetchone())
        cur.execute("SELECT name FROM customers WHERE id = %s; SELECT balance FROM customers WHERE id = %s", (key, key))
        report.say("first", cur.fetchall())
        report.say("more", cur.nextset())
        report.say("second", cur.fetchall())


def work(report):
    key = 1000 + report.worker
    for case in chosen(CASES, ARGS.only):
        report.case = case.__name__
        try:
            case(report, key)
        except Exception as error:  # told as a result: the plain server gave another one
            report.failed(error)


CASES = [types, prepared, evicted, many, blocks, failed, pipeline, cursors, copies, large, settings, client_side]
REPORTS = [Report(n) for n in range(ARGS.workers)]
THREADS = [threading.Thread(target=work, args=(report,)) for report in REPORTS]
for thread in THREADS:
    thread.start()
for thread in THREADS:
    thread.join()
show(REPORTS)
