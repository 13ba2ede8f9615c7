//! A TCP relay that can be told to fail: what lies between the proxy and a server, or a client and the proxy.

use std::collections::HashMap;
use std::net::Shutdown;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::{io, net};

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// A relay to one server on 127.0.0.1. Threads, not tasks: it must not share a runtime with what it tests.
#[derive(Debug)]
pub struct Gate {
    /// Where to connect instead of to the server.
    pub port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Nothing is passed on, in either direction; connections stay open.
    held: bool,
    /// New connections are closed at once.
    closed: bool,
    /// Each connection is cut once so many bytes came from the server.
    cut_after: Option<u64>,
    /// Both sockets of every open connection.
    open: HashMap<u64, (TcpStream, TcpStream)>,
    /// Connections taken so far.
    taken: u64,
    /// Bytes from the server so far, all connections together.
    from_server: u64,
    /// The gate is gone: its threads end.
    ended: bool,
}

impl Gate {
    /// Opens a relay to `target` on 127.0.0.1.
    pub fn to(target: u16) -> Gate {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("binds a gate");
        let port = listener.local_addr().expect("has an address").port();
        let shared = Arc::new(Shared::default());
        let for_listener = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                if for_listener.lock().ended {
                    return;
                }
                // A server that is down closes the connection it would not have taken.
                let _ = take(&for_listener, client, target);
            }
        });
        Gate { port, shared }
    }

    /// Closes every connection now, both sides.
    pub fn cut(&self) {
        for (client, server) in self.shared.lock().open.values() {
            close(client, server);
        }
    }

    /// Cuts each connection once `bytes` more came from the server on it: in the middle of a result. Those that are open are
    /// counted from here, new ones from their start; [`Gate::mend`] ends it.
    pub fn cut_after(&self, bytes: u64) {
        self.change(|state| state.cut_after = Some(bytes));
    }

    /// Closes every connection, and new ones at once.
    pub fn close(&self) {
        self.change(|state| state.closed = true);
        self.cut();
    }

    /// Passes nothing on any more: connections stay open and silent, as when a network drops every packet.
    pub fn hold(&self) {
        self.change(|state| state.held = true);
    }

    /// Works again as at the start.
    pub fn mend(&self) {
        self.change(|state| {
            state.held = false;
            state.closed = false;
            state.cut_after = None;
        });
    }

    /// Connections taken since the start.
    pub fn taken(&self) -> u64 {
        self.shared.lock().taken
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.shared.lock().open.len()
    }

    /// Bytes from the server so far.
    // Counts what came from the server; it converts nothing.
    #[allow(clippy::wrong_self_convention)]
    pub fn from_server(&self) -> u64 {
        self.shared.lock().from_server
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.lock());
        self.shared.changed.notify_all();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.change(|state| state.ended = true);
        self.cut();
        // Wakes the listener, which then sees that it is to end.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while the gate is held; `false` when it is gone.
    fn pass(&self) -> bool {
        let state = self.lock();
        let state = self.changed.wait_while(state, |state| state.held && !state.ended);
        !state.unwrap_or_else(PoisonError::into_inner).ended
    }
}

fn take(shared: &Arc<Shared>, client: TcpStream, target: u16) -> io::Result<()> {
    if shared.lock().closed {
        return Ok(());
    }
    let server = TcpStream::connect(("127.0.0.1", target))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let id = {
        let mut state = shared.lock();
        state.taken += 1;
        let id = state.taken;
        state.open.insert(id, (client.try_clone()?, server.try_clone()?));
        id
    };
    let (from_client, to_server) = (client.try_clone()?, server.try_clone()?);
    let upward = shared.clone();
    thread::spawn(move || pump(&upward, from_client, to_server, None));
    let downward = shared.clone();
    thread::spawn(move || {
        pump(&downward, server, client, Some(id));
        downward.lock().open.remove(&id);
    });
    Ok(())
}

/// Passes bytes on in one direction until its end. With a connection's number the direction is the server's, whose bytes are
/// counted.
fn pump(shared: &Shared, mut from: TcpStream, mut to: TcpStream, counted: Option<u64>) {
    let mut chunk = [0; 8 * 1024];
    // The order to cut that is being followed, and the bytes since it came.
    let mut following = None;
    let mut since = 0;
    loop {
        let count = match from.read(&mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        if !shared.pass() {
            break;
        }
        let mut pass = count;
        if counted.is_some() {
            let mut state = shared.lock();
            if following != state.cut_after {
                (following, since) = (state.cut_after, 0);
            }
            if let Some(limit) = following {
                pass = pass.min(usize::try_from(limit.saturating_sub(since)).unwrap_or(pass));
            }
            since += pass as u64;
            state.from_server += pass as u64;
        }
        if to.write_all(&chunk[..pass]).is_err() {
            break;
        }
        if pass < count {
            close(&from, &to);
            break;
        }
    }
    // The end of one direction is passed on as such; the other goes on until its own end.
    let _ = to.shutdown(if counted.is_some() { Shutdown::Both } else { Shutdown::Write });
}

fn close(one: &TcpStream, other: &TcpStream) {
    // Closed already is as good.
    let _ = one.shutdown(net::Shutdown::Both);
    let _ = other.shutdown(net::Shutdown::Both);
}
