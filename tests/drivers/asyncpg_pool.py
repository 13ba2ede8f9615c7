"""asyncpg, all settings as they come: the statement cache, the pool with its reset query, cursors, COPY, types looked up."""

import asyncio
import datetime
import decimal
import json

import asyncpg

from common import Report, arguments, chosen, show

ARGS = arguments()
TO = {"host": "127.0.0.1", "port": ARGS.port, "user": "app", "password": "app", "database": ARGS.dbname}


async def connect(**more):
    return await asyncpg.connect(**TO, **more)


async def fetching(report, key, pool):
    conn = await connect()
    try:
        row = (key, "Zoë", decimal.Decimal("12.50"), datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC), ["a", None, 'b"c'])
        report.say("status", await conn.execute("INSERT INTO customers VALUES ($1, $2, $3, $4, $5)", *row))
        report.say("row", await conn.fetchrow("SELECT * FROM customers WHERE id = $1", key))
        for n in range(8):
            report.say("val", await conn.fetchval("SELECT balance + $2 FROM customers WHERE id = $1", key, n))
        report.say("fetch", await conn.fetch("SELECT name, tags FROM customers WHERE id = $1", key))
        report.say("none", await conn.fetchrow("SELECT name FROM customers WHERE id = $1", -key))
        report.say("script", await conn.execute(f"UPDATE customers SET name = 'a' WHERE id = {key}; UPDATE customers SET name = 'b' WHERE id = {key}"))
        report.say("name", await conn.fetchval("SELECT name FROM customers WHERE id = $1", key))
        statement = await conn.prepare("SELECT $2::int + id FROM customers WHERE id = $1")
        report.say("parameters", [p.name for p in statement.get_parameters()])
        report.say("attributes", [a.type.name for a in statement.get_attributes()])
        report.say("values", [await statement.fetchval(key, n) for n in range(5)])
    finally:
        await conn.close()


async def many(report, key, pool):
    async with pool.acquire() as conn:
        await conn.executemany("INSERT INTO orders VALUES ($1, $2, $3, $4)", [(key, n, f"many {n}", n) for n in range(300)])
        report.say("sum", await conn.fetchval("SELECT sum(qty) FROM orders WHERE customer_id = $1", key))
        try:
            await conn.executemany("INSERT INTO orders VALUES ($1, $2, '', 0)", [(key, 1000), (key, 3), (key, 1001)])
        except asyncpg.PostgresError as error:
            report.failed(error)
        report.say("none of it", await conn.fetchval("SELECT count(*) FROM orders WHERE customer_id = $1 AND id >= 1000", key))
        rows = await conn.fetchmany("UPDATE orders SET qty = qty + 1 WHERE customer_id = $1 AND id = $2 RETURNING qty", [(key, 1), (key, 2)])
        report.say("returned", rows)


async def pooled(report, key, pool):
    """Every acquire and release runs the pool's reset query; the statement cache lives on."""
    for n in range(15):
        async with pool.acquire() as conn:
            async with conn.transaction():
                await conn.execute("UPDATE customers SET balance = $2 WHERE id = $1", key, decimal.Decimal(n))
            report.say("balance", await conn.fetchval("SELECT balance FROM customers WHERE id = $1", key))
    report.say("direct", await pool.fetchval("SELECT balance FROM customers WHERE id = $1", key))
    report.say("at once", await asyncio.gather(*(pool.fetchval("SELECT balance + $2 FROM customers WHERE id = $1", key, n) for n in range(20))))


async def blocks(report, key, pool):
    async with pool.acquire() as conn:
        async with conn.transaction():
            await conn.execute("UPDATE customers SET name = 'outer' WHERE id = $1", key)
            try:
                async with conn.transaction():
                    await conn.execute("UPDATE customers SET name = 'inner' WHERE id = $1", key)
                    await conn.execute("INSERT INTO customers (id, name) VALUES ($1, 'twice')", key)
            except asyncpg.PostgresError as error:
                report.failed(error)
            report.say("name", await conn.fetchval("SELECT name FROM customers WHERE id = $1", key))
        transaction = conn.transaction(isolation="repeatable_read")
        await transaction.start()
        report.say("isolation", await conn.fetchval("SELECT current_setting('transaction_isolation') FROM customers WHERE id = $1", key))
        await transaction.rollback()
        try:
            async with conn.transaction(readonly=True):
                await conn.execute("UPDATE customers SET name = 'read only' WHERE id = $1", key)
        except asyncpg.PostgresError as error:
            report.failed(error)
        try:
            await conn.fetchval("SELECT 1 / (id - $1) FROM customers WHERE id = $1", key)
        except asyncpg.PostgresError as error:
            report.failed(error)
        report.say("after", await conn.fetchval("SELECT name FROM customers WHERE id = $1", key))


