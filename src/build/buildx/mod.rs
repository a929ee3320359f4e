//! `Build` → `BuiltImage` by `buildx build`, pushed by digest. It believes nothing but the digest
//! buildx reports, and fetches that.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::build::arguments::{self, Destination, Generator};
use crate::build::bake::{BakedImage, Definition};
use crate::build::builder::{self, BuilderConfig, Created, Driver, Inspected, RunBuilder};
use crate::build::progress::BuildProgress;
use crate::build::recipe::Build;
use crate::build::source::{RemoteSource, TOKEN_VARIABLE};
use crate::build::{BuiltImage, Expected, emulation, failure, late, variables, withheld};
use crate::command::{ChildOutput, FailedCommand, Program, Variables, find};
use crate::environment::Environment;
use crate::error::Remedy as _;
use crate::github::network::Network;
use crate::image::{Digest, Platform, Repository};
use crate::oci::Allowed;
use crate::page::RefusalPage;
use crate::registry::{Credentials, Registry};

mod checking;

/// buildx with private configuration, and the builder it builds with.
pub struct Buildx {
    program: Program,
    builder: String,
    inspected: Inspected,
    /// How to remove a builder that must not outlive the run.
    removal: Option<Vec<String>>,
    folder: PathBuf,
    output: ChildOutput,
}

/// Where a run keeps what must not outlive it, and how it may draw.
pub struct BuildFolder<'a> {
    pub env: &'a Environment,
    /// The variables of `env` that buildx gets beside those that every program gets.
    pub named: &'a [String],
    pub private: &'a Path,
    pub network: &'a Network,
    pub terminal: bool,
}

impl BuildFolder<'_> {
    /// What buildx is told of the job's variables.
    pub fn variables(&self) -> Variables {
        Variables::of(self.env).and(self.env, self.named)
    }
}

impl Buildx {
    /// Sets buildx up in a private folder: logins, and the builder, started and able to build
    /// `platforms`.
    pub async fn set_up(
        place: &BuildFolder<'_>,
        credentials: &Credentials,
        builder: &RunBuilder,
        platforms: &[Platform],
        notice: &dyn Fn(&str),
    ) -> anyhow::Result<Self> {
        Self::create(place, credentials, builder)
            .await?
            .ready(place.env, credentials, platforms, notice)
            .await
    }

    async fn create(
        place: &BuildFolder<'_>,
        credentials: &Credentials,
        builder: &RunBuilder,
    ) -> anyhow::Result<Self> {
        let mut program = logged_in(located(place).await?, credentials, place.private)?;
        // A big provenance in the metadata file would be read by nobody: evidence comes from the
        // registry.
        program = program.with_env("BUILDX_METADATA_PROVENANCE", Path::new("disabled"));
        let output = if place.terminal { ChildOutput::Inherited } else { ChildOutput::Relayed };
        let (name, removal) = match builder {
            // The user's builders are in the user's configuration.
            RunBuilder::Existing(name) => {
                program = in_cluster(program, name, place.env).await;
                (name.clone(), None)
            }
            RunBuilder::Created(created) => {
                if created.driver == Driver::Kubernetes {
                    program = program.with_variables(place.env, variables::KUBERNETES);
                }
                program = program.with_env("BUILDX_CONFIG", &place.private.join("buildx"));
                let name = format!("supply-action-{}", std::process::id());
                create(&program, created, &name, place).await?;
                let removal = (created.cleanup && created.driver != Driver::Remote)
                    .then(|| created.removal(&name));
                (name, removal)
            }
        };
        Ok(Self {
            program,
            builder: name,
            inspected: Inspected::default(),
            removal,
            folder: place.private.to_owned(),
            output,
        })
    }

    /// The builder, started and able to build `platforms`, with these logins; what is set up
    /// already may be asked for more.
    pub async fn ready(
        mut self,
        env: &Environment,
        credentials: &Credentials,
        platforms: &[Platform],
        notice: &dyn Fn(&str),
    ) -> anyhow::Result<Self> {
        self.program = logged_in(self.program.clone(), credentials, &self.folder)?;
        match self.make_ready(env, platforms, notice).await {
            Ok(inspected) => {
                self.inspected = inspected;
                Ok(self)
            }
            Err(error) => {
                self.close().await;
                Err(error)
            }
        }
    }

