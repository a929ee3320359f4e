//! `supply-action prune REPOSITORY`: takes away what no tag leads to any more, and leaves every
//! image that is kept whole, with its evidence. Without `--delete` it deletes nothing, and with it
//! nothing either while anything is unknown.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail};
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use super::outside::line;
use super::release::say_elsewhere;
use crate::environment::Environment;
use crate::error::{OrRemedy as _, Remedy as _};
use crate::github::RunContext;
use crate::github::network::Plain;
use crate::github::packages::{self, ContainerPackage};
use crate::github::server::Server;
use crate::image::{Digest, Repository, Tag};
use crate::login::{self, LoginsAsked};
use crate::registry::names::{Removal, digest_name};
use crate::registry::{LoginSecret, Registry, closure, for_reader};
use crate::report::Report;
use crate::retention::{self, Items, RetentionDecision, RetentionRules, items};
use crate::text::plural;

mod told;

/// Arguments of `supply-action prune`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PruneArguments {
    /// Delete; by default only list what would be deleted
    #[arg(long)]
    delete: bool,
    /// Keep this many of the newest images, also those without a tag
    #[arg(long, value_name = "N", default_value_t = 10)]
    keep: usize,
    /// Keep what was pushed or signed less than this ago, such as 36h or 7d, because its
    /// publication may still be running
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = duration)]
    older_than: SignedDuration,
    /// Delete evidence about images that are not in the repository as well; not if it is kept for
    /// images elsewhere (COSIGN_REPOSITORY)
    #[arg(long)]
    orphans: bool,
    /// The repository is a package of the GitHub server at GITHUB_API_URL, though its registry is
    /// none of the known names
    #[arg(long)]
    github_packages: bool,
    /// Reach the registry over plain HTTP
    #[arg(long)]
    allow_http_registry: bool,
    /// Print each manifest, and whether it is kept or deleted, as JSON, for machines
    #[arg(long)]
    json: bool,
    /// The repository, without a tag
    #[arg(value_name = "REPOSITORY", value_parser = repository)]
    repository: Repository,
}

const EXAMPLES: &str = "It keeps every image with a tag, the newest N, everything younger than a day, and all parts of these:
platforms, attestations, signatures, lists of referrers. Tags that are digests (sha256-…, sha256-….sig) do not count as tags.

Logins come from Docker's configuration (DOCKER_CONFIG or ~/.docker/config.json). For ghcr.io, GITHUB_TOKEN or GH_TOKEN must be
set, with permission to delete packages; it also logs in at the registry if there is no other login.

List what would be deleted, then delete it:
  supply-action prune ghcr.io/octo/app
  supply-action prune ghcr.io/octo/app --keep 20 --delete

Do not publish at the same time: give both workflows one `concurrency` group.

Exit codes: 0 done, 1 nothing or not all was deleted, 2 the arguments are wrong";

/// Owners are written as GitHub shows them, and registries know small letters alone.
fn repository(text: &str) -> Result<Repository, String> {
    text.to_lowercase().parse().map_err(|error: crate::image::ImageError| error.to_string())
}

fn duration(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("`{text}` is not a time, such as `36h` or `7d`");
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    let duration =
        span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    if duration.is_negative() { Err(wrong()) } else { Ok(duration) }
}

/// What a repository holds, and where it is deleted.
struct PrunedRepository {
    items: Items,
    /// The names that people pull, and what they name.
    names: BTreeMap<Tag, Digest>,
    /// At GitHub: the number of each version.
    versions: Option<BTreeMap<Digest, u64>>,
}

/// What came of it.
struct PruneOutcome {
    found: PrunedRepository,
    decision: RetentionDecision,
    deleted: Option<usize>,
}

pub async fn run(
    arguments: &PruneArguments,
    env: &Environment,
    report: &Report,
) -> anyhow::Result<()> {
    pruned(arguments, env, report).await.map_err(for_reader)
}

async fn pruned(
    arguments: &PruneArguments,
    env: &Environment,
    report: &Report,
) -> anyhow::Result<()> {
    let (registry, packages) = outside(arguments, env).await.context("nothing was deleted")?;
    let repository = &arguments.repository;
    let found = find(&registry, packages.as_ref(), repository).await;
    say_elsewhere(&registry, report).await;
    let found = found.context(
        "nothing was deleted, because it is not known which manifests belong \
        together",
    )?;
    let PruneArguments { keep, older_than, orphans, .. } = *arguments;
    let rules = RetentionRules { keep, younger_than: older_than, orphans, now: Timestamp::now() };
    let decision = retention::decide(&found.items, &rules);
    if found.names.is_empty() && !decision.deleted.is_empty() {
        return Err(anyhow::anyhow!(
            "nothing was deleted: `{repository}` has no tag, so it is not known which images are \
             in use"
        ))
        .hint("delete the repository if no image is in use; otherwise tag the images in use");
    }
    let mut outcome = PruneOutcome { found, decision, deleted: None };
    if !arguments.delete {
        outcome.tell(arguments, report);
        return Ok(());
    }
    still_so(&registry, repository, &outcome).await.context("nothing was deleted")?;
    let (deleted, failed) =
        delete(&registry, packages.as_ref(), repository, &outcome, report).await;
    outcome.deleted = Some(deleted);
    outcome.tell(arguments, report);
    let Err(error) = failed else { return Ok(()) };
    let all = outcome.decision.deleted.len();
    let consequence = if deleted == 0 {
        "nothing was deleted".to_owned()
    } else {
        format!("{deleted} of {all} manifests were deleted")
    };
    Err(error.context(consequence)).hint(outcome.remedy(deleted))
}