async def cursors(report, key, pool):
    """Portals: what is left of a result between two round trips."""
    async with pool.acquire() as conn:
        async with conn.transaction():
            seen = [row["id"] async for row in conn.cursor("SELECT id FROM orders WHERE customer_id = $1 ORDER BY id", key, prefetch=16)]
            report.say("seen", [len(seen), seen[:2], seen[-2:]])
            cursor = await conn.cursor("SELECT id, qty FROM orders WHERE customer_id = $1 ORDER BY id", key)
            report.say("one", await cursor.fetchrow())
            report.say("skipped", await cursor.forward(10))
            other = await conn.cursor("SELECT id FROM orders WHERE customer_id = $1 ORDER BY id DESC", key)
            report.say("other", await other.fetch(3))
            report.say("some", await cursor.fetch(3))


async def copies(report, key, pool):
    async with pool.acquire() as conn:
        records = [(key, n, f"note {n} \t\\ é") for n in range(3000)]
        report.say("in", await conn.copy_records_to_table("log", records=records, columns=["worker", "n", "note"]))
        parts = []

        async def keep(part):
            parts.append(part)

        report.say("out", await conn.copy_from_query("SELECT n, note FROM log WHERE worker = $1 AND n < 3 ORDER BY n", key, output=keep))
        report.say("text", b"".join(parts).decode())
        try:
            await conn.copy_records_to_table("log", records=[(key, 1, "x"), (key, "no number", "x")], columns=["worker", "n", "note"])
        except (asyncpg.PostgresError, asyncpg.DataError) as error:
            report.failed(error)
        report.say("count", await conn.fetchval("SELECT count(*) FROM log WHERE worker = $1", key))


async def looked_up(report, key, pool):
    """Types that the driver asks the catalog about."""
    async with pool.acquire() as conn:
        await conn.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
        await conn.execute("INSERT INTO log (worker, n, doc, feeling, feelings) VALUES ($1, -1, $2, 'glad', $3)", key, {"a": [1]}, ["sad", "fine"])
        report.say("row", await conn.fetchrow("SELECT doc, feeling, feelings FROM log WHERE worker = $1 AND n = -1", key))
        report.say("composite", await conn.fetchval("SELECT (worker, n) FROM log WHERE worker = $1 AND n = -1", key))


async def settings(report, key, pool):
    conn = await connect(server_settings={"statement_timeout": "9s", "application_name": f"worker {key}"})
    try:
        report.say("given", [await conn.fetchval("SHOW statement_timeout"), await conn.fetchval("SHOW application_name")])
        await conn.execute("SET statement_timeout = '8s'")
        report.say("set", await conn.fetchval("SHOW statement_timeout"))
        await conn.reset()
        report.say("reset", await conn.fetchval("SHOW statement_timeout"))
        report.say("row", await conn.fetchval("SELECT name FROM customers WHERE id = $1", key))
    finally:
        await conn.close()
    report.say("others", await pool.fetchval("SHOW statement_timeout"))


async def timed_out(report, key, pool):
    """The driver cancels by itself; its connection goes on."""
    async with pool.acquire() as conn:
        try:
            await conn.fetchval("SELECT pg_sleep(60) FROM customers WHERE id = $1", key, timeout=1)
        except (TimeoutError, asyncio.TimeoutError):
            report.say("timed out")
        report.say("goes on", await conn.fetchval("SELECT name FROM customers WHERE id = $1", key))


async def work(report):
    key = 3000 + report.worker
    async with asyncpg.create_pool(**TO, min_size=1, max_size=3) as pool:
        for case in chosen(CASES, ARGS.only):
            report.case = case.__name__
            try:
                await case(report, key, pool)
            except Exception as error:  # told as a result: the plain server gave another one
                report.failed(error)


async def main():
    reports = [Report(n) for n in range(ARGS.workers)]
    await asyncio.gather(*(work(report) for report in reports))
    show(reports)


CASES = [fetching, many, pooled, blocks, cursors, copies, looked_up, settings, timed_out]
asyncio.run(main())
