"""psycopg 3 with tasks, all settings as they come: connections opened and closed all the time, and many statements at once."""

import asyncio

import psycopg

from common import Report, arguments, chosen, show

ARGS = arguments()


async def connect(**more):
    return await psycopg.AsyncConnection.connect(
        host="127.0.0.1", port=ARGS.port, user="app", password="app", dbname=ARGS.dbname, **more
    )


async def short_lived(report, key):
    for n in range(10):
        async with await connect() as conn:
            await conn.execute("INSERT INTO orders VALUES (%s, %s, 'short', %s)", (key, n, n))
    async with await connect() as conn:
        cur = await conn.execute("SELECT id, qty FROM orders WHERE customer_id = %s AND item = 'short' ORDER BY id", (key,))
        report.say("rows", await cur.fetchall())


async def transfer(report, key):
    """Two connections of one worker that take turns on one row, in transactions."""
    async with await connect(autocommit=True) as one, await connect(autocommit=True) as other:
        await one.execute("INSERT INTO customers (id, name, balance) VALUES (%s, 'turns', 0)", (key,))

        async def add(conn):
            for _ in range(20):
                async with conn.transaction():
                    cur = await conn.execute("SELECT balance FROM customers WHERE id = %s FOR UPDATE", (key,))
                    (balance,) = await cur.fetchone()
                    await conn.execute("UPDATE customers SET balance = %s WHERE id = %s", (balance + 1, key))

        await asyncio.gather(add(one), add(other))
        cur = await other.execute("SELECT balance FROM customers WHERE id = %s", (key,))
        report.say("balance", await cur.fetchone())


async def pipeline(report, key):
    async with await connect(autocommit=True) as conn:
        async with conn.pipeline() as pipe, conn.cursor() as cur:
            await cur.executemany("INSERT INTO orders VALUES (%s, %s, 'piped', %s)", [(key, 100 + n, n) for n in range(200)])
            await pipe.sync()
            cursors = [await conn.execute("SELECT qty FROM orders WHERE customer_id = %s AND id = %s", (key, 100 + n)) for n in range(200)]
            report.say("sum", sum([(await cur.fetchone())[0] for cur in cursors]))
            try:
                await conn.execute("SELECT no_such_column FROM orders WHERE customer_id = %s", (key,))
                await pipe.sync()
            except psycopg.Error as error:
                report.failed(error)
            cur = await conn.execute("SELECT count(*) FROM orders WHERE customer_id = %s AND item = 'piped'", (key,))
            report.say("count", await cur.fetchone())


async def cancelled(report, key):
    """A statement that is cancelled gives its server back in order; the connection goes on."""
    async with await connect(autocommit=True) as conn:
        task = asyncio.create_task(conn.execute("SELECT pg_sleep(60), name FROM customers WHERE id = %s", (key,)))
        async with await connect(autocommit=True) as other:
            # The cancel must not come before the statement: it is asked for again until the statement has ended.
            while not task.done():
                await conn.cancel_safe()
                await asyncio.wait([task], timeout=0.1)
            cur = await other.execute("SELECT name FROM customers WHERE id = %s", (key,))
            report.say("other", await cur.fetchone())
        try:
            await task
        except psycopg.Error as error:
            report.failed(error)
        cur = await conn.execute("SELECT name FROM customers WHERE id = %s", (key,))
        report.say("goes on", await cur.fetchone())


async def copies(report, key):
    async with await connect() as conn, conn.cursor() as cur:
        async with cur.copy("COPY log (worker, n, note) FROM STDIN") as copy:
            for n in range(5000):
                await copy.write_row((key, n, "async"))
        report.say("copied", cur.rowcount)
        total = 0
        async with cur.copy("COPY log (worker, n, note) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["int4", "int4", "text"])
            async for row in copy.rows():
                total += row[1] if row[0] == key and row[2] == "async" else 0
        report.say("sum", total)


async def vanishing(report, key):
    """A connection that is dropped in a transaction leaves nothing behind."""
    conn = await connect()
    await conn.execute("UPDATE customers SET name = 'vanished' WHERE id = %s", (key,))
    conn.pgconn.finish()
    async with await connect() as conn:
        cur = await conn.execute("SELECT name FROM customers WHERE id = %s FOR UPDATE", (key,))
        report.say("name", await cur.fetchone())


async def work(report):
    key = 2000 + report.worker
    for case in chosen(CASES, ARGS.only):
        report.case = case.__name__
        try:
            await case(report, key)
        except Exception as error:  # told as a result: the plain server gave another one
            report.failed(error)


async def main():
    reports = [Report(n) for n in range(ARGS.workers)]
    await asyncio.gather(*(work(report) for report in reports))
    show(reports)


CASES = [short_lived, transfer, pipeline, cancelled, copies, vanishing]
asyncio.run(main())
