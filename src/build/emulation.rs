//! QEMU for platforms a builder cannot run, installed through Docker's API as
//! docker/setup-qemu-action does. It changes the kernel's list of emulators and nothing else, and
//! only when a wanted platform is missing.
//!
//! API: <https://docs.docker.com/reference/api/engine/version/v1.41/>.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::error::Remedy as _;
use crate::image::Platform;
use crate::page::RefusalPage;

/// The installer, by digest, as docker/setup-qemu-action would pull it by tag.
pub const BINFMT_IMAGE: &str = "docker.io/tonistiigi/binfmt:qemu-v10.2.3-68@sha256:400a4873b838d1b89194d982c45e5fb3cda4593fbfd7e08a02e76b03b21166f0";

/// Installs emulators for these platforms. `socket` is Docker's.
pub async fn install(socket: &Path, image: &str, platforms: &[&Platform]) -> anyhow::Result<()> {
    let architectures: Vec<&str> =
        platforms.iter().map(|platform| platform.architecture.as_str()).collect();
    let docker = Docker::at(socket)?;
    let result = async {
        docker.pull(image).await?;
        docker.run_privileged(image, &["--install", &architectures.join(",")]).await
    };
    result
        .await
        .with_context(|| format!("no emulator could be installed for `{}`", architectures.join(",")))
        .hint("build on native runners, give a `builder-endpoint` that can build these platforms, or leave them out of `platforms`")
        .see(RefusalPage::NoEmulator)
}

/// Docker's engine, as far as it is needed here.
struct Docker {
    http: reqwest::Client,
}

