//! What the repository in the workspace says: its ref and commit, and whether a commit lies on a
//! branch. It only reads, and needs no `git`.

use std::path::PathBuf;

use anyhow::Context as _;
use jiff::Timestamp;

use super::RunContext;
use crate::error::Remedy as _;

/// What is checked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    pub git_ref: String,
    pub sha: String,
    pub commit_date: Option<Timestamp>,
}

/// What is checked out in the workspace.
///
/// # Errors
/// When there is no repository, or nothing tells which ref a detached head belongs to.
pub async fn checkout(context: &RunContext) -> anyhow::Result<Checkout> {
    let folder = folder(context);
    let shown = folder.display().to_string();
    let read = move || -> anyhow::Result<Checkout> {
        let repository = gix::discover(folder)?;
        let commit = repository.head_commit()?;
        let git_ref = match repository.head_name()? {
            Some(branch) => branch.to_string(),
            None => detached(&repository, commit.id)?,
        };
        let commit_date = Timestamp::from_second(commit.time()?.seconds).ok();
        Ok(Checkout { git_ref, sha: commit.id.to_string(), commit_date })
    };
    tokio::task::spawn_blocking(read)
        .await?
        .with_context(|| format!("input `metadata-context`: `git` reads the repository in `{shown}`, which cannot be done"))
        .hint("check out a branch or a tag with actions/checkout, or use `workflow`")
}

/// The repository at GitHub that a folder is a clone of, and the commit that is checked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloneOrigin {
    /// `owner/name`.
    pub repository: String,
    pub sha: String,
    /// The branch that is checked out, or a tag of the commit; empty where nothing tells.
    pub git_ref: String,
    /// The branch that the remote had as its default when it was cloned.
    pub default_branch: Option<String>,
}

/// What the clone around a folder says of itself; `None` without a clone, a commit, or a remote
/// `origin` on this server.
pub async fn origin(folder: PathBuf, server_url: &str) -> Option<CloneOrigin> {
    let server = server_url.to_owned();
    let read = move || {
        let repository = gix::discover(folder).ok()?;
        let address = repository.config_snapshot().string("remote.origin.url")?.to_string();
        let head = repository.head_id().ok()?.detach();
        let git_ref = match repository.head_name().ok()? {
            Some(branch) => branch.to_string(),
            None => detached(&repository, head).unwrap_or_default(),
        };
        let default = repository.find_reference("refs/remotes/origin/HEAD").ok();
        let default =
            default.and_then(|head| Some(head.target().try_name()?.as_bstr().to_string()));
        Some(CloneOrigin {
            repository: named(&address, &server)?,
            sha: head.to_string(),
            git_ref,
            default_branch: default
                .and_then(|name| name.strip_prefix("refs/remotes/origin/").map(str::to_owned)),
        })
    };
    tokio::task::spawn_blocking(read).await.ok().flatten()
}

/// `owner/name` of an address such as `https://github.com/octo/app.git` or
/// `git@github.com:octo/app`.
fn named(address: &str, server_url: &str) -> Option<String> {
    let server =
        server_url.split_once("://").map_or(server_url, |(_, host)| host).trim_end_matches('/');
    let rest = match address.split_once("://") {
        Some((_, rest)) => rest.rsplit_once('@').map_or(rest, |(_, rest)| rest).split_once('/'),
        None => address.rsplit_once('@').map_or(address, |(_, rest)| rest).split_once(':'),
    };
    let (host, path) = rest?;
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let word = |text: &str| {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !text.is_empty() && text.bytes().all(legal)
    };
    let (owner, name) = path.split_once('/')?;
    let is_here = host.split(':').next().is_some_and(|host| host.eq_ignore_ascii_case(server));
    (is_here && word(owner) && word(name)).then(|| format!("{owner}/{name}"))
}

pub(super) fn folder(context: &RunContext) -> PathBuf {
    context.workspace.clone().unwrap_or_else(|| ".".into())
}

/// The ref a detached head was made from: a tag of this commit, a pull request, or the youngest
/// branch that holds it.
fn detached(repository: &gix::Repository, head: gix::ObjectId) -> anyhow::Result<String> {
    let mut holding: Vec<(i64, String)> = Vec::new();
    let mut tags = Vec::new();
    for reference in repository.references()?.all()?.filter_map(Result::ok) {
        let name = reference.name().as_bstr().to_string();
        let Ok(id) = reference.into_fully_peeled_id() else { continue };
        let id = id.detach();
        if let Some(pull) = name.strip_prefix("refs/remotes/pull/").filter(|_| id == head) {
            return Ok(format!("refs/pull/{pull}"));
        }
        if name.starts_with("refs/tags/") {
            tags.push((id == head, name, id));
        } else if let Some(branch) = branch(&name)
            && contains(repository, id, head)
        {
            let age = repository
                .find_commit(id)
                .ok()
                .and_then(|commit| Some(commit.time().ok()?.seconds))
                .unwrap_or_default();
            holding.push((age, format!("refs/heads/{branch}")));
        }
    }
    if let Some((_, tag, _)) = tags.iter().rfind(|(of_head, ..)| *of_head) {
        return Ok(tag.clone());
    }
    let youngest = holding.into_iter().max_by_key(|(age, _)| *age).map(|(_, branch)| branch);
    let later = || {
        tags.into_iter().find(|(_, _, id)| contains(repository, *id, head)).map(|(_, tag, _)| tag)
    };
    youngest.or_else(later).context("no branch or tag holds the commit that is checked out")
}