    /// With these of the job's variables as well.
    pub fn with_variables(mut self, env: &Environment, names: &[String]) -> Self {
        self.program = self.program.clone().with_variables(env, names);
        self
    }

    /// What buildx makes of the bake files of a repository, which the builder fetches, with
    /// everything resolved. The token stays for the build.
    pub async fn print_bake(
        &mut self,
        remote: &RemoteSource,
        asked: &[String],
        env: &Environment,
    ) -> anyhow::Result<Definition> {
        if let Some(token) = remote.token() {
            self.program =
                self.program.clone().with_env(TOKEN_VARIABLE, Path::new(token.expose_secret()));
        }
        let mut arguments = ["bake", "--print", "--builder", &self.builder, &remote.url]
            .map(str::to_owned)
            .to_vec();
        arguments.extend(asked.iter().cloned());
        let printed = self
            .program
            .capture(&arguments)
            .await
            .with_context(|| format!("the bake files of `{}` cannot be read", remote.url))
            .hint(
                "write paths of `files` relative to `source`, which is the commit of this run by \
             default; `cwd://NAME` is a file of the workspace, and `source: .` the workspace \
             itself, after `actions/checkout`",
            )?;
        withheld::refuse(&self.program, &arguments, &printed, env).await?;
        Ok(Definition::read(&printed)?.fetched_from(remote))
    }