impl PruneOutcome {
    /// What to do about the rest, once so many were deleted.
    fn remedy(&self, deleted: usize) -> &'static str {
        let (gone, left) = self.decision.deleted.split_at(deleted);
        let about = |digest: &Digest| self.found.items.get(digest)?.about.as_ref();
        match left.iter().filter_map(about).any(|about| gone.contains(about)) {
            true => {
                "run again with `--orphans`, because evidence of deleted images is left; every image that is kept is complete"
            }
            false => "run again to delete the rest; every image that is kept is complete",
        }
    }
}

impl PruneArguments {
    /// What a signal may leave half done.
    pub fn unfinished(&self) -> Option<&'static str> {
        self.delete.then_some(
            "run again with `--orphans` if it had begun to delete: evidence of deleted images may be left; every image that is kept is complete",
        )
    }
}

/// The registry, and GitHub where the packages are its.
async fn outside(
    arguments: &PruneArguments,
    env: &Environment,
) -> anyhow::Result<(Registry, Option<ContainerPackage>)> {
    let (repository, mut context) = (&arguments.repository, RunContext::new(env));
    if arguments.allow_http_registry {
        context.network.plain = Plain::of([repository.registry().to_owned()]);
    }
    let api = packages::api_of(repository.registry(), &context)
        .or_else(|| arguments.github_packages.then(|| context.api_url.clone()));
    let token = ["GITHUB_TOKEN", "GH_TOKEN"]
        .iter()
        .find_map(|name| env.get(*name).filter(|value| !value.is_empty()));
    let token = token.map(|token| SecretString::from(token.clone()));
    let asked = LoginsAsked {
        logins: &[],
        images: std::slice::from_ref(repository),
        env,
        context: &context,
        token: None,
    };
    let mut credentials = login::stored_credentials(&asked)?;
    let Some(api) = api else {
        return Ok((Registry::new(line(&context.network)?, credentials), None));
    };
    let Some(token) = token else {
        return Err(anyhow::anyhow!("there is no `GITHUB_TOKEN`, and GitHub lists the versions of `{repository}` only with a token")).hint(
            "set `GITHUB_TOKEN` or `GH_TOKEN`: in a workflow `${{ github.token }}` with \"permissions: packages: write\", elsewhere a \
             classic token with `read:packages` and `delete:packages`",
        );
    };
    if credentials.get(repository.registry()).is_none()
        && packages::api_of(repository.registry(), &context).is_some()
    {
        credentials.add(repository.registry(), "token", LoginSecret::Password(token.clone()));
        let own = repository.registry().strip_prefix("containers.").unwrap_or("github.com");
        credentials.bind(token.clone(), Server::of(&format!("https://{own}")));
    }
    let packages = ContainerPackage::of(repository, &api, &context, &token)
        .await
        .context("GitHub's packages cannot be read")?;
    Ok((Registry::new(line(&context.network)?, credentials), Some(packages)))
}

/// Every name of the repository, and what it names now.
async fn names(
    registry: &Registry,
    repository: &Repository,
) -> anyhow::Result<BTreeMap<Tag, Digest>> {
    use futures_util::{StreamExt as _, TryStreamExt as _, stream};
    let Some(names) = registry.names(repository).await.remedied()? else {
        bail!("there is no repository `{repository}`")
    };
    let resolved = names.into_iter().map(|name| async {
        match registry.tagged(repository, &name).await.remedied()? {
            Some(manifest) => Ok(Some((name, manifest.descriptor.digest))),
            None if digest_name(&name).is_some() => Ok(None),
            None => bail!("`{repository}:{name}` is listed, but the registry does not return it"),
        }
    });
    let resolved: Vec<Option<(Tag, Digest)>> =
        stream::iter(resolved).buffer_unordered(16).try_collect().await?;
    Ok(resolved.into_iter().flatten().collect())
}