impl Docker {
    fn at(socket: &Path) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .unix_socket(socket.to_owned())
            .timeout(Duration::from_secs(300))
            .build()?;
        Ok(Self { http })
    }

    async fn send(&self, request: reqwest::RequestBuilder, what: &str) -> anyhow::Result<String> {
        let answer =
            request.send().await.with_context(|| format!("Docker did not answer: {what}"))?;
        let status = answer.status();
        let body = answer.text().await.unwrap_or_default();
        if status.is_success() || status.as_u16() == 304 {
            return Ok(body);
        }
        let message = serde_json::from_str::<Value>(&body)
            .ok()
            .and_then(|error| Some(error["message"].as_str()?.to_owned()));
        bail!("Docker answered {status} to {what}: {}", message.unwrap_or(body))
    }

    fn url(path: &str) -> String {
        format!("http://docker/v1.41{path}")
    }

    async fn pull(&self, image: &str) -> anyhow::Result<()> {
        if self
            .send(self.http.get(Self::url(&format!("/images/{image}/json"))), "inspecting an image")
            .await
            .is_ok()
        {
            return Ok(());
        }
        let request = self.http.post(Self::url("/images/create")).query(&[("fromImage", image)]);
        let progress = self.send(request, &format!("pulling `{image}`")).await?;
        // A failed pull is a success with an error in its progress.
        let failed = progress
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find_map(|line| Some(line["error"].as_str()?.to_owned()));
        match failed {
            Some(error) => bail!("`{image}` could not be pulled: {error}"),
            None => Ok(()),
        }
    }

    async fn run_privileged(&self, image: &str, arguments: &[&str]) -> anyhow::Result<()> {
        let container =
            json!({ "Image": image, "Cmd": arguments, "HostConfig": { "Privileged": true } });
        let created = self
            .send(
                self.http.post(Self::url("/containers/create")).json(&container),
                "creating a container",
            )
            .await?;
        let created: Value =
            serde_json::from_str(&created).context("Docker's answer cannot be read")?;
        let id = created["Id"].as_str().context("Docker named no container")?.to_owned();
        let outcome = self.run(&id).await;
        let removal =
            self.http.delete(Self::url(&format!("/containers/{id}"))).query(&[("force", "true")]);
        let removed = self.send(removal, "removing a container").await;
        outcome?;
        removed.map(drop)
    }

    async fn run(&self, id: &str) -> anyhow::Result<()> {
        self.send(
            self.http.post(Self::url(&format!("/containers/{id}/start"))),
            "starting a container",
        )
        .await?;
        let waited = self
            .send(
                self.http.post(Self::url(&format!("/containers/{id}/wait"))),
                "waiting for a container",
            )
            .await?;
        let waited: Value =
            serde_json::from_str(&waited).context("Docker's answer cannot be read")?;
        if waited["StatusCode"] == 0 {
            return Ok(());
        }
        let logs = self
            .http
            .get(Self::url(&format!("/containers/{id}/logs")))
            .query(&[("stdout", "true"), ("stderr", "true")]);
        let logs = self.send(logs, "reading a container's log").await.unwrap_or_default();
        let readable: String =
            logs.chars().filter(|letter| !letter.is_control() || *letter == '\n').collect();
        bail!("the installer ended with {}: {}", waited["StatusCode"], readable.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    use axum::extract::{Request, State};
    use axum::http::StatusCode;
    use axum::response::{IntoResponse as _, Response};
    use tokio::net::UnixListener;

    type Seen = Arc<Mutex<Vec<String>>>;

    /// Docker's API as far as documented for these calls; `exit` is what the container ends with.
    async fn docker(exit: u8, pull_error: bool) -> (tempfile::TempDir, Seen) {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("docker.sock")).unwrap();
        let seen: Seen = Arc::default();
        let state = (seen.clone(), exit, pull_error);
        let app = axum::Router::new().fallback(answer).with_state(state);
        tokio::spawn(async move { axum::serve(listener, app).await });
        (folder, seen)
    }

    async fn answer(
        State((seen, exit, pull_error)): State<(Seen, u8, bool)>,
        request: Request,
    ) -> Response {
        let (method, path) = (
            request.method().clone(),
            request.uri().path().trim_start_matches("/v1.41").to_owned(),
        );
        let body = axum::body::to_bytes(request.into_body(), 1 << 16).await.unwrap();
        seen.lock().unwrap().push(format!("{method} {path} {}", String::from_utf8_lossy(&body)));
        match (method.as_str(), path.as_str()) {
            ("GET", image) if image.starts_with("/images/") => {
                (StatusCode::NOT_FOUND, json!({ "message": "no such image" }).to_string())
                    .into_response()
            }
            ("POST", "/images/create") if pull_error => {
                "{\"status\":\"Pulling\"}\n{\"error\":\"manifest unknown\"}\n".into_response()
            }
            ("POST", "/images/create") => "{\"status\":\"Pulling\"}\n".into_response(),
            ("POST", "/containers/create") => {
                (StatusCode::CREATED, json!({ "Id": "c1" }).to_string()).into_response()
            }
            ("POST", "/containers/c1/wait") => {
                json!({ "StatusCode": exit }).to_string().into_response()
            }
            ("GET", "/containers/c1/logs") => "cannot register".into_response(),
            _ => StatusCode::NO_CONTENT.into_response(),
        }
    }

    #[tokio::test]
    async fn runs_the_installer_for_the_missing_architectures_and_removes_it() {
        let (folder, seen) = docker(0, false).await;
        let (riscv, s390x): (Platform, Platform) =
            ("linux/riscv64".parse().unwrap(), "linux/s390x".parse().unwrap());
        install(&folder.path().join("docker.sock"), BINFMT_IMAGE, &[&riscv, &s390x]).await.unwrap();
        let seen = seen.lock().unwrap().clone();
        let created = seen.iter().find(|call| call.contains("/containers/create")).unwrap();
        assert!(
            created.contains(r#""Cmd":["--install","riscv64,s390x"]"#)
                && created.contains(r#""Privileged":true"#),
            "{created}"
        );
        assert!(seen.last().unwrap().starts_with("DELETE /containers/c1"), "{seen:?}");
    }

    #[tokio::test]
    async fn says_why_it_could_not() {
        let platform: Platform = "linux/riscv64".parse().unwrap();
        for (exit, pull_error, why) in
            [(1, false, "ended with 1: cannot register"), (0, true, "manifest unknown")]
        {
            let (folder, seen) = docker(exit, pull_error).await;
            let error = install(&folder.path().join("docker.sock"), BINFMT_IMAGE, &[&platform])
                .await
                .unwrap_err();
            assert!(crate::error::message(&error).contains(why), "{error:?}");
            assert!(pull_error || seen.lock().unwrap().last().unwrap().starts_with("DELETE"));
        }
        install(Path::new("/nowhere/docker.sock"), BINFMT_IMAGE, &[&platform]).await.unwrap_err();
    }
}