    /// Starts the builder, and teaches it platforms that it can neither run nor emulate.
    async fn make_ready(
        &self,
        env: &Environment,
        platforms: &[Platform],
        notice: &dyn Fn(&str),
    ) -> anyhow::Result<Inspected> {
        let inspected = self.inspect().await?;
        if inspected.driver.as_deref() == Some("docker") {
            return Err(anyhow::anyhow!("builder `{}` has driver `docker`, which cannot push several platforms by digest", self.builder))
                .hint("leave `builder` out, or name one with driver `docker-container`, `remote` or `kubernetes`")
                .see(RefusalPage::BuilderOfDriverDocker);
        }
        let missing = inspected.missing(platforms);
        if missing.is_empty() {
            return Ok(inspected);
        }
        let listed = |platforms: &[&Platform]| {
            platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        // What runs nothing of its platform needs no emulator, so the build decides.
        let unclaimed = |platforms: &[&Platform]| {
            notice(&format!(
                "builder `{}` can run {} neither natively nor by emulation, so steps that need it \
                 fail. Install QEMU on the builder's machine, add a node for these platforms with \
                 `append`, or leave them out of `platforms`",
                self.builder,
                listed(platforms)
            ));
        };
        let emulated: Vec<&Platform> =
            missing.iter().copied().filter(|platform| platform.os == "linux").collect();
        let socket = docker_socket(env);
        if emulated.is_empty()
            || inspected.driver.as_deref() != Some("docker-container")
            || !socket.exists()
        {
            unclaimed(&missing);
            return Ok(inspected);
        }
        notice(&format!(
            "installing QEMU for {} through Docker: emulated builds are slow, a native runner for each platform is faster",
            listed(&emulated)
        ));
        if let Err(error) = emulation::install(&socket, emulation::BINFMT_IMAGE, &emulated).await {
            notice(&crate::error::message(&error));
            unclaimed(&missing);
            return Ok(inspected);
        }
        // BuildKit looks for emulators when it starts.
        self.program
            .run(&["stop".to_owned(), self.builder.clone()], ChildOutput::Kept)
            .await
            .context("the builder could not be restarted")?;
        let inspected = self.inspect().await?;
        let still = inspected.missing(platforms);
        if !still.is_empty() {
            unclaimed(&still);
        }
        Ok(inspected)
    }

    async fn inspect(&self) -> anyhow::Result<Inspected> {
        let arguments = ["inspect", "--bootstrap", self.builder.as_str()].map(str::to_owned);
        let text = self
            .program
            .capture(&arguments)
            .await
            .with_context(|| format!("builder `{}` does not start", self.builder))
            .hint("give the address of a running BuildKit with `builder-endpoint`, such as `unix:///run/buildkit/buildkitd.sock`, or run where Docker does")
            .see(RefusalPage::NoBuilder)?;
        Ok(builder::inspected(&text))
    }

    /// Whether each of the builder's nodes runs this platform's programs.
    pub fn runs_everywhere(&self, platform: &Platform) -> bool {
        self.inspected.runs_everywhere(platform)
    }

    /// Builds every platform and pushes nothing.
    pub async fn check(&self, build: &Build) -> anyhow::Result<()> {
        self.run(build, &Destination::Check, &|_| {}).await.map(drop)
    }

    /// Builds, pushes by digest, and reads back what the registry then holds.
    pub async fn build(
        &self,
        registry: &Registry,
        build: &Build,
        to: &[Repository],
        generator: &Generator,
        notice: &dyn Fn(&str),
    ) -> anyhow::Result<BuiltImage> {
        let metadata = self.folder.join("metadata.json");
        let progress = self
            .run(
                build,
                &Destination::ByDigest { repositories: to, metadata: &metadata, generator },
                notice,
            )
            .await?;
        let digest = reported_digest(&metadata)?;
        let expected = Expected { platforms: &build.platforms, allowed: &build.allowed };
        let built = BuiltImage::confirm(registry, to, &digest, &expected)
            .await
            .context("what was built cannot be confirmed")?;
        Ok(built.made_by(progress.work(&build.platforms, None)))
    }

    /// Builds all targets of a bake file in one call, pushes each by digest, and reads back what
    /// the registry then holds.
    pub async fn bake(
        &self,
        registry: &Registry,
        definition: (&Path, &Value),
        allow: &[String],
        goods: &[BakedImage],
        allowed: &Allowed,
        notice: &dyn Fn(&str),
    ) -> anyhow::Result<Vec<BuiltImage>> {
        let metadata = self.folder.join("metadata.json");
        let progress = self.run_bake(definition, allow, Some(&metadata), notice).await?;
        let written = read_metadata(&metadata)?;
        let built = goods.iter().map(|goods| {
            let (images, expected) =
                (&goods.images, Expected { platforms: &goods.platforms, allowed });
            let digest = digest_in(written.get(&goods.target))
                .with_context(|| format!("target `{}`", goods.target));
            let work = progress.work(&goods.platforms, Some(&goods.target));
            async move {
                let built = BuiltImage::confirm(registry, images, &digest?, &expected).await;
                anyhow::Ok(
                    built.with_context(|| format!("target `{}`", goods.target))?.made_by(work),
                )
            }
        });
        futures_util::future::try_join_all(built)
            .await
            .context("what was built cannot be confirmed")
    }

    /// Builds all targets of a bake file that pushes nothing.
    pub async fn bake_check(
        &self,
        folder: &Path,
        file: &Value,
        allow: &[String],
    ) -> anyhow::Result<()> {
        self.run_bake((folder, file), allow, None, &|_| {}).await.map(drop)
    }

    async fn run_bake(
        &self,
        (folder, file): (&Path, &Value),
        allow: &[String],
        metadata: Option<&Path>,
        notice: &dyn Fn(&str),
    ) -> anyhow::Result<BuildProgress> {
        let definition = self.folder.join("bake.json");
        write_private(&definition, file.to_string().as_bytes())?;
        let mut arguments = vec!["bake".to_owned(), format!("--progress={}", self.progress())];
        let mut push = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        push("--builder", self.builder.clone());
        push("--file", definition.display().to_string());
        allow.iter().for_each(|allowed| push("--allow", allowed.clone()));
        if let Some(metadata) = metadata {
            push("--metadata-file", metadata.display().to_string());
        }
        let program = self.program.clone().in_folder(folder);
        late::run(&program, &arguments, self.output, notice)
            .await
            .map_err(|error| failure::told(error, None))
    }

    fn progress(&self) -> &'static str {
        if self.output == ChildOutput::Inherited { "auto" } else { "plain" }
    }