async fn find(
    registry: &Registry,
    packages: Option<&ContainerPackage>,
    repository: &Repository,
) -> anyhow::Result<PrunedRepository> {
    let versions =
        match packages {
            Some(packages) => Some(packages.versions().await.map_err(|why| {
                anyhow::anyhow!("GitHub did not list the package's versions: {why}")
            })?),
            None => None,
        };
    let mut all = names(registry, repository).await?;
    // Both say what has a name: one of them may be behind.
    for version in versions.iter().flatten() {
        for tag in &version.tags {
            all.entry(tag.clone()).or_insert_with(|| version.digest.clone());
        }
    }
    let listed: BTreeSet<Digest> =
        versions.iter().flatten().map(|version| version.digest.clone()).collect();
    let about = all.keys().filter_map(|tag| digest_name(tag).map(|(about, _)| about));
    let roots: BTreeSet<Digest> =
        listed.iter().cloned().chain(all.values().cloned()).chain(about).collect();
    let tags: BTreeSet<Tag> = all.keys().cloned().collect();
    let closure = closure::walk(registry, repository, roots, &tags).await.remedied()?;
    if let Some(gone) = listed.iter().find(|digest| closure.missing.contains(*digest)) {
        return Err(anyhow::anyhow!("GitHub lists `{gone}`, but its registry does not have it"))
            .hint(
                "run again later; if that does not help, delete this version on the package's page",
            );
    }
    let times =
        versions.iter().flatten().map(|version| (version.digest.clone(), version.time)).collect();
    let mut items = items::of(&closure, &all, &times);
    // What either of both names has a name, whatever the other says that the name is on.
    for version in versions.iter().flatten() {
        let names = version.tags.iter().filter(|tag| digest_name(tag).is_none()).cloned();
        items.entry(version.digest.clone()).and_modify(|item| item.names.extend(names));
    }
    let names = all.into_iter().filter(|(tag, _)| digest_name(tag).is_none()).collect();
    let versions = versions
        .map(|versions| versions.into_iter().map(|version| (version.digest, version.id)).collect());
    Ok(PrunedRepository { items, names, versions })
}

/// Looks again before anything goes: whatever got a name meanwhile is in use.
async fn still_so(
    registry: &Registry,
    repository: &Repository,
    outcome: &PruneOutcome,
) -> anyhow::Result<()> {
    let going: BTreeSet<&Digest> = outcome.decision.deleted.iter().collect();
    let now = names(registry, repository).await?;
    let named =
        now.iter().find(|(tag, digest)| digest_name(tag).is_none() && going.contains(digest));
    match named {
        Some((tag, digest)) => Err(anyhow::anyhow!(
            "`{digest}`, which had no tag, got the tag `{tag}` during this run"
        ))
        .hint("run again when no other run publishes"),
        None => Ok(()),
    }
}

/// Deletes one after the other, and stops at the first that stays; how many went.
async fn delete(
    registry: &Registry,
    packages: Option<&ContainerPackage>,
    repository: &Repository,
    outcome: &PruneOutcome,
    report: &Report,
) -> (usize, anyhow::Result<()>) {
    let all = outcome.decision.deleted.len();
    for (count, digest) in outcome.decision.deleted.iter().enumerate() {
        report.progress(&format!("deleting {} of {all}", count + 1));
        let gone = match (packages, &outcome.found.versions) {
            (Some(packages), Some(versions)) => match versions.get(digest) {
                Some(version) => packages.delete(*version).await.map(drop).map_err(|why| anyhow::anyhow!("GitHub keeps `{digest}`: {why}")),
                None => Err(anyhow::anyhow!("GitHub does not list `{digest}`, but its registry has it")),
            },
            _ => match registry.remove_manifest(repository, digest).await.remedied() {
                Ok(Removal::Removed | Removal::Gone) => Ok(()),
                Ok(Removal::Unsupported) => {
                    Err(anyhow::anyhow!("`{}` does not delete manifests by the registry protocol", repository.registry()))
                        .hint("use the registry's own retention; docs/retention.md says which settings keep the evidence")
                }
                Err(error) => Err(error),
            },
        };
        if let Err(error) = gone {
            report.progress("");
            return (count, Err(error));
        }
    }
    report.progress("");
    (all, Ok(()))
}

/// What is said in plain words of a count.
fn manifests(count: usize) -> String {
    plural(count, "manifest")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_read_as_github_shows_it() {
        assert_eq!(repository("ghcr.io/Octo/App").unwrap().to_string(), "ghcr.io/octo/app");
        assert!(repository("ghcr.io/octo/app:v1").unwrap_err().contains("carries a tag"));
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, hours) in [("1d", 24), ("36h", 36), ("7 days", 168), ("0s", 0), ("1w", 168)] {
            assert_eq!(duration(text).ok(), Some(SignedDuration::from_hours(hours)), "{text}");
        }
        for wrong in ["", "1", "d", "-1d", "1mo", "soon"] {
            duration(wrong).unwrap_err();
        }
    }
}
