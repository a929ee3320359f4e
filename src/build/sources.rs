//! What a build is made from, as far as it lies on this machine: the context and its Dockerfile are
//! there, or what was meant by them. It opens no file, and says nothing of a context that the
//! builder fetches.

use std::path::{Path, PathBuf};

use super::flags::Flags;
use crate::environment::Environment;
use crate::error::{Remedy as _, with_hint};
use crate::page::RefusalPage;

const USUAL: &str = "Dockerfile";
/// Other names that tools know.
const KNOWN: [&str; 3] = [USUAL, "dockerfile", "Containerfile"];
/// So many other files are named.
const MOST: usize = 3;
/// So deep below the context one is looked for.
const DEPTH: usize = 3;
/// Closer to a known name, and it was meant; `docker` is not.
const ALIKE: f64 = 0.93;
/// And among so many files and folders.
const LOOKED_AT: usize = 5000;

/// The heading of the page about it.
const NO_DOCKERFILE: RefusalPage = RefusalPage::NoDockerfile;

/// What would fail late and obscurely: there is no such context, or no Dockerfile in it.
pub fn check(flags: &Flags, env: &Environment) -> anyhow::Result<()> {
    if is_fetched(&flags.context) {
        return Ok(());
    }
    let context = Path::new(&flags.context);
    if !context.is_dir() {
        return Err(no_context(context)).see(NO_DOCKERFILE);
    }
    let given = flags.values("--file").last().filter(|file| !file.is_empty());
    match given {
        Some(file) if is_fetched(file) || is_there(Path::new(file)) => Ok(()),
        Some(file) => Err(no_file(context, file)).see(NO_DOCKERFILE),
        None if is_there(&context.join(USUAL)) => Ok(()),
        // Another program under `BUILDX` may need none, but not beside one that is meant.
        None => match alike(context) {
            found if found.is_empty() && is_another_program(env) => Ok(()),
            found => Err(no_dockerfile(context, &found)).see(NO_DOCKERFILE),
        },
    }
}

/// Whether the builder gets it from elsewhere; `-` is standard input.
fn is_fetched(text: &str) -> bool {
    text == "-"
        || text.contains("://")
        || text.starts_with("git@")
        || text.starts_with("github.com/")
}

/// buildx finds a `dockerfile` where a `Dockerfile` is looked for.
fn is_there(file: &Path) -> bool {
    let is_usual = file.file_name().is_some_and(|name| name == USUAL);
    file.is_file() || (is_usual && file.with_file_name("dockerfile").is_file())
}

fn is_another_program(env: &Environment) -> bool {
    let named =
        env.get("BUILDX").map(Path::new).and_then(Path::file_stem).and_then(|name| name.to_str());
    named.is_some_and(|name| !["buildx", "docker-buildx"].contains(&name))
}

fn no_context(context: &Path) -> anyhow::Error {
    let error = anyhow::anyhow!("input `context`: there is no folder `{}`", context.display());
    if context.is_file() {
        let is_dockerfile =
            similar(&context.file_name().unwrap_or_default().to_string_lossy(), &KNOWN).is_some();
        let meant = if is_dockerfile { "; did you mean `file`?" } else { "" };
        return with_hint(
            error,
            format!("it is a file{meant} `context` is the folder that the build may copy from"),
        );
    }
    let parent =
        context.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folders = named(parent, |entry| entry.is_dir());
    let name = context.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match similar(&name, &folders) {
        Some(meant) => {
            with_hint(error, format!("did you mean `{}`?", context.with_file_name(meant).display()))
        }
        None => with_hint(
            error,
            "in a workflow the repository is there only after `actions/checkout`; paths are relative to its root",
        ),
    }
}

