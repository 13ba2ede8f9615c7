//! HTTP: `/metrics`, `/healthz`, `/readyz`, and a page that lists them.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::metrics;
use super::sources::Sources;

/// Serves on `listener` until `stop` turns true; answers begun before are finished.
///
/// # Errors
/// What the listener says.
pub async fn serve(listener: TcpListener, sources: Arc<Sources>, mut stop: watch::Receiver<bool>) -> io::Result<()> {
    let stopped = async move {
        // An error means that the sender is gone, and with it the proxy.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    axum::serve(listener, router(sources)).with_graceful_shutdown(stopped).await
}

fn router(sources: Arc<Sources>) -> Router {
    Router::new()
        .route("/", get(|| async { Html(PAGE) }))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(render))
        .with_state(sources)
}

async fn readyz(State(sources): State<Arc<Sources>>) -> Response {
    let reasons = sources.unready();
    if reasons.is_empty() {
        return "ready\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n").into_response()
}

async fn render(State(sources): State<Arc<Sources>>) -> Response {
    match metrics::render(&sources) {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

const PAGE: &str = concat!(
    "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>pgweave</title>\n<h1>pgweave ",
    env!("CARGO_PKG_VERSION"),
    "</h1>\n<ul>\n<li><a href=\"/metrics\">/metrics</a>: numbers for Prometheus, in OpenMetrics\n",
    "<li><a href=\"/healthz\">/healthz</a>: the process is alive\n",
    "<li><a href=\"/readyz\">/readyz</a>: clients are taken and every shard has a primary; else 503 with the reasons\n",
    "</ul>\n<p>The console is the database <code>pgweave</code> on the client port: ",
    "<code>psql -p 6432 pgweave -c 'SHOW HELP'</code>.</p>\n</html>\n"
);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;
    use crate::admin::testing::sources;
    use crate::stats::ClientState;

    async fn start(sources: &Arc<Sources>) -> (std::net::SocketAddr, watch::Sender<bool>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(serve(listener, sources.clone(), stopped));
        (address, stop)
    }

    async fn get(address: std::net::SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn alive_but_not_ready() {
        let (sources, _reloads) = sources();
        let (address, stop) = start(&sources).await;
        assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        let answer = get(address, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains("not taking clients\n"), "{answer}");
        assert!(answer.contains("shard \"s2\" of database \"shop\" has no primary\n"), "{answer}");
        sources.readiness.set_listening();
        assert!(!get(address, "/readyz").await.contains("not taking clients"));
        sources.readiness.set_draining();
        assert!(get(address, "/readyz").await.contains("not taking clients"));
        assert!(get(address, "/nothing").await.starts_with("HTTP/1.1 404"));
        let page = get(address, "/").await;
        assert!(["/metrics", "/healthz", "/readyz"].iter().all(|path| page.contains(path)), "{page}");
        stop.send_replace(true);
        // The listener is closed when nobody is served any more; until then connections may still be taken.
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn metrics_are_openmetrics_of_bounded_labels() {
        let (sources, _reloads) = sources();
        let (address, _stop) = start(&sources).await;
        sources.databases.load()["shop"].stats.direct.add(3);
        let client = sources.clients.register("app", "shop", "x:1".into(), false, "");
        client.info.set_state(ClientState::Active);
        let stranger = sources.clients.register("app", "no_such_database", "x:2".into(), false, "");
        let answer = get(address, "/metrics").await;
        assert!(answer.contains("application/openmetrics-text; version=1.0.0"), "{answer}");
        for line in [
            "# TYPE pgweave_statements_direct counter",
            "pgweave_statements_direct_total{database=\"shop\"} 3",
            "pgweave_clients{database=\"shop\"} 1",
            "pgweave_clients_by_state{database=\"shop\",state=\"active\"} 1",
            "pgweave_clients_by_state{database=\"shop\",state=\"idle\"} 0",
            "pgweave_map_epoch{database=\"shop\"} 1",
            "pgweave_ready 0",
            concat!("pgweave_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
            "# EOF",
        ] {
            assert!(answer.lines().any(|found| found == line), "{line} is not in\n{answer}");
        }
        assert!(!answer.contains("no_such_database"), "{answer}");
        drop((client, stranger));
        assert!(get(address, "/metrics").await.contains("pgweave_clients{database=\"shop\"} 0\n"));
    }
}
