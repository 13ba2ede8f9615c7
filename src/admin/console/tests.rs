//! The console with a driver that knows nothing of it.

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::*;
use crate::admin::testing::sources;
use crate::map::{Epoch, ShardMap};
use crate::stats::ClientState;
use crate::wire::startup;

/// A client of a console; `stop` ends it.
async fn client(sources: &Arc<Sources>, is_admin: bool) -> (Client, watch::Sender<bool>) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let (stop, stopped) = watch::channel(false);
    let sources = sources.clone();
    tokio::spawn(async move {
        let mut buf = BytesMut::new();
        let taken = loop {
            theirs.read_buf(&mut buf).await.unwrap();
            if let Some((_, taken)) = startup::read(&buf).unwrap() {
                break taken;
            }
        };
        let leftover = buf.split_off(taken);
        let mut out = BytesMut::new();
        backend::authentication_ok(&mut out);
        framed::send(&mut theirs, &mut out).await.unwrap();
        serve(Stream::Unix(theirs), leftover, "app".into(), is_admin, sources, stopped).await;
    });
    let mut config = tokio_postgres::Config::new();
    config.user("app").dbname("pgweave");
    let (client, connection) = config.connect_raw(ours, NoTls).await.unwrap();
    tokio::spawn(connection);
    (client, stop)
}

fn rows(messages: Vec<SimpleQueryMessage>) -> Vec<Vec<Option<String>>> {
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect()),
        _ => None,
    });
    rows.collect()
}

#[tokio::test]
async fn every_table_has_the_same_shape_over_both_protocols() {
    let (sources, _reloads) = sources();
    let (client, _stop) = client(&sources, false).await;
    let registration = sources.clients.register("app", "shop", "10.0.0.1:99".into(), true, "psql");
    registration.info.set_state(ClientState::Waiting);
    for (show, word, _) in command::Show::ALL {
        let simple = rows(client.simple_query(&format!("show {word};")).await.unwrap());
        let statement = client.prepare(&format!("SHOW {word}")).await.unwrap();
        let names: Vec<&str> = statement.columns().iter().map(|column| column.name()).collect();
        assert_eq!(names, show::columns(show).iter().map(|(name, _)| *name).collect::<Vec<_>>(), "{word}");
        let extended = client.query(&statement, &[]).await.unwrap();
        assert_eq!(extended.len(), simple.len(), "{word}");
        assert!(simple.iter().all(|row| row.len() == names.len()), "{word}: {simple:?}");
    }
    // The driver asks for binary values.
    let found = client.query_one("SHOW CLIENTS", &[]).await.unwrap();
    assert_eq!(found.get::<_, &str>("state"), "waiting");
    assert_eq!((found.get::<_, &str>("addr"), found.get::<_, i64>("port")), ("10.0.0.1", 99));
    assert!(found.get::<_, bool>("tls"));
    drop(registration);
    assert!(client.query_opt("SHOW CLIENTS", &[]).await.unwrap().is_none());
}

#[tokio::test]
async fn the_map_is_shown_range_by_range() {
    let (sources, _reloads) = sources();
    let (client, _stop) = client(&sources, false).await;
    let found = rows(client.simple_query("SHOW MAP").await.unwrap());
    let found: Vec<String> = found
        .iter()
        .map(|row| row[2..].iter().map(|value| value.as_deref().unwrap_or("-")).collect::<Vec<_>>().join("|"))
        .collect();
    let tables = "public.customers (id), public.orders (customer_id)";
    assert_eq!(
        found,
        [
            format!("distribution|customers|hash|-|0|s1|{tables}"),
            format!("distribution|customers|hash|0|-|s2|{tables}"),
            "local|-|-|-|-|s2|public.audit_log".to_owned(),
            "reference|-|-|-|-|-|public.countries".to_owned(),
        ]
    );
    let epoch = async || client.query("SHOW MAP", &[]).await.unwrap()[0].get::<_, i64>("epoch");
    assert_eq!(epoch().await, 1);
    let map = &sources.databases.load()["shop"].map;
    map.store(Arc::new(ShardMap { epoch: Epoch(2), ..ShardMap::clone(&map.load()) }));
    assert_eq!(epoch().await, 2);
}

#[tokio::test]
async fn stats_and_settings() {
    let (sources, _reloads) = sources();
    let (client, _stop) = client(&sources, false).await;
    let direct = async || client.query_one("SHOW STATS", &[]).await.unwrap().get::<_, i64>("direct");
    assert_eq!(direct().await, 0);
    sources.databases.load()["shop"].stats.direct.add(3);
    assert_eq!(direct().await, 3);
    let config = rows(client.simple_query("SHOW CONFIG").await.unwrap());
    let value = |key: &str| config.iter().find(|row| row[0].as_deref() == Some(key)).and_then(|row| row[1].clone());
    assert_eq!(value("limits.clients").as_deref(), Some("10000"));
    assert!(!format!("{config:?}").contains("secret"));
}

