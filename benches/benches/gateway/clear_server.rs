//! The clear server: the same scores without encryption, over the same TLS, HTTP and protocol. It lives here because
//! the gateway itself never scores anything in the clear over the network.
//!
//! It takes two kinds of requests: INT8 features as binary tensor data, answered by INT64 scores as binary tensor
//! data, and FP32 features as JSON numbers, answered by JSON. It scores on the thread that read the request: two
//! microseconds of work are not worth a hop to a pool, which the gateway makes.

use std::{convert::Infallible, path::Path, sync::Arc, time::Duration};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::CONTENT_TYPE,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
use tiresias_server::{
    repository::{Repository, StoredModel},
    tls,
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{Failure, servers::announce, targets};

const HEADER_LENGTH: &str = "inference-header-content-length";
const MAXIMUM_BODY: usize = 64 << 10;

/// Serves until the process is killed.
pub(crate) fn serve(directory: &Path) -> Result<(), Failure> {
    let stored = Repository::new(&directory.join("models")).load(targets::PRIVACIES[0], None)?;
    let tls = tls::load(&tls::ensure_self_signed(&directory.join("tls"))?)?.server();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(accept(TlsAcceptor::from(tls), Arc::new(stored)))
}

async fn accept(acceptor: TlsAcceptor, model: Arc<StoredModel>) -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    announce(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let (acceptor, model) = (acceptor.clone(), Arc::clone(&model));
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(|request| {
                let model = Arc::clone(&model);
                async move { Ok::<_, Infallible>(respond(&model, request).await) }
            });
            // The gateway's own settings.
            let mut server = http1::Builder::new();
            server
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(10))
                .max_headers(64)
                .max_buf_size(64 << 10);
            // A peer that goes away harms no one.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn respond(model: &StoredModel, request: Request<Incoming>) -> Response<Full<Bytes>> {
    infer(model, request).await.unwrap_or_else(|status| {
        let mut response = Response::new(Full::default());
        *response.status_mut() = status;
        response
    })
}

#[derive(Deserialize)]
struct InferForm {
    inputs: [InputForm; 1],
}

#[derive(Deserialize)]
struct InputForm {
    name: String,
    datatype: String,
    shape: [usize; 2],
    /// FP32 features; none where they follow as binary tensor data.
    data: Option<Vec<f32>>,
}

#[derive(Serialize)]
struct Answer<'a, Output> {
    model_name: &'a str,
    model_version: String,
    outputs: [Output; 1],
}

#[derive(Serialize)]
struct BinaryOutput {
    name: &'static str,
    datatype: &'static str,
    shape: [usize; 2],
    parameters: BinarySize,
}

#[derive(Serialize)]
struct BinarySize {
    binary_data_size: usize,
}

#[derive(Serialize)]
struct JsonOutput {
    name: &'static str,
    datatype: &'static str,
    shape: [usize; 2],
    data: Vec<f64>,
}

async fn infer(model: &StoredModel, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, StatusCode> {
    if request.method() != Method::POST || request.uri().path() != targets::CLEAR_PATH {
        return Err(StatusCode::NOT_FOUND);
    }
    let header_length = request.headers().get(HEADER_LENGTH);
    let header_length: Option<usize> = header_length.and_then(|value| value.to_str().ok()?.parse().ok());
    let body = Limited::new(request.into_body(), MAXIMUM_BODY).collect();
    let body = body.await.map_err(|_| StatusCode::BAD_REQUEST)?.to_bytes();
    let length = header_length.unwrap_or(body.len());
    let (json, binary) = body.split_at_checked(length).ok_or(StatusCode::BAD_REQUEST)?;
    let form: InferForm = serde_json::from_slice(json).map_err(|_| StatusCode::BAD_REQUEST)?;
    let [InputForm { name, datatype, shape, data }] = form.inputs;
    let card = &model.card;
    if name != "features" || shape != [1, card.plan().shape().features] {
        return Err(StatusCode::UNPROCESSABLE_ENTITY);
    }

    let score = |row: &[i64]| model.head.scores(row).map_err(|_| StatusCode::UNPROCESSABLE_ENTITY);
    let shape = [1, card.plan().shape().classes];
    match (datatype.as_str(), data) {
        ("INT8", None) => {
            let row: Vec<i64> = binary.iter().map(|&byte| i64::from(byte as i8)).collect();
            let scores: Vec<u8> = score(&row)?.iter().flat_map(|score| score.to_le_bytes()).collect();
            let parameters = BinarySize { binary_data_size: scores.len() };
            let output = BinaryOutput { name: "scores", datatype: "INT64", shape, parameters };
            let mut body = answer(model, output)?;
            let header_length = body.len();
            body.extend_from_slice(&scores);
            let mut response = ok("application/octet-stream", body)?;
            response.headers_mut().insert(HEADER_LENGTH, header_length.into());
            Ok(response)
        }
        ("FP32", Some(features)) => {
            let features: Vec<f64> = features.into_iter().map(f64::from).collect();
            let quantized = card.quantizer().quantize(&features);
            let scores = score(&quantized.map_err(|_| StatusCode::UNPROCESSABLE_ENTITY)?.values)?;
            let data = scores.iter().map(|&score| score as f64 * card.score_scale()).collect();
            ok(
                "application/json",
                answer(model, JsonOutput { name: "scores", datatype: "FP64", shape, data })?,
            )
        }
        _ => Err(StatusCode::UNPROCESSABLE_ENTITY),
    }
}

fn answer<Output: Serialize>(model: &StoredModel, output: Output) -> Result<Vec<u8>, StatusCode> {
    let answer = Answer {
        model_name: model.card.name(),
        model_version: model.card.version().to_string(),
        outputs: [output],
    };
    serde_json::to_vec(&answer).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

fn ok(kind: &'static str, body: Vec<u8>) -> Result<Response<Full<Bytes>>, StatusCode> {
    let response = Response::builder().header(CONTENT_TYPE, kind).body(Full::new(body.into()));
    response.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}
