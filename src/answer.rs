//! The body of a foreign answer → bytes, as many as are allowed and no more. It never waits for
//! ever where the request was given a deadline.

use std::time::Duration;

/// The largest answer of a token service or an API that anything here needs.
pub const LIMIT: usize = 1 << 20;
/// How long one request to such a service may take, from the connection to the last byte of its
/// answer.
pub const WITHIN: Duration = Duration::from_secs(30);

/// Why a body is not here.
#[derive(Debug, thiserror::Error)]
pub enum UnreadBody {
    #[error("its answer is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("its answer broke off: {}", innermost(.0))]
    Broken(#[source] reqwest::Error),
}

/// The reason itself; what lies around it repeats the address.
fn innermost(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}

/// The body, at most `limit` bytes.
///
/// # Errors
/// When there is more, or it does not come to its end.
pub async fn read(mut response: reqwest::Response, limit: usize) -> Result<Vec<u8>, UnreadBody> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(UnreadBody::Broken)? {
        if body.len() + chunk.len() > limit {
            return Err(UnreadBody::TooLarge { limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Loopback services that misbehave, for tests of whoever asks one.
#[cfg(test)]
pub(crate) mod bad {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// A service that begins every answer well, and then sends `more` again and again, with a pause
    /// between, until nobody listens.
    async fn serve(more: Vec<u8>, pause: std::time::Duration) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let more = more.clone();
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 4096]).await;
                    let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{\"token\":\"";
                    let mut sent = stream.write_all(head).await;
                    while sent.is_ok() {
                        tokio::time::sleep(pause).await;
                        sent = stream.write_all(&more).await;
                    }
                });
            }
        });
        format!("http://{host}")
    }

    /// A byte now and then, for ever.
    pub(crate) async fn dripping() -> String {
        serve(b"x".to_vec(), std::time::Duration::from_millis(10)).await
    }

    /// As much as the line takes, for ever.
    pub(crate) async fn endless() -> String {
        serve(vec![b'x'; 1 << 20], std::time::Duration::ZERO).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_without_end_is_not_kept_and_one_that_drips_is_left() {
        let http = reqwest::Client::new();
        let error =
            read(http.get(bad::endless().await).send().await.unwrap(), LIMIT).await.unwrap_err();
        assert!(matches!(error, UnreadBody::TooLarge { limit: LIMIT }), "{error}");
        let dripping = http
            .get(bad::dripping().await)
            .timeout(Duration::from_millis(300))
            .send()
            .await
            .unwrap();
        let error = read(dripping, LIMIT).await.unwrap_err();
        assert!(matches!(&error, UnreadBody::Broken(cause) if cause.is_timeout()), "{error}");
    }
}
