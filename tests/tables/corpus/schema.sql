-- The tables that the corpus speaks of. Column names do not repeat, so that an unqualified one is nobody else's.
CREATE TABLE pgbench_accounts (aid int, bid int, abalance int, filler text);
CREATE TABLE pgbench_branches (b_bid int, bbalance int, b_filler text);
CREATE TABLE pgbench_tellers (tid int, t_bid int, tbalance int, t_filler text);
CREATE TABLE pgbench_history (h_tid int, h_bid int, h_aid int, delta int, mtime timestamp, h_filler text);
CREATE TABLE users (id int8, email text, name text, created_at timestamptz, active bool, score numeric, tags text, data jsonb);
CREATE TABLE orders (order_id int8, user_id int8, status text, total numeric, placed_at timestamptz, note varchar);
CREATE TABLE items (item_id int8, item_order int8, sku text, qty int, price numeric);
CREATE TABLE sales.region (region_id int, region_name text, parent int);
CREATE TABLE "Camel" ("Id" uuid, "Name" text, lower_name text);
CREATE TABLE customer (c_custkey int, c_name text, c_nationkey int, c_acctbal numeric, c_mktsegment text);
CREATE TABLE lineitem (l_orderkey int, l_partkey int, l_quantity numeric, l_extendedprice numeric, l_discount numeric, l_tax numeric, l_returnflag text, l_linestatus text, l_shipdate date);
CREATE TABLE o (o_orderkey int, o_custkey int, o_totalprice numeric, o_orderdate date, o_orderpriority text);
CREATE TABLE nation (n_nationkey int, n_name text, n_regionkey int);
CREATE TABLE sbtest1 (sid int, k int, c text, pad text);
CREATE TABLE zz (a int, b int, x text, "interval" text, "user" text);