#[tokio::test]
async fn what_is_no_command_is_refused_and_the_client_goes_on() {
    let (sources, _reloads) = sources();
    let (client, _stop) = client(&sources, false).await;
    for text in ["SELECT 1", "SHOW", "BEGIN"] {
        let simple = client.simple_query(text).await.unwrap_err();
        let extended = client.prepare(text).await.unwrap_err();
        for error in [simple, extended] {
            let error = error.as_db_error().unwrap();
            assert_eq!(error.code().code(), "42601");
            assert!(error.hint().unwrap().contains("POOLS|CLIENTS"), "{error:?}");
        }
    }
    let twice = client.prepare("SHOW LAG; SHOW MAP").await.unwrap_err();
    assert_eq!(twice.code().unwrap().code(), "42601");
    // The commands before the wrong one are answered; nothing behind it is.
    let messages = client.simple_query("SHOW VERSION; NONSENSE; SHOW VERSION").await;
    assert_eq!(messages.unwrap_err().code().unwrap().code(), "42601");
    assert_eq!(rows(client.simple_query("SHOW VERSION; SHOW VERSION").await.unwrap()).len(), 2);
    assert!(client.simple_query("").await.is_ok());
}

#[tokio::test]
async fn portals_are_fetched_from_in_pieces() {
    let (sources, _reloads) = sources();
    let (mut client, _stop) = client(&sources, false).await;
    let all = rows(client.simple_query("SHOW HELP").await.unwrap()).len();
    let statement = client.prepare("SHOW HELP").await.unwrap();
    // The driver opens a transaction for portals, which the console has not: so the refusal is what is seen, and the
    // pieces are tested by frames below.
    assert!(client.transaction().await.is_err());
    assert_eq!(client.query(&statement, &[]).await.unwrap().len(), all);
    let mut console = bare(&sources).await;
    console.parse(b"\0SHOW HELP\0\0\0").unwrap();
    console.bind(b"p\0\0\0\0\0\0\0\0").unwrap();
    let mut tags = String::new();
    let mut execute = async |rows: i32| {
        console.out.clear();
        let body = [b"p\0".as_slice(), &rows.to_be_bytes()].concat();
        console.execute(&body).await.unwrap();
        tags.clear();
        let mut rest = &console.out[..];
        while let Some(header) = frame::peek(rest).unwrap() {
            tags.push(char::from(header.tag));
            rest = &rest[header.frame_bytes()..];
        }
        tags.clone()
    };
    assert_eq!(execute(2).await, "DDs");
    assert_eq!(execute(1).await, "Ds");
    assert_eq!(execute(0).await, "D".repeat(all - 3) + "C");
    assert_eq!(execute(0).await, "C");
}

async fn bare(sources: &Arc<Sources>) -> Console {
    let (ours, _) = UnixStream::pair().unwrap();
    Console {
        stream: Stream::Unix(ours),
        inbuf: BytesMut::new(),
        out: BytesMut::new(),
        is_admin: false,
        sources: sources.clone(),
        statements: HashMap::new(),
        portals: HashMap::new(),
        skipping: false,
    }
}

#[tokio::test]
async fn reload_is_for_admins() {
    let (sources, mut reloads) = sources();
    let (plain, _stop) = client(&sources, false).await;
    assert_eq!(plain.simple_query("RELOAD").await.unwrap_err().code().unwrap().code(), "42501");
    let (admin, _stop) = client(&sources, true).await;
    let answering = tokio::spawn(async move {
        reloads.recv().await.unwrap().send(Ok(vec!["limits.clients: 1 -> 2".into()])).unwrap();
        reloads.recv().await.unwrap().send(Err("1:1: no such key".into())).unwrap();
    });
    admin.simple_query("RELOAD;").await.unwrap();
    let refused = admin.simple_query("reload").await.unwrap_err();
    assert_eq!(refused.as_db_error().unwrap().detail(), Some("1:1: no such key"));
    answering.await.unwrap();
    // Nobody is there to reload any more.
    assert_eq!(admin.simple_query("RELOAD").await.unwrap_err().code().unwrap().code(), "57P01");
}

#[tokio::test]
async fn a_console_ends_with_the_proxy() {
    let (sources, _reloads) = sources();
    let (client, stop) = client(&sources, false).await;
    client.simple_query("SHOW VERSION").await.unwrap();
    stop.send_replace(true);
    let error = client.simple_query("SHOW VERSION").await.unwrap_err();
    assert!(error.is_closed() || error.code().is_some_and(|code| code.code() == "57P01"), "{error:?}");
}

#[tokio::test]
async fn what_is_not_of_the_protocol_closes_the_client() {
    let (sources, _reloads) = sources();
    for bytes in [&b"Q\0\0\0\x03"[..], b"Z\0\0\0\x04", b"Q\0\0\0\x08abcd", b"Q\x7f\0\0\0"] {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let (_stop, stopped) = watch::channel(false);
        serve(Stream::Unix(theirs), BytesMut::from(bytes), "app".into(), false, sources.clone(), stopped).await;
        let mut told = Vec::new();
        ours.read_to_end(&mut told).await.unwrap();
        assert!(String::from_utf8_lossy(&told).contains("C08P01"), "{bytes:?}");
    }
}