/// The name of a local or remote branch.
fn branch(name: &str) -> Option<&str> {
    let remote = || {
        name.strip_prefix("refs/remotes/")
            .and_then(|rest| rest.split_once('/'))
            .map(|(_, branch)| branch)
    };
    name.strip_prefix("refs/heads/").or_else(remote).filter(|branch| *branch != "HEAD")
}

fn contains(repository: &gix::Repository, tip: gix::ObjectId, commit: gix::ObjectId) -> bool {
    repository
        .merge_base(tip, commit)
        .is_ok_and(|base| base.is_some_and(|base| base.detach() == commit))
}

/// Whether a commit lies on a branch, as far as the repository in the workspace knows. Without the
/// whole history, "no" may only mean "not fetched", and is no answer.
pub async fn is_ancestor(context: &RunContext, branch: &str) -> Option<bool> {
    let (folder, sha, branch) = (folder(context), context.sha.clone(), branch.to_owned());
    let read = move || {
        let repository = gix::discover(folder).ok()?;
        let tip = [format!("refs/remotes/origin/{branch}"), format!("refs/heads/{branch}")];
        let tip = tip
            .iter()
            .find_map(|name| repository.find_reference(name).ok()?.into_fully_peeled_id().ok())?
            .detach();
        let commit = repository.find_commit(gix::ObjectId::from_hex(sha.as_bytes()).ok()?).ok()?.id;
        Some(contains(&repository, tip, commit))
            .filter(|on| *on || !repository.is_shallow().unwrap_or(true))
    };
    tokio::task::spawn_blocking(read).await.ok().flatten()
}

/// Whether a commit is another, or comes after it. Both must be there; without the whole history,
/// "no" is no answer.
pub(super) async fn comes_after(folder: PathBuf, from: &str, commit: &str) -> Option<bool> {
    let (from, commit) = (from.to_owned(), commit.to_owned());
    let read = move || {
        let repository = gix::discover(folder).ok()?;
        let find = |text: &str| {
            Some(repository.find_commit(gix::ObjectId::from_hex(text.as_bytes()).ok()?).ok()?.id)
        };
        let (from, commit) = (find(&from)?, find(&commit)?);
        Some(contains(&repository, commit, from))
            .filter(|after| *after || !repository.is_shallow().unwrap_or(true))
    };
    tokio::task::spawn_blocking(read).await.ok().flatten()
}