/// The Dockerfile that `file` names is relative to the workspace, as with docker/build-push-action,
/// and people write it relative to the context.
fn no_file(context: &Path, file: &str) -> anyhow::Error {
    let error = anyhow::anyhow!("input `file`: there is no file `{file}`");
    if is_there(&context.join(file)) {
        let meant = context.join(file);
        return with_hint(
            error,
            format!(
                "did you mean `{}`? `file` is relative to the workspace, not to `context`",
                meant.display()
            ),
        );
    }
    match alike(context).as_slice() {
        [] => with_hint(
            error,
            "`file` is relative to the workspace; in a workflow the repository is there only after `actions/checkout`",
        ),
        found => with_hint(error, did_you_mean(found)),
    }
}

fn no_dockerfile(context: &Path, found: &[PathBuf]) -> anyhow::Error {
    let error = anyhow::anyhow!("there is no `{USUAL}` in the context `{}`", context.display());
    match found {
        [] if is_empty(context) => with_hint(
            error,
            "the folder is empty: in a workflow the repository is there only after `actions/checkout`",
        ),
        [] => with_hint(error, "name it with `file`, or the folder that holds it with `context`"),
        found => with_hint(error, did_you_mean(found)),
    }
}

fn did_you_mean(found: &[PathBuf]) -> String {
    let listed: Vec<String> =
        found.iter().take(MOST).map(|file| format!("`file: {}`", file.display())).collect();
    format!("did you mean {}?", listed.join(" or "))
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// Files in the context that are called like a Dockerfile, the nearest first. Links are not
/// followed.
fn alike(context: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![context.to_owned()];
    let mut budget = LOOKED_AT;
    for _ in 0..DEPTH {
        let mut below = Vec::new();
        for folder in folders {
            let mut entries: Vec<_> =
                std::fs::read_dir(&folder).into_iter().flatten().flatten().take(budget).collect();
            budget -= entries.len();
            entries.sort_by_key(std::fs::DirEntry::file_name);
            for entry in entries {
                let name = entry.file_name().to_string_lossy().into_owned();
                match entry.file_type() {
                    Ok(kind)
                        if kind.is_dir() && !name.starts_with('.') && name != "node_modules" =>
                    {
                        below.push(entry.path())
                    }
                    Ok(kind) if kind.is_file() && is_called_like_one(&name) => {
                        found.push(entry.path())
                    }
                    _ => {}
                }
            }
        }
        folders = below;
    }
    found
        .into_iter()
        .map(|path| path.strip_prefix(".").map_or_else(|_| path.clone(), Path::to_owned))
        .collect()
}

/// `Dockerfile.prod`, `api.Dockerfile`, `dockerfile`, `Containerfile`, and slips such as
/// `Dockerfle`.
fn is_called_like_one(name: &str) -> bool {
    let lower = name.to_lowercase();
    let is_part = |part: &str| ["dockerfile", "containerfile"].contains(&part);
    let is_beside = lower.ends_with("ignore") || lower.ends_with(".rego") || lower.ends_with(".md");
    !is_beside
        && (lower.split(['.', '-', '_']).any(is_part)
            || (!lower.contains('.') && similar(name, &KNOWN).is_some()))
}

fn similar<N: AsRef<str>>(name: &str, known: &[N]) -> Option<String> {
    let close =
        known.iter().map(|known| (strsim::jaro_winkler(name, known.as_ref()), known.as_ref()));
    close
        .filter(|(close, _)| *close >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, known)| known.to_owned())
}

