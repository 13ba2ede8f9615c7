//! What a statement costs before it is sent: cutting into tokens, the fingerprint, a hit in the cache, and the first time.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pgweave::sql::fingerprint::{self, FingerprintKey};
use pgweave::sql::{Context, PlanCache, Schema, analyse, lexer, split};

const KEY: FingerprintKey = FingerprintKey(*b"a bench's own ke");

fn statements() -> Vec<(&'static str, String)> {
    let mapper = "SELECT u.id, u.email, u.name, u.created_at, u.active, u.score, o.order_id, o.status, o.total, o.placed_at \
                  FROM users AS u JOIN orders AS o ON o.user_id = u.id LEFT JOIN items AS i ON i.item_order = o.order_id \
                  WHERE u.id = 4711 AND o.status IN ('new', 'paid') AND i.qty > 3 ORDER BY o.placed_at DESC LIMIT 20";
    let rows: Vec<String> = (0..1_000).map(|n| format!("({n}, 'name {n}', {}, 'x', -5)", n * 7)).collect();
    vec![
        ("begin", "BEGIN".to_owned()),
        ("pgbench_select", "SELECT abalance FROM pgbench_accounts WHERE aid = 4242;".to_owned()),
        ("pgbench_update", "UPDATE pgbench_accounts SET abalance = abalance + -1234 WHERE aid = 4242;".to_owned()),
        ("mapper", mapper.to_owned()),
        ("insert_1000", format!("INSERT INTO t (a, b, c, d, e) VALUES {}", rows.join(", "))),
    ]
}

fn route(criterion: &mut Criterion) {
    let context = Context { search_path: vec!["public".to_owned()], standard_conforming_strings: true };
    let schema = Schema::default();
    for (name, text) in statements() {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(text.len() as u64));
        let mut tokens = Vec::new();
        group.bench_function("lex", |bencher| {
            bencher.iter(|| lexer::lex_into(black_box(&text), true, &mut tokens).map(|()| tokens.len()));
        });
        group.bench_function("split", |bencher| bencher.iter(|| split(black_box(&text), true)));
        let mut literals = Vec::new();
        group.bench_function("fingerprint_exact", |bencher| {
            bencher.iter(|| fingerprint::exact(KEY, 1, black_box(&text)));
        });
        group.bench_function("fingerprint_lifted", |bencher| {
            bencher.iter(|| fingerprint::lifted(KEY, 1, black_box(&text), true, &mut literals));
        });
        let cache = PlanCache::new(KEY, 1_000, 256 << 20);
        let make = || analyse(&text, &context, &schema);
        cache.lookup_exact(&text, true, 1, &mut literals, make);
        cache.lookup_lifted(&text, true, 1, &mut literals, make);
        group.bench_function("hit_exact", |bencher| {
            bencher.iter(|| cache.lookup_exact(black_box(&text), true, 1, &mut literals, make).1);
        });
        group.bench_function("hit_lifted", |bencher| {
            bencher.iter(|| cache.lookup_lifted(black_box(&text), true, 1, &mut literals, make).1);
        });
        group.bench_function("analyse", |bencher| bencher.iter(|| analyse(black_box(&text), &context, &schema)));
        group.finish();
    }
}

criterion_group!(benches, route);
criterion_main!(benches);
