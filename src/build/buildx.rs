//! `Build` → `BuiltImage` by `buildx build`, pushed by digest. It believes nothing but the digest buildx reports, and fetches that.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use secrecy::ExposeSecret as _;

use super::BuiltImage;
use super::arguments::{self, Destination, SecretFile};
use crate::command::{Output, Program, find};
use crate::error::Remedy as _;
use crate::github::Environment;
use crate::image::{Digest, ImageRef, Repository};
use crate::inputs::BuildSecret;
use crate::plan::Build;
use crate::registry::{Credentials, Registry};

/// A builder of this run: buildx with private configuration, and what it builds with.
pub struct Buildx {
    program: Program,
    builder: String,
    /// A builder that must be removed when the run ends.
    owned: bool,
    folder: PathBuf,
    output: Output,
}

/// Where a run keeps what must not outlive it, and how it may draw.
pub struct Place<'a> {
    pub env: &'a Environment,
    pub private: &'a Path,
    pub terminal: bool,
}

impl Buildx {
    /// Sets buildx up in a private folder: logins, and a builder on `endpoint` or in Docker.
    pub async fn set_up(place: &Place<'_>, credentials: &Credentials, endpoint: Option<&str>) -> anyhow::Result<Self> {
        let (path, leading) = locate(place.env)?;
        let mut program = Program::new(path, leading, place.env).with_env("BUILDX_CONFIG", &place.private.join("buildx"));
        let config = credentials.docker_config();
        if config["auths"].as_object().is_some_and(|auths| !auths.is_empty()) {
            let folder = place.private.join("docker");
            std::fs::create_dir_all(&folder)?;
            write_private(&folder.join("config.json"), config.to_string().as_bytes())?;
            program = program.with_env("DOCKER_CONFIG", &folder);
        }
        // A big provenance in the metadata file would be read by nobody: evidence comes from the registry.
        let program = program.with_env("BUILDX_METADATA_PROVENANCE", Path::new("disabled"));
        let builder = format!("supply-action-{}", std::process::id());
        let mut create: Vec<String> = ["create", "--name", builder.as_str()].map(str::to_owned).to_vec();
        match endpoint {
            Some(endpoint) => create.extend(["--driver", "remote", endpoint].map(str::to_owned)),
            None => create.extend(["--driver", "docker-container", "--bootstrap"].map(str::to_owned)),
        }
        program
            .run(&create, Output::Kept)
            .await
            .with_context(|| match endpoint {
                Some(endpoint) => format!("no builder at input `builder-endpoint`: `{endpoint}`"),
                None => "no builder could be started in Docker".to_owned(),
            })
            .hint("give the address of a running BuildKit with `builder-endpoint`, such as `unix:///run/buildkit/buildkitd.sock`, or run where Docker does")?;
        let output = if place.terminal { Output::Inherited } else { Output::Relayed };
        Ok(Self { program, builder, owned: endpoint.is_none(), folder: place.private.to_owned(), output })
    }

    /// Builds every platform and keeps nothing.
    pub async fn check(&self, build: &Build, secrets: &[BuildSecret]) -> anyhow::Result<()> {
        self.run(build, secrets, &Destination::Cache).await
    }

    /// Builds, pushes by digest, and reads back what the registry then holds.
    pub async fn build(
        &self,
        registry: &Registry,
        build: &Build,
        secrets: &[BuildSecret],
        to: &[Repository],
        scanner: Option<&ImageRef>,
    ) -> anyhow::Result<BuiltImage> {
        let metadata = self.folder.join("metadata.json");
        self.run(build, secrets, &Destination::ByDigest { repositories: to, metadata: &metadata, scanner }).await?;
        let digest = reported_digest(&metadata)?;
        BuiltImage::confirm(registry, to, &digest, &build.platforms).await.context("what was built cannot be confirmed")
    }

    async fn run(&self, build: &Build, secrets: &[BuildSecret], destination: &Destination<'_>) -> anyhow::Result<()> {
        check_context(build)?;
        let files: Vec<PathBuf> = (0..secrets.len()).map(|number| self.folder.join(format!("secret-{number}"))).collect();
        for (file, secret) in files.iter().zip(secrets) {
            write_private(file, secret.value.expose_secret().as_bytes())?;
        }
        let secret_files: Vec<SecretFile<'_>> =
            files.iter().zip(secrets).map(|(file, secret)| SecretFile { id: &secret.id, file }).collect();
        let mut arguments = arguments::build(build, &self.builder, destination, &secret_files);
        arguments.insert(1, format!("--progress={}", if self.output == Output::Inherited { "auto" } else { "plain" }));
        let result = self.program.run(&arguments, self.output).await.context("the build failed");
        for file in &files {
            let _ = std::fs::remove_file(file); // the folder goes at the end in any case
        }
        result
    }

    /// Removes a builder that this run started.
    pub async fn close(self) {
        if self.owned {
            let arguments = ["rm", "--force", self.builder.as_str()].map(str::to_owned);
            if let Err(error) = self.program.run(&arguments, Output::Kept).await {
                tracing::warn!(%error, "the builder could not be removed");
            }
        }
    }
}

/// `BUILDX`, else `buildx` as a program of its own, else Docker's plugin.
fn locate(env: &Environment) -> anyhow::Result<(PathBuf, &'static [&'static str])> {
    if let Some(path) = env.get("BUILDX").filter(|path| !path.is_empty()) {
        return Ok((PathBuf::from(path), &[]));
    }
    if let Some(path) = find("buildx", env).or_else(|| find("docker-buildx", env)) {
        return Ok((path, &[]));
    }
    match find("docker", env) {
        Some(docker) => Ok((docker, &["buildx"])),
        None => {
            Err(anyhow::anyhow!("`buildx` is not installed")).hint("install docker buildx, or name it with the environment variable BUILDX")
        }
    }
}

/// A local context that is not there would fail late and obscurely.
fn check_context(build: &Build) -> anyhow::Result<()> {
    let context = &build.context;
    let remote = context.contains("://") || context.starts_with("git@") || context.starts_with("github.com/") || context == "-";
    if !remote && !Path::new(context).is_dir() {
        return Err(anyhow::anyhow!("input `context`: there is no folder `{context}`"))
            .hint("in a workflow the repository is there only after `actions/checkout`; paths are relative to its root");
    }
    Ok(())
}

fn reported_digest(metadata: &Path) -> anyhow::Result<Digest> {
    let text = std::fs::read(metadata).context("buildx wrote no metadata file")?;
    let metadata: serde_json::Value = serde_json::from_slice(&text).context("the metadata file of buildx cannot be read")?;
    match metadata.get("containerimage.digest").and_then(|digest| digest.as_str()) {
        Some(digest) => digest.parse().context("the metadata file of buildx"),
        None => bail!("the metadata file of buildx names no `containerimage.digest`"),
    }
}

/// Writes a file that only this user can read.
fn write_private(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut opened = std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(file)?;
    opened.write_all(bytes)?;
    Ok(())
}
