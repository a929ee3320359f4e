//! Names that move forward, those that stay, and the image of an earlier run of this commit, which
//! is kept. It asks registry and history; `plan::forward` decides.

use std::collections::{BTreeSet, HashMap};

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::outside::Outside;
use super::release::ReleaseRun;
use crate::github::api::Api;
use crate::github::history::HistoryWitness;
use crate::image::ImageRef;
use crate::image::name::ImageName;
use crate::metadata::line::ReleaseLine;
use crate::plan::PublishTarget;
use crate::plan::forward::{
    self, Candidate, ForwardVerdict, HistoryQuestion, NameHistory, StandingName, Weighed,
};
use crate::preflight::is_immutable;
use crate::publish::OnTagConflict;
use crate::publish::{Baseline, KeptName};
use crate::registry::RegistryError;
use crate::sigstore::verifier::Signer;
use crate::verify::policy::EvidencePolicy;
use crate::verify::standing::OwnStatements;
use crate::verify::{self, VerifiedImage};

const CONCURRENCY: usize = 8;

impl ReleaseRun<'_> {
    /// The names of each target that stay where they are.
    pub(super) async fn kept(
        &self,
        outside: &Outside,
        signer: &Signer,
        baseline: &Baseline,
    ) -> anyhow::Result<Vec<Vec<KeptName>>> {
        let Self { context, release, .. } = self;
        let repository =
            format!("{}/{}", context.server_url, context.repository.as_deref().unwrap_or_default());
        let ours = OwnStatements {
            signer: signer.clone(),
            repository,
            repository_id: context.repository_id.clone(),
        };
        let floating = release
            .targets
            .iter()
            .flat_map(|target| target.names.iter().filter(|name| floats(target, name)));
        let images: BTreeSet<ImageRef> = floating.filter_map(|name| baseline.taken(name)).collect();
        let ours = &ours;
        let stands: HashMap<ImageRef, StandingName> = stream::iter(images)
            .map(|image| async move {
                let told = ours.told(&outside.registry, &outside.verifier, &image).await;
                let flood = |error: &anyhow::Error| {
                    error.chain().any(|cause| {
                        matches!(cause.downcast_ref(), Some(RegistryError::TooLarge { .. }))
                    })
                };
                let stands = match told {
                    Ok(told) if told.is_empty() => StandingName::Foreign,
                    Ok(told) => StandingName::Ours(told),
                    // Anybody may attach more to an image than is read; a registry that does not
                    // answer ends the run instead.
                    Err(error) if flood(&error) => {
                        StandingName::Unread(crate::error::message(&error))
                    }
                    Err(error) => {
                        return Err(
                            error.context(format!("what `{image}` points to cannot be read"))
                        );
                    }
                };
                anyhow::Ok((image, stands))
            })
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await?;
        let mut judge = ForwardJudge { run: self, api: None, answers: HashMap::new() };
        let mut kept = Vec::new();
        for target in &release.targets {
            let mut of_target = Vec::new();
            for name in target.names.iter().filter(|name| floats(target, name)) {
                let Some(image) = baseline.taken(name) else { continue };
                let Some(stands) = stands.get(&image) else { continue };
                match judge.verdict(name, target.lines.of(&name.tag), stands).await? {
                    ForwardVerdict::Moves => {}
                    ForwardVerdict::MovesWith(why) => {
                        self.report.notice(&format!("`{name}` moves: {why}"))
                    }
                    ForwardVerdict::Stays(why) => {
                        self.report.notice(&format!("`{name}` stays where it is: {why}"));
                        of_target.push(KeptName { name: name.clone(), digest: image.digest, why });
                    }
                }
            }
            kept.push(of_target);
        }
        Ok(kept)
    }

    /// The image of each target, where an earlier run of this commit gave it its whole version,
    /// with complete evidence. An index never builds to the same digest twice, so a rerun keeps it.
    pub(super) async fn earlier(
        &self,
        outside: &Outside,
        policies: &[EvidencePolicy],
        baseline: &Baseline,
    ) -> Option<Vec<Vec<VerifiedImage>>> {
        if self.release.on_tag_conflict == OnTagConflict::Overwrite {
            return None;
        }
        let mut all = Vec::new();
        for (target, policy) in self.release.targets.iter().zip(policies) {
            let policy = policy.with_older_indexes();
            let whole = target.names.iter().filter(|name| target.lines.is_whole(&name.tag));
            let digests: BTreeSet<_> =
                whole.filter_map(|name| Some(baseline.taken(name)?.digest)).collect();
            let digest = digests.first().filter(|_| digests.len() == 1)?;
            let mut verified = Vec::new();
            for repository in &target.images {
                let image = verify::verify(
                    &outside.registry,
                    &outside.verifier,
                    &repository.at(digest),
                    &policy,
                )
                .await
                .ok()?;
                let sha = self.context.sha.as_str();
                let is_of_commit = !sha.is_empty() && image.commits().contains(&sha);
                verified.push(Some(image).filter(|_| is_of_commit)?);
            }
            all.push(verified);
        }
        Some(all).filter(|all| !all.is_empty())
    }
}

/// Whether a name could go backwards: one of a single version is refused to others instead.
fn floats(target: &PublishTarget, name: &ImageName) -> bool {
    *target.lines.of(&name.tag) != ReleaseLine::Free && !is_immutable(&name.tag)
}

/// Asks the history, each question once.
struct ForwardJudge<'a> {
    run: &'a ReleaseRun<'a>,
    api: Option<Option<Api>>,
    answers: HashMap<HistoryQuestion, NameHistory>,
}

impl ForwardJudge<'_> {
    async fn verdict(
        &mut self,
        name: &ImageName,
        line: &ReleaseLine,
        stands: &StandingName,
    ) -> anyhow::Result<ForwardVerdict> {
        let (context, release) = (self.run.context, self.run.release);
        let candidate = Candidate {
            line,
            commit: &context.sha,
            git_ref: &context.git_ref,
            branch_by_default: release.branch_by_default,
        };
        let verdict = match (forward::without_comparison(line, stands), stands) {
            (Some(verdict), _) => verdict,
            (None, StandingName::Ours(told)) => {
                let mut verdicts = Vec::new();
                for told in told {
                    verdicts.push(match forward::weigh(&name.tag, &candidate, told) {
                        Weighed::Verdict(verdict) => verdict,
                        Weighed::Asks(question) => {
                            let history = self.history(&question).await?;
                            forward::settle(&question, &candidate, history)
                        }
                    });
                }
                forward::all(verdicts)
            }
            (None, _) => ForwardVerdict::Stays("what it points to cannot be compared".to_owned()),
        };
        let insists = release.on_tag_conflict == OnTagConflict::Overwrite;
        Ok(if insists { forward::insisted(verdict) } else { verdict })
    }

    async fn history(&mut self, question: &HistoryQuestion) -> anyhow::Result<NameHistory> {
        if let Some(known) = self.answers.get(question) {
            return Ok(*known);
        }
        let context = self.run.context;
        if self.api.is_none() {
            self.api = Some(
                Api::new(context, self.run.settings.logins.github_token.as_ref())
                    .context("GitHub's API cannot be used")?,
            );
        }
        let witness = HistoryWitness { api: self.api.as_ref().and_then(Option::as_ref), context };
        let mut history = NameHistory {
            descends: witness.descends(&question.from, &context.sha).await,
            is_head: None,
        };
        if let Some(git_ref) = question.head_of.as_ref().filter(|_| history.descends != Some(true))
        {
            history.is_head = witness.is_head(git_ref, &context.sha).await;
        }
        self.answers.insert(question.clone(), history);
        Ok(history)
    }
}