/// The Git tags that the repository in the workspace has.
pub(super) async fn tags(folder: PathBuf) -> Vec<String> {
    let read = move || -> Option<Vec<String>> {
        let repository = gix::discover(folder).ok()?;
        let references = repository.references().ok()?;
        let named = references.all().ok()?.filter_map(Result::ok).filter_map(|reference| {
            reference.name().as_bstr().to_string().strip_prefix("refs/tags/").map(str::to_owned)
        });
        Some(named.collect())
    };
    tokio::task::spawn_blocking(read).await.ok().flatten().unwrap_or_default()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test finds git where its caller does")]
mod tests {
    use super::*;
    use crate::command::{Program, Variables, find};
    use crate::environment::Environment;

    #[test]
    fn a_clone_of_github_is_known_by_its_address() {
        for (address, repository) in [
            ("https://github.com/octo/app.git", Some("octo/app")),
            ("https://user:token@github.com/octo/app/", Some("octo/app")),
            ("git@github.com:octo/app.git", Some("octo/app")),
            ("ssh://git@GitHub.com:22/octo/a.p-p_", Some("octo/a.p-p_")),
            ("https://github.com.evil.example/octo/app", None),
            ("https://gitlab.com/octo/app", None),
            ("https://github.com/octo/app/tree", None),
            ("https://github.com/octo/a%20b", None),
            ("/srv/octo/app", None),
            ("../app", None),
        ] {
            assert_eq!(named(address, "https://github.com").as_deref(), repository, "{address}");
        }
    }

    /// A repository on branch `feature/x` with one commit.
    struct Fixture {
        _folder: tempfile::TempDir,
        context: RunContext,
        program: Program,
    }

    impl Fixture {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let env: Environment = [
                ("PATH", std::env::var("PATH").unwrap().as_str()),
                ("GIT_COMMITTER_DATE", "2025-03-09T14:07:08+00:00"),
            ]
            .into_iter()
            .chain([
                ("GIT_AUTHOR_NAME", "o"),
                ("GIT_AUTHOR_EMAIL", "o@o.o"),
                ("GIT_COMMITTER_NAME", "o"),
                ("GIT_COMMITTER_EMAIL", "o@o.o"),
            ])
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
            let context =
                RunContext { workspace: Some(folder.path().to_owned()), ..RunContext::default() };
            let program = Program::new(
                find("git", &env).unwrap(),
                &[],
                Variables::of(&env).and(&env, &["GIT_*"]),
            );
            let fixture = Self { _folder: folder, context, program };
            fixture.git("init -q -b feature/x").await;
            fixture.git("commit -q --allow-empty -m one").await;
            fixture
        }

        async fn git(&self, arguments: &str) -> String {
            let folder = self.context.workspace.as_ref().unwrap().display().to_string();
            let arguments: Vec<String> = ["-C", &folder]
                .into_iter()
                .chain(arguments.split(' '))
                .map(str::to_owned)
                .collect();
            self.program.capture(&arguments).await.unwrap().trim().to_owned()
        }

        async fn git_ref(&self) -> String {
            checkout(&self.context).await.unwrap().git_ref
        }
    }

    #[tokio::test]
    async fn the_checkout_says_its_ref() {
        let fixture = Fixture::new().await;
        let on_branch = checkout(&fixture.context).await.unwrap();
        assert_eq!(
            (on_branch.git_ref.as_str(), on_branch.sha),
            ("refs/heads/feature/x", fixture.git("rev-parse HEAD").await)
        );
        assert_eq!(on_branch.commit_date, Some("2025-03-09T14:07:08Z".parse().unwrap()));
        fixture.git("checkout -q --detach").await;
        assert_eq!(fixture.git_ref().await, "refs/heads/feature/x");
        fixture.git("update-ref refs/remotes/pull/7/merge HEAD").await;
        assert_eq!(fixture.git_ref().await, "refs/pull/7/merge");
        fixture.git("update-ref -d refs/remotes/pull/7/merge").await;
        fixture.git("tag -m annotated v1.2.3").await;
        assert_eq!(fixture.git_ref().await, "refs/tags/v1.2.3");
        fixture.git("pack-refs --all").await;
        fixture.git("gc -q").await;
        assert_eq!(fixture.git_ref().await, "refs/tags/v1.2.3");
    }

    #[tokio::test]
    async fn a_commit_lies_on_the_branch_that_holds_it() {
        let mut fixture = Fixture::new().await;
        fixture.context.sha = fixture.git("rev-parse HEAD").await;
        fixture.git("commit -q --allow-empty -m two").await;
        assert_eq!(is_ancestor(&fixture.context, "feature/x").await, Some(true));
        assert_eq!(is_ancestor(&fixture.context, "main").await, None);
        fixture.git("checkout -q --orphan other").await;
        fixture.git("commit -q --allow-empty -m three").await;
        assert_eq!(is_ancestor(&fixture.context, "other").await, Some(false));
        fixture.context.sha = "0".repeat(40);
        assert_eq!(is_ancestor(&fixture.context, "other").await, None);
    }

    #[tokio::test]
    async fn a_commit_comes_after_those_it_was_made_of() {
        let fixture = Fixture::new().await;
        let folder = || folder(&fixture.context);
        let one = fixture.git("rev-parse HEAD").await;
        fixture.git("tag v1.2.3").await;
        fixture.git("commit -q --allow-empty -m two").await;
        let two = fixture.git("rev-parse HEAD").await;
        assert_eq!(comes_after(folder(), &one, &two).await, Some(true));
        assert_eq!(comes_after(folder(), &one, &one).await, Some(true));
        assert_eq!(comes_after(folder(), &two, &one).await, Some(false));
        assert_eq!(comes_after(folder(), &"0".repeat(40), &one).await, None);
        let shallow = folder().join(".git/shallow");
        std::fs::write(&shallow, format!("{one}\n")).unwrap();
        assert_eq!(
            comes_after(folder(), &two, &one).await,
            None,
            "a part of the history says no `no`"
        );
        assert_eq!(tags(folder()).await, ["v1.2.3"]);
    }

    #[tokio::test]
    async fn no_repository_is_a_clear_error() {
        let folder = tempfile::tempdir().unwrap();
        let context =
            RunContext { workspace: Some(folder.path().to_owned()), ..RunContext::default() };
        let error = checkout(&context).await.unwrap_err();
        assert!(
            crate::error::message(&error)
                .contains("`metadata-context`: `git` reads the repository"),
            "{error:?}"
        );
    }
}