    async fn run(
        &self,
        build: &Build,
        destination: &Destination<'_>,
        notice: &dyn Fn(&str),
    ) -> anyhow::Result<BuildProgress> {
        let files = self.secret_files(build, "secret")?;
        let mut arguments = arguments::build(build, &self.builder, destination, &files);
        arguments.insert(1, format!("--progress={}", self.progress()));
        let given = build.flags.values("--file").last();
        let result = late::run(&self.program, &arguments, self.output, notice)
            .await
            .map_err(|error| failure::told(error, given));
        remove(&files);
        result
    }

    /// Files with the secrets of a build, which only this user can read.
    fn secret_files(&self, build: &Build, name: &str) -> anyhow::Result<Vec<PathBuf>> {
        let secrets = build.flags.secrets.iter().enumerate();
        let written = secrets.map(|(number, secret)| {
            let file = self.folder.join(format!("{name}-{number}"));
            write_private(&file, secret.value.expose_secret().as_bytes())?;
            anyhow::Ok(file)
        });
        written.collect()
    }

    /// Removes a builder that this run started.
    pub async fn close(mut self) {
        if let Some(removal) = self.removal.take()
            && let Err(error) = self.program.run(&removal, ChildOutput::Kept).await
        {
            tracing::warn!(%error, "the builder could not be removed");
        }
    }
}

fn remove(files: &[PathBuf]) {
    for file in files {
        let _ = std::fs::remove_file(file); // the folder goes at the end in any case
    }
}

impl Drop for Buildx {
    /// A run that is interrupted must not leave a container behind.
    fn drop(&mut self) {
        if let Some(removal) = self.removal.take() {
            self.program.run_blocking(&removal);
        }
    }
}

async fn create(
    program: &Program,
    created: &Created,
    name: &str,
    place: &BuildFolder<'_>,
) -> anyhow::Result<()> {
    let config = match &created.config {
        None => of_registries(created, place)?,
        Some(BuilderConfig::File(path)) => Some(path.clone()),
        Some(BuilderConfig::Inline(toml)) => {
            let file = place.private.join("buildkitd.toml");
            write_private(&file, toml.as_bytes())?;
            Some(file.display().to_string())
        }
    };
    for (number, command) in created.commands(name, config.as_deref()).into_iter().enumerate() {
        let endpoint = created.nodes[number].endpoint.clone();
        program
            .run(&command, ChildOutput::Kept)
            .await
            .with_context(|| match (&endpoint, created.driver) {
                (Some(endpoint), _) => format!("no builder at input `builder-endpoint`: `{endpoint}`"),
                (None, driver) => format!("no builder with driver `{}` could be made", driver.as_str()),
            })
            .hint("give the address of a running BuildKit with `builder-endpoint`, such as `unix:///run/buildkit/buildkitd.sock`, or run where Docker does")
            .see(RefusalPage::NoBuilder)?;
    }
    Ok(())
}

/// A `buildkitd.toml` that says how registries are reached, where that must be said.
fn of_registries(created: &Created, place: &BuildFolder<'_>) -> anyhow::Result<Option<String>> {
    let certificates =
        place.network.authorities_pem()?.map(|pem| (place.private.join("ca.pem"), pem));
    let file = certificates.as_ref().map(|(file, _)| file.display().to_string());
    let Some(toml) = created.registries.toml(file.as_deref()) else { return Ok(None) };
    if let Some((file, pem)) = &certificates {
        write_private(file, pem.as_bytes())?;
    }
    let config = place.private.join("buildkitd.toml");
    write_private(&config, toml.as_bytes())?;
    Ok(Some(config.display().to_string()))
}

/// buildx with what the driver of a builder of the user's needs to know of the cluster, where it is
/// that driver.
async fn in_cluster(program: Program, name: &str, env: &Environment) -> Program {
    if !variables::KUBERNETES.iter().any(|variable| env.contains_key(*variable)) {
        return program;
    }
    // A builder that is not there is told when it is started.
    let text = program.capture(&["inspect".to_owned(), name.to_owned()]).await.unwrap_or_default();
    let is_there = builder::inspected(&text).driver.as_deref() == Some(Driver::Kubernetes.as_str());
    if is_there { program.with_variables(env, variables::KUBERNETES) } else { program }
}

