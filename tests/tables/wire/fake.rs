//! A server that lets everybody in: what it answers is up to the script. Only the monitor is answered here: a primary.

use bytes::{BufMut, BytesMut};
use pgweave::net::framed;
use pgweave::wire::startup::{self, Packet};
use pgweave::wire::{Diagnostic, SqlState, backend};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::script::Peer;
use crate::support::LIMIT;

/// The secret of every session; only the process ids differ.
pub const SECRET: u32 = 0x5ec4e7;

/// The role whose questions are not part of a script.
pub const MONITOR: &str = "monitor";

/// What the server reports of itself.
pub const PARAMETERS: [(&str, &str); 9] = [
    ("server_version", "15.4"),
    ("server_encoding", "UTF8"),
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO, MDY"),
    ("TimeZone", "UTC"),
    ("IntervalStyle", "postgres"),
    ("integer_datetimes", "on"),
    ("standard_conforming_strings", "on"),
    ("in_hot_standby", "off"),
];

/// A listening server; ends with the value.
#[derive(Debug)]
pub struct Fake {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    sessions: UnboundedReceiver<Peer>,
    cancels: UnboundedReceiver<(u32, u32)>,
    task: tokio::task::JoinHandle<()>,
}

impl Fake {
    /// Listens on a free port.
    pub async fn start() -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let port = listener.local_addr().expect("has an address").port();
        let (session, sessions) = unbounded_channel();
        let (cancel, cancels) = unbounded_channel();
        let task = tokio::spawn(async move {
            let mut process_id = 0;
            while let Ok((tcp, _)) = listener.accept().await {
                process_id += 1;
                let (session, cancel) = (session.clone(), cancel.clone());
                tokio::spawn(let_in(tcp, port, process_id, session, cancel));
            }
        });
        Fake { port, sessions, cancels, task }
    }

    /// The next connection that has logged in.
    pub async fn session(&mut self) -> Peer {
        let next = tokio::time::timeout(LIMIT / 3, self.sessions.recv()).await;
        next.expect("pgweave connects in time").expect("the server runs")
    }

    /// The process id and secret of the next request to cancel.
    pub async fn cancel(&mut self) -> (u32, u32) {
        let next = tokio::time::timeout(LIMIT / 3, self.cancels.recv()).await;
        next.expect("a request to cancel comes in time").expect("the server runs")
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn let_in(
    mut tcp: TcpStream,
    port: u16,
    process_id: u32,
    session: UnboundedSender<Peer>,
    cancel: UnboundedSender<(u32, u32)>,
) {
    let mut buf = BytesMut::new();
    let packet = loop {
        match startup::read(&buf).expect("pgweave sends a start-up packet") {
            Some((packet, bytes)) => {
                let _ = buf.split_to(bytes);
                break packet;
            }
            // A probe that went away.
            None if framed::fill(&mut tcp, &mut buf).await.is_err() => return,
            None => {}
        }
    };
    match packet {
        // The test may have ended.
        Packet::Cancel { process_id, secret } => drop(cancel.send((process_id, secret))),
        Packet::Startup(startup) => {
            let mut out = BytesMut::new();
            backend::authentication_ok(&mut out);
            for (name, value) in PARAMETERS {
                backend::parameter_status(&mut out, name, value);
            }
            backend::frame(&mut out, b'K', |out| {
                out.put_u32(process_id);
                out.put_u32(SECRET);
            });
            backend::ready_for_query(&mut out, b'I');
            framed::send(&mut tcp, &mut out).await.expect("pgweave listens");
            if startup.param("user") == Some(MONITOR) {
                answer_monitor(tcp, buf, port).await;
            } else {
                drop(session.send(Peer::new(tcp, buf.to_vec())));
            }
        }
        other => panic!("unexpected {other:?}"),
    }
}

/// Answers who the server is, and how it is: a primary that wrote a little on its first timeline.
async fn answer_monitor(mut tcp: TcpStream, mut buf: BytesMut, port: u16) {
    // As different as the ports: two shards of one identifier would be one server.
    let identifier = format!("7000000000000{port:06}");
    while let Ok(frame) = framed::read_frame(&mut tcp, &mut buf, 64 * 1024).await {
        let mut out = BytesMut::new();
        let question = String::from_utf8_lossy(&frame.body);
        if question.contains("pg_control_system") {
            backend::data_row(&mut out, &[Some(identifier.as_str()), Some("16777216")]);
            backend::command_complete(&mut out, "SELECT 1");
        } else if question.contains("pg_is_in_recovery") {
            backend::data_row(&mut out, &[Some("f"), Some("0/3000060"), None, Some("1"), None, Some("f")]);
            backend::command_complete(&mut out, "SELECT 1");
        } else {
            let no = Diagnostic::error(SqlState::FEATURE_NOT_SUPPORTED, "a scripted server has no catalogs");
            backend::diagnostic(&mut out, &no);
        }
        backend::ready_for_query(&mut out, b'I');
        if framed::send(&mut tcp, &mut out).await.is_err() {
            return;
        }
    }
}