fn named(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().take(LOOKED_AT);
    entries
        .filter(|entry| wanted(&entry.path()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::flags::{Flag, FlagValue};
    use super::*;
    use crate::error;

    fn told(context: &Path, file: Option<&str>, program: Option<&str>) -> Option<String> {
        let flag = |file: &str| Flag { name: "--file", value: FlagValue::Text(file.to_owned()) };
        let flags = Flags {
            flags: file.map(flag).into_iter().collect(),
            context: context.display().to_string(),
            ..Flags::default()
        };
        let env =
            program.map(|program| ("BUILDX".to_owned(), program.to_owned())).into_iter().collect();
        let error = check(&flags, &env).err()?;
        Some(
            format!("{}; {}", error::message(&error), error::hints(&error).join("; "))
                .replace(&context.display().to_string(), "DIR"),
        )
    }

    #[test]
    fn a_dockerfile_that_is_not_there_is_told_with_what_was_meant() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (empty, only, deep, plain) = (at("empty"), at("only"), at("deep"), at("plain"));
        for folder in [&empty, &only, &deep.join("docker/api"), &plain] {
            std::fs::create_dir_all(folder).unwrap();
        }
        std::fs::write(only.join("Dockerfile.prod"), "").unwrap();
        std::fs::write(only.join("Dockerfile.prod.dockerignore"), "").unwrap();
        std::fs::write(deep.join("docker/api/Dockerfile"), "").unwrap();
        std::fs::write(plain.join("main.go"), "").unwrap();
        for (context, file, expected) in [
            (
                &empty,
                None,
                "there is no `Dockerfile` in the context `DIR`; the folder is empty: in a workflow the repository is there only",
            ),
            (
                &only,
                None,
                "there is no `Dockerfile` in the context `DIR`; did you mean `file: DIR/Dockerfile.prod`?",
            ),
            (
                &deep,
                None,
                "there is no `Dockerfile` in the context `DIR`; did you mean `file: DIR/docker/api/Dockerfile`?",
            ),
            (
                &plain,
                None,
                "there is no `Dockerfile` in the context `DIR`; name it with `file`, or the folder that holds it with `context`",
            ),
            (
                &only,
                Some("Dockerfile.prod"),
                "input `file`: there is no file `Dockerfile.prod`; did you mean `DIR/Dockerfile.prod`? `file` is",
            ),
            (
                &only,
                Some("Dockerfile.dev"),
                "input `file`: there is no file `Dockerfile.dev`; did you mean `file: DIR/Dockerfile.prod`?",
            ),
            (
                &empty,
                Some("x"),
                "input `file`: there is no file `x`; `file` is relative to the workspace",
            ),
            (&at("onyl"), None, "input `context`: there is no folder `DIR`; did you mean `"),
            (
                &at("nothing/like/it"),
                None,
                "input `context`: there is no folder `DIR`; in a workflow",
            ),
            (
                &only.join("Dockerfile.prod"),
                None,
                "input `context`: there is no folder `DIR`; it is a file",
            ),
        ] {
            let told = told(context, file, None).unwrap();
            assert!(told.starts_with(expected), "{told}");
        }
        // Another program is believed to need none, and buildx by its name is not.
        assert_eq!(told(&empty, None, Some("/x/fake_buildx.py")), None);
        assert!(
            told(&only, None, Some("/x/fake_buildx.py")).is_some()
                && told(&empty, None, Some("/x/buildx")).is_some()
        );
    }

    #[test]
    fn what_is_there_or_comes_from_elsewhere_is_not_told() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("dockerfile"), "").unwrap();
        let file = folder.path().join("dockerfile").display().to_string();
        assert_eq!(told(folder.path(), None, None), None, "buildx finds it");
        assert_eq!(told(folder.path(), Some(&file), None), None);
        assert_eq!(told(folder.path(), Some("-"), None), None);
        assert_eq!(told(folder.path(), Some("https://e.example/Dockerfile"), None), None);
        for context in
            ["https://github.com/o/r.git#c", "git@github.com:o/r.git", "github.com/o/r", "-"]
        {
            assert_eq!(told(Path::new(context), Some("nowhere"), None), None);
        }
    }

    #[test]
    fn files_are_called_like_a_dockerfile_or_not() {
        for (name, is_one) in [
            ("Dockerfile.prod", true),
            ("api.Dockerfile", true),
            ("Containerfile", true),
            ("DOCKERFILE", true),
            ("Dockerfle", true),
            ("Dockerfile-arm64", true),
            (".dockerignore", false),
            ("Dockerfile.dockerignore", false),
            ("docker-compose.yml", false),
            ("Makefile", false),
            ("docker", false),
        ] {
            assert_eq!(is_called_like_one(name), is_one, "{name}");
        }
    }
}
