//! The input `source` of `bake` → the folder or the Git repository in which the bake files lie, and
//! where the contexts of their targets then are. Pure; it fetches nothing.
//!
//! Reference: <https://docs.docker.com/build/bake/remote-definition/>.

use std::path::{Component, Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use super::flags::{self, FlagFacts};
use crate::error::Remedy as _;

/// The variable in which buildx looks for the token of a remote definition.
pub const TOKEN_VARIABLE: &str = "BUILDX_BAKE_GIT_AUTH_TOKEN";

/// Contexts that are not below the bake files.
const ELSEWHERE: [&str; 6] =
    ["cwd://", "target:", "docker-image:", "oci-layout:", "http://", "https://"];

#[derive(Debug)]
pub enum ContextSource {
    Folder(PathBuf),
    Remote(RemoteSource),
}

/// A Git repository as buildx takes it, with its commit and perhaps a folder.
#[derive(Debug)]
pub struct RemoteSource {
    pub url: String,
    /// The token of this run and the host it is for, where the repository is this run's own.
    token: Option<(String, SecretString)>,
}

impl ContextSource {
    /// `text` is the input, in which `{{defaultContext}}` stands for the commit of this run, as
    /// nothing does.
    pub fn of(
        text: &str,
        facts: &FlagFacts<'_>,
        token: Option<&SecretString>,
    ) -> anyhow::Result<Self> {
        let (source, host) = flags::source(text, facts);
        if is_git(&source) {
            let token = host
                .filter(|_| facts.private)
                .zip(token.filter(|token| !token.expose_secret().is_empty()).cloned());
            return Ok(Self::Remote(RemoteSource { url: source, token }));
        }
        if source.contains("://") {
            return Err(anyhow::anyhow!("input `source`: `{source}` is neither a folder nor a Git repository"))
                .hint("write a repository as `https://HOST/OWNER/NAME.git#COMMIT`, or leave `source` out for the commit of this run");
        }
        Ok(Self::Folder(PathBuf::from(source)))
    }

    /// Where paths on this machine are relative to.
    pub fn folder(&self) -> &Path {
        match self {
            Self::Folder(folder) => folder,
            Self::Remote(_) => Path::new("."),
        }
    }
}

impl RemoteSource {
    pub fn token(&self) -> Option<&SecretString> {
        self.token.as_ref().map(|(_, token)| token)
    }

    /// Moves a target's contexts, which are relative to the bake files, to where those are; with
    /// the token to fetch them, as a secret.
    pub fn move_contexts(&self, target: &mut Map<String, Value>) {
        let context = self.context(target.get("context").and_then(Value::as_str).unwrap_or("."));
        let mut fetched = self.holds(&context);
        target.insert("context".to_owned(), context.into());
        for (_, context) in
            target.get_mut("contexts").and_then(Value::as_object_mut).into_iter().flatten()
        {
            if let Some(text) = context.as_str() {
                let moved = self.context(text);
                fetched = fetched || self.holds(&moved);
                *context = moved.into();
            }
        }
        let Some((host, _)) = self.token.as_ref().filter(|_| fetched) else { return };
        let id = format!("GIT_AUTH_TOKEN.{host}");
        let secrets = target.entry("secret").or_insert_with(|| json!([]));
        let is_own = |secret: &Value| {
            secret["id"].as_str().is_some_and(|own| own == id || own == "GIT_AUTH_TOKEN")
        };
        if let Some(secrets) = secrets.as_array_mut().filter(|secrets| !secrets.iter().any(is_own))
        {
            secrets.push(json!({ "id": id, "env": TOKEN_VARIABLE }));
        }
    }

    fn holds(&self, context: &str) -> bool {
        is_of(context, self.url.split(['#', '?']).next().unwrap_or_default())
    }

    /// As buildx, which copies such a folder out of the repository.
    fn context(&self, context: &str) -> String {
        if ELSEWHERE.iter().any(|start| context.starts_with(start)) || is_git(context) {
            return context.to_owned();
        }
        match (self.url.split_once('#'), self.url.split_once('?')) {
            (Some((base, fragment)), _) => {
                let (commit, folder) = fragment.split_once(':').unwrap_or((fragment, ""));
                with(base, '#', &joined(folder, context), |folder| {
                    if folder.is_empty() { commit.to_owned() } else { format!("{commit}:{folder}") }
                })
            }
            (None, Some((base, query))) => {
                let (folder, kept): (Vec<&str>, Vec<&str>) =
                    query.split('&').partition(|field| field.starts_with("subdir="));
                let folder = folder
                    .first()
                    .and_then(|field| field.split_once('='))
                    .map_or("", |(_, folder)| folder);
                with(base, '?', &joined(folder, context), |folder| {
                    let own = (!folder.is_empty()).then(|| format!("subdir={folder}"));
                    kept.iter()
                        .map(|field| (*field).to_owned())
                        .chain(own)
                        .collect::<Vec<_>>()
                        .join("&")
                })
            }
            (None, None) => with(&self.url, '#', &joined("", context), |folder| {
                if folder.is_empty() { String::new() } else { format!(":{folder}") }
            }),
        }
    }
}

fn with(base: &str, sign: char, folder: &str, rest: impl FnOnce(&str) -> String) -> String {
    let rest = rest(folder);
    if rest.is_empty() { base.to_owned() } else { format!("{base}{sign}{rest}") }
}

/// A path below a folder, without `.` and, as far as they lead nowhere else, `..`.
fn joined(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in Path::new(folder).components().chain(Path::new(path).components()) {
        match part {
            Component::Normal(part) => parts.extend(part.to_str()),
            Component::ParentDir if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            Component::ParentDir => parts.push(".."),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    parts.join("/")
}

/// What buildx and BuildKit take for a Git repository.
fn is_git(text: &str) -> bool {
    let begins = |starts: &[&str]| starts.iter().any(|start| text.starts_with(start));
    begins(&["git@", "git://", "ssh://", "github.com/"])
        || (begins(&["https://", "http://"])
            && text.split(['#', '?']).next().is_some_and(|address| address.ends_with(".git")))
}

/// Whether a context is in the repository at this address.
pub(super) fn is_of(context: &str, address: &str) -> bool {
    context
        .strip_prefix(address)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['#', '?']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;

    fn source(text: &str, env: &[(&str, &str)]) -> anyhow::Result<ContextSource> {
        let env: Environment =
            env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let facts =
            FlagFacts { env: &env, event: &Value::Null, file_exists: &|_| false, private: true };
        ContextSource::of(text, &facts, Some(&"t0ken".into()))
    }

    fn remote(text: &str) -> RemoteSource {
        match source(text, &[("GITHUB_REPOSITORY", "octo/app"), ("GITHUB_SHA", "c0ffee")]).unwrap()
        {
            ContextSource::Remote(remote) => remote,
            ContextSource::Folder(folder) => panic!("{}", folder.display()),
        }
    }

    #[test]
    fn the_commit_of_the_run_is_the_default_and_a_folder_is_taken_as_it_is() {
        assert_eq!(remote("").url, "https://github.com/octo/app.git#c0ffee");
        assert_eq!(
            remote("{{defaultContext}}:images").url,
            "https://github.com/octo/app.git#c0ffee:images"
        );
        assert_eq!(
            remote("https://git.example/o/a.git?ref=v1").url,
            "https://git.example/o/a.git?ref=v1"
        );
        for (text, env, folder) in
            [("./images", "octo/app", "./images"), ("", "", "."), ("/work", "octo/app", "/work")]
        {
            assert!(
                matches!(source(text, &[("GITHUB_REPOSITORY", env)]).unwrap(), ContextSource::Folder(found) if found == Path::new(folder)),
                "{text}"
            );
        }
        let error = format!("{:#}", source("https://git.example/bake.hcl", &[]).unwrap_err());
        assert!(
            error.contains(
                "`https://git.example/bake.hcl` is neither a folder nor a Git repository"
            ),
            "{error}"
        );
    }

    /// The expected addresses are those that buildx writes into the provenance of a remote
    /// definition.
    #[test]
    fn contexts_are_where_the_bake_files_are() {
        for (url, context, expected) in [
            ("https://h/o/a.git#c", ".", "https://h/o/a.git#c"),
            ("https://h/o/a.git#c", "./web/../api/", "https://h/o/a.git#c:api"),
            ("https://h/o/a.git#c:images", "web", "https://h/o/a.git#c:images/web"),
            ("https://h/o/a.git#c:images", "..", "https://h/o/a.git#c"),
            ("https://h/o/a.git#c:images", ".", "https://h/o/a.git#c:images"),
            ("https://h/o/a.git", "web", "https://h/o/a.git#:web"),
            ("https://h/o/a.git", ".", "https://h/o/a.git"),
            ("https://h/o/a.git?ref=c", "web", "https://h/o/a.git?ref=c&subdir=web"),
            (
                "https://h/o/a.git?ref=c&subdir=images",
                "web",
                "https://h/o/a.git?ref=c&subdir=images/web",
            ),
            ("https://h/o/a.git?subdir=images", "..", "https://h/o/a.git"),
            ("https://h/o/a.git#c", "../outside", "https://h/o/a.git#c:../outside"),
        ] {
            assert_eq!(remote(url).context(context), expected, "{url} {context}");
        }
        for elsewhere in [
            "cwd://web",
            "target:base",
            "docker-image://busybox",
            "https://h/x.tar.gz",
            "git@h:o/b.git",
            "oci-layout://x",
        ] {
            assert_eq!(remote("").context(elsewhere), elsewhere);
        }
    }

    #[test]
    fn a_public_repository_is_fetched_without_a_token() {
        let env = [("GITHUB_REPOSITORY", "octo/app"), ("GITHUB_SHA", "c0ffee")];
        let env: Environment =
            env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        for private in [false, true] {
            let facts =
                FlagFacts { env: &env, event: &Value::Null, file_exists: &|_| false, private };
            let source = ContextSource::of("", &facts, Some(&"t0ken".into())).unwrap();
            assert!(
                matches!(source, ContextSource::Remote(remote) if remote.token().is_some() == private)
            );
        }
    }

    #[test]
    fn the_token_goes_to_the_runs_own_repository_alone() {
        let moved = |url: &str, target: Value| {
            let mut target = target.as_object().unwrap().clone();
            remote(url).move_contexts(&mut target);
            Value::Object(target)
        };
        let secret =
            json!([{ "id": "GIT_AUTH_TOKEN.github.com", "env": "BUILDX_BAKE_GIT_AUTH_TOKEN" }]);
        let here = "https://github.com/octo/app.git#c0ffee";
        assert_eq!(moved("", json!({})), json!({ "context": here, "secret": secret }));
        assert_eq!(
            moved("", json!({ "context": "docker-image://busybox", "contexts": { "src": "src" } })),
            json!({ "context": "docker-image://busybox", "contexts": { "src": format!("{here}:src") }, "secret": secret })
        );
        let none = json!({ "context": "cwd://." });
        assert_eq!(moved("", none.clone()), none);
        let theirs = json!({ "secret": [{ "id": "GIT_AUTH_TOKEN", "env": "MINE" }] });
        assert_eq!(moved("", theirs.clone())["secret"], theirs["secret"]);
        for other in [
            "https://github.com/octo/other.git#c",
            "https://github.com/octo/app.gitea.git",
            "https://git.example/octo/app.git",
        ] {
            assert!(moved(other, json!({})).get("secret").is_none(), "{other}");
            assert!(remote(other).token().is_none(), "{other}");
        }
    }
}
