//! `/metrics` and `/health` in plain HTTP, on an address that stays inside.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore};

use crate::{gateway::Gateway, handlers::respond};

/// Scrapers and health checks at once; more of them wait.
const CONNECTIONS: usize = 32;
/// A connection carries one request, and no longer than this.
const LONGEST: Duration = Duration::from_secs(10);

pub(super) async fn serve(listener: TcpListener, gateway: Arc<Gateway>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let gateway = Arc::clone(&gateway);
        tokio::spawn(async move {
            let _place = place;
            let service = service_fn(move |request: Request<Incoming>| {
                let response = answer(&gateway, &request);
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(LONGEST)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            // A scraper that goes away, or does not read, harms no one.
            let _ = tokio::time::timeout(LONGEST, connection).await;
        });
    }
}

fn answer(gateway: &Gateway, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => {
            gateway.update_gauges();
            respond(StatusCode::OK, OPEN_METRICS, gateway.metrics.encode().into())
        }
        (&Method::GET, "/health") => gateway.health(),
        _ => respond(StatusCode::NOT_FOUND, "text/plain", Bytes::from_static(b"not found\n")),
    }
}
