//! Makes a loopback HTTP/1.1 server out of a router, with faults, latency and a request log in
//! front; it never records a header or a body.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as HyperService, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::SandboxError;
use super::faults::{FaultEffect, Faults, Request, SandboxService, held};

pub(super) type RequestLog = Arc<Mutex<Vec<Request>>>;

/// What stands before every service.
#[derive(Clone)]
pub(super) struct ServerEdge {
    pub(super) service: SandboxService,
    pub(super) faults: Faults,
    pub(super) latency: Duration,
    pub(super) log: RequestLog,
}

#[derive(Debug, thiserror::Error)]
#[error("a programmed fault closed the connection")]
struct Dropped;

/// Binds `port`, or a free one; `preferred` is tried first so that a restarted sandbox keeps its
/// addresses.
pub(super) async fn bind(
    port: Option<u16>,
    preferred: Option<u16>,
) -> Result<TcpListener, SandboxError> {
    if let (None, Some(preferred)) = (port, preferred)
        && let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, preferred)).await
    {
        return Ok(listener);
    }
    let wanted = port.unwrap_or(0);
    TcpListener::bind((Ipv4Addr::LOCALHOST, wanted))
        .await
        .map_err(|source| SandboxError::Bind { port: wanted, source })
}

/// Serves until the returned task is aborted, which also ends its connections.
pub(super) fn serve(listener: TcpListener, router: Router, edge: ServerEdge) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        // Answers are small and latency is measured, so Nagle's delay would only
                        // distort.
                        let _ = stream.set_nodelay(true);
                        let edge = edge.clone();
                        let router = TowerToHyperService::new(router.clone());
                        let service = service_fn(move |request| {
                            let (edge, router) = (edge.clone(), router.clone());
                            async move { edge.answer(request, router).await }
                        });
                        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
                    }
                    // Out of file descriptors: give running connections a moment to close.
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
    })
}

impl ServerEdge {
    async fn answer(
        &self,
        request: hyper::Request<Incoming>,
        router: TowerToHyperService<Router>,
    ) -> Result<Response, Dropped> {
        let method = request.method().to_string();
        let path = request.uri().path().to_owned();
        let query = request.uri().query().map(str::to_owned);
        let target = request.uri().path_and_query().map_or(path.as_str(), |whole| whole.as_str());
        let effect = self.faults.effect(self.service, &method, target);
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        let answer = self.affected(effect, request, router).await;
        let status = answer.as_ref().map_or(0, |response| response.status().as_u16());
        held(&self.log).push(Request { service: self.service, method, path, query, status });
        answer
    }

    async fn affected(
        &self,
        effect: Option<FaultEffect>,
        request: hyper::Request<Incoming>,
        router: TowerToHyperService<Router>,
    ) -> Result<Response, Dropped> {
        let carry_out = |request: hyper::Request<Body>| async move {
            match router.call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        };
        match effect {
            None => Ok(carry_out(request.map(Body::new)).await),
            Some(FaultEffect::Drop) => Err(Dropped),
            Some(FaultEffect::CutBody(length)) => {
                carry_out(request.map(|body| cut(Body::new(body), length))).await;
                Err(Dropped)
            }
            Some(FaultEffect::LoseAnswer) => {
                carry_out(request.map(Body::new)).await;
                Err(Dropped)
            }
            Some(FaultEffect::Delay(duration)) => {
                tokio::time::sleep(duration).await;
                Ok(carry_out(request.map(Body::new)).await)
            }
            Some(FaultEffect::Status(status)) => {
                drain(request).await;
                Ok(refusal(status))
            }
            Some(FaultEffect::StatusRetryAfter(status, seconds)) => {
                drain(request).await;
                let mut response = refusal(status);
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
                Ok(response)
            }
            Some(FaultEffect::Body(bytes)) => {
                drain(request).await;
                Ok(([(CONTENT_TYPE, declared_type(&bytes))], bytes).into_response())
            }
            Some(FaultEffect::CutAnswer(length)) => {
                Ok(carry_out(request.map(Body::new)).await.map(|body| cut(body, length)))
            }
            Some(FaultEffect::Endless) => Ok(without_end(carry_out(request.map(Body::new)).await)),
            Some(FaultEffect::Corrupt) => Ok(corrupted(carry_out(request.map(Body::new)).await)),
            Some(FaultEffect::WithoutHeader(name)) => {
                let mut response = carry_out(request.map(Body::new)).await;
                if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
                    response.headers_mut().remove(name);
                }
                Ok(response)
            }
        }
    }
}

/// The first bytes of a body, then a connection that broke.
fn cut(body: Body, length: usize) -> Body {
    let mut left = length;
    let pieces = body.into_data_stream().map(move |piece| {
        let mut piece = piece.map_err(std::io::Error::other)?;
        if left == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
        }
        piece.truncate(left);
        left -= piece.len();
        Ok(piece)
    });
    Body::from_stream(pieces)
}

/// A body that goes on; its length is not said.
fn without_end(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    let more = futures_util::stream::repeat_with(|| Ok(Bytes::from_static(&[0; 1 << 14])));
    Response::from_parts(parts, Body::from_stream(body.into_data_stream().chain(more)))
}

/// Reads the body to its end, because an unread one makes the client see a reset instead of the
/// answer.
async fn drain(request: hyper::Request<Incoming>) {
    let mut body = Body::new(request.into_body()).into_data_stream();
    while let Some(Ok(_)) = body.next().await {}
}

fn refusal(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let code = match status.as_u16() {
        401 => "UNAUTHORIZED",
        403 => "DENIED",
        429 => "TOOMANYREQUESTS",
        _ => "UNKNOWN",
    };
    let message = "a programmed fault of the sandbox";
    let body = serde_json::json!({
        "code": status.as_u16(), "message": message, "errors": [{"code": code, "message": message}]
    });
    (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// The media type a replaced body claims for itself, so that a client judges the body and not its
/// header.
fn declared_type(bytes: &[u8]) -> String {
    let document: Option<serde_json::Value> = serde_json::from_slice(bytes).ok();
    match document.as_ref().map(|document| document["mediaType"].as_str()) {
        Some(Some(own)) => own.to_owned(),
        Some(None) => "application/json".to_owned(),
        None => "application/octet-stream".to_owned(),
    }
}

/// Flips one bit in the middle of the first piece of the body; the length stays what the headers
/// say.
fn corrupted(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let mut done = false;
    let pieces = body.into_data_stream().map(move |piece| {
        piece.map(|bytes| {
            if done || bytes.is_empty() {
                return bytes;
            }
            done = true;
            let mut changed = bytes.to_vec();
            let middle = changed.len() / 2;
            changed[middle] ^= 0x01;
            Bytes::from(changed)
        })
    });
    Response::from_parts(parts, Body::from_stream(pieces))
}