/// buildx with a file of logins that only this user can read.
fn logged_in(
    program: Program,
    credentials: &Credentials,
    private: &Path,
) -> anyhow::Result<Program> {
    if credentials.is_empty() {
        return Ok(program);
    }
    let folder = private.join("docker");
    std::fs::create_dir_all(&folder)?;
    write_private(&folder.join("config.json"), credentials.docker_config().to_string().as_bytes())?;
    Ok(program.with_env("DOCKER_CONFIG", &folder))
}

/// What buildx makes of the bake files in a folder, with everything resolved; it takes no builder.
pub async fn print_bake(
    place: &BuildFolder<'_>,
    folder: &Path,
    asked: &[String],
) -> anyhow::Result<Definition> {
    if !folder.is_dir() {
        return Err(anyhow::anyhow!("input `source`: there is no folder `{}`", folder.display()))
            .hint("in a workflow the repository is there only after `actions/checkout`; leave `source` out to build its commit without");
    }
    let mut arguments = vec!["bake".to_owned(), "--print".to_owned()];
    arguments.extend(asked.iter().cloned());
    let program = located(place).await?.in_folder(folder);
    let printed = match program.capture(&arguments).await {
        Ok(printed) => printed,
        Err(error) => {
            let is_missing = says_that_a_file_is_missing(&error);
            let error = error.context("the bake files cannot be read");
            // What is wrong in a file, buildx says itself.
            return if is_missing {
                Err(error).hint(missing_bake_file(folder))
            } else {
                Err(error)
            };
        }
    };
    withheld::refuse(&program, &arguments, &printed, place.env).await?;
    Definition::read(&printed)
}

fn says_that_a_file_is_missing(error: &anyhow::Error) -> bool {
    let said = error.downcast_ref::<FailedCommand>().map(|failed| failed.said.join("\n"));
    said.is_some_and(|said| {
        ["couldn't find a bake definition", "no such file or directory"]
            .iter()
            .any(|words| said.contains(words))
    })
}

fn missing_bake_file(folder: &Path) -> String {
    format!(
        "list bake files with other names in `files`, relative to `{}`, which `source` names. In a \
         workflow the repository is there only after `actions/checkout`; without `source`, \
         BuildKit fetches the commit of the run",
        folder.display()
    )
}

/// Where Docker listens: `DOCKER_HOST` if it is a socket, else the usual place, which runners mount
/// into container actions.
fn docker_socket(env: &Environment) -> PathBuf {
    let named = env.get("DOCKER_HOST").and_then(|host| host.strip_prefix("unix://"));
    PathBuf::from(named.unwrap_or("/var/run/docker.sock"))
}

/// buildx, as far as it is here: Docker without the plugin takes `buildx` for a word it does not
/// know, whatever it is asked.
async fn located(place: &BuildFolder<'_>) -> anyhow::Result<Program> {
    let (path, leading) = locate(place.env)?;
    let program = Program::new(path, leading, place.variables());
    if !leading.is_empty() {
        let asked = program.capture(&["version".to_owned()]).await;
        asked.context("Docker has no plugin `buildx`").hint(INSTALL).see(RefusalPage::NoBuilder)?;
    }
    Ok(program)
}

const INSTALL: &str = "install docker buildx, or name it with the environment variable BUILDX";

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
        None => Err(anyhow::anyhow!("`buildx` is not installed"))
            .hint(INSTALL)
            .see(RefusalPage::NoBuilder),
    }
}

fn reported_digest(metadata: &Path) -> anyhow::Result<Digest> {
    digest_in(Some(&read_metadata(metadata)?))
}

fn read_metadata(file: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read(file).context("buildx wrote no metadata file")?;
    serde_json::from_slice(&text).context("the metadata file of buildx cannot be read")
}

fn digest_in(metadata: Option<&Value>) -> anyhow::Result<Digest> {
    match metadata.and_then(|metadata| metadata.get("containerimage.digest")?.as_str()) {
        Some(digest) => digest.parse().context("the metadata file of buildx"),
        None => bail!("the metadata file of buildx names no `containerimage.digest`"),
    }
}

/// Writes a file that only this user can read.
fn write_private(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut opened = std::fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(file)?;
    opened.write_all(bytes)?;
    Ok(())
}
