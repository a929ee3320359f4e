//! `digests` and `digest-files`, in the ways in which jobs hand them on → claims: who says that
//! which digest is the image of which platform. It reads names of files, asks no registry, and
//! believes no claim: `build::merge` checks them.

use crate::build::merge::claims::JobClaim;
use std::path::Path;

use serde_json::Value;

use super::InputProblems;
use crate::files::{FileError, OpenFolder};
use crate::image::{Digest, ImageRef, Platform};

/// Both inputs; what is said twice counts once.
pub(super) fn claims(
    digests: Option<&str>,
    files: Option<&Path>,
    problems: &mut InputProblems,
) -> Vec<JobClaim> {
    let mut reader = DigestsReader { problems, found: Vec::new() };
    reader.text(digests.unwrap_or_default(), "input `digests`");
    if let Some(folder) = files {
        reader.folder(folder, OpenFolder::open(folder, Path::new("")), true);
    }
    let mut claims: Vec<JobClaim> = Vec::new();
    for claim in reader.found {
        let told = claims.iter().any(|told| {
            (&told.digest, &told.platform, &told.repository)
                == (&claim.digest, &claim.platform, &claim.repository)
        });
        if !told {
            claims.push(claim);
        }
    }
    claims
}

struct DigestsReader<'a> {
    problems: &'a mut InputProblems,
    found: Vec<JobClaim>,
}

impl DigestsReader<'_> {
    /// JSON values, one after another, or digests on lines or between commas.
    fn text(&mut self, text: &str, by: &str) {
        let text = text.trim();
        if !text.starts_with(['{', '[', '"']) {
            crate::text::lists::words(text).iter().for_each(|word| self.digest(word, None, by));
            return;
        }
        for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
            match value {
                Ok(value) => self.value(&value, by),
                Err(error) => {
                    self.problems
                        .say("digests", format_args!("the JSON of {by} cannot be read: {error}"));
                    return;
                }
            }
        }
    }

    fn value(&mut self, value: &Value, by: &str) {
        match value {
            Value::String(text) => self.text(text, by),
            Value::Array(values) => values.iter().for_each(|value| self.value(value, by)),
            Value::Object(fields) => {
                for (name, field) in fields {
                    match field {
                        Value::Object(job) => self.need(name, job),
                        field if is_output(name) => self.value(field, by),
                        Value::String(digest) => match name.parse() {
                            Ok(platform) => self.digest(digest, Some(platform), by),
                            Err(error) => {
                                self.problems.say("digests", format_args!("{by}: {error}"))
                            }
                        },
                        other => self.problems.say(
                            "digests",
                            format_args!("{by}: `{name}` has `{other}`, which is not a digest"),
                        ),
                    }
                }
            }
            other => self.problems.say("digests", format_args!("{by}: `{other}` is not a digest")),
        }
    }

    /// One entry of `toJSON(needs)`. A job without such an output has other work to do, and must
    /// have done it.
    fn need(&mut self, name: &str, job: &serde_json::Map<String, Value>) {
        match job.get("result").and_then(Value::as_str) {
            Some("success") => {}
            Some(result) => {
                return self.problems.say(
                    "digests",
                    format_args!(
                        "job `{name}` ended with `{result}`, so the image that it builds is missing"
                    ),
                );
            }
            None => {
                return self.problems.say(
                    "digests",
                    format_args!(
                        "`{name}` is neither a platform with its digest nor a job of `needs`"
                    ),
                );
            }
        }
        let outputs = job.get("outputs").and_then(Value::as_object).into_iter().flatten();
        for (_, value) in outputs.filter(|(output, _)| is_output(output)) {
            self.value(value, &format!("job `{name}`"));
        }
    }

    fn digest(&mut self, text: &str, platform: Option<Platform>, by: &str) {
        let text = text.trim();
        let read = if text.contains('@') {
            text.parse::<ImageRef>().map(|image| (image.digest, Some(image.repository)))
        } else {
            text.parse::<Digest>().map(|digest| (digest, None))
        };
        match read {
            Ok((digest, repository)) => {
                self.found.push(JobClaim { digest, platform, repository, by: by.to_owned() })
            }
            Err(error) => self.problems.say(
                "digests",
                format_args!("{by}: {error}; a tag may move, so only digests are handed on; `source-images` takes tags"),
            ),
        }
    }

    /// Files named by the hexadecimal digits alone, since an artifact's files may have no `:`; and
    /// one folder below, an artifact each.
    fn folder(&mut self, path: &Path, open: Result<OpenFolder, FileError>, deeper: bool) {
        let shown = path.display();
        let (folder, names) = match open
            .and_then(|folder| folder.names().map(|names| (folder, names)))
        {
            Ok(read) => read,
            Err(error) => {
                return self
                    .problems
                    .say("digest-files", format_args!("folder `{shown}` cannot be read: {error}"));
            }
        };
        if names.is_empty() {
            self.problems.say("digest-files", format_args!("folder `{shown}` is empty"));
        }
        for entry in names {
            let is_folder = match folder.is_folder(&entry) {
                Ok(is_folder) => is_folder,
                Err(error) => {
                    self.problems.say("digest-files", error);
                    continue;
                }
            };
            let name = entry.to_string_lossy().into_owned();
            let entry = path.join(entry);
            match format!("sha256:{}", name.trim_start_matches("sha256:")).parse() {
                _ if is_folder && deeper => {
                    self.folder(&entry, folder.below(Path::new(&name), false), false)
                }
                Ok(digest) => self.found.push(JobClaim {
                    digest,
                    platform: None,
                    repository: None,
                    by: format!("file `{name}`"),
                }),
                Err(_) => self.problems.say(
                    "digest-files",
                    format_args!(
                        "`{}` is not named by the 64 hexadecimal digits of a digest",
                        entry.display()
                    ),
                ),
            }
        }
    }
}

/// `digests`, or `digests-…` for the legs of a matrix, which share their outputs' names.
fn is_output(name: &str) -> bool {
    name == "digests" || name.starts_with("digests-") || name.starts_with("digests_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> (Vec<JobClaim>, Vec<String>) {
        let mut problems = InputProblems::default();
        let claims = claims(Some(text), None, &mut problems);
        (claims, problems.said)
    }

    fn digest(letter: char) -> String {
        format!("sha256:{}", letter.to_string().repeat(64))
    }

    #[test]
    fn every_way_of_handing_digests_on_says_the_same() {
        let (amd, arm) =
            (json!({ "linux/amd64": digest('a') }), json!({ "linux/arm64": digest('b') }));
        let job = |outputs: Value| json!({ "result": "success", "outputs": outputs });
        for text in [
            json!({ "linux/amd64": digest('a'), "linux/arm64": digest('b') }).to_string(),
            format!("{amd}\n{arm}"),
            json!([amd, arm]).to_string(),
            json!([amd.to_string(), arm.to_string()]).to_string(),
            json!({ "one": job(json!({ "digests": amd.to_string(), "image": "x" })), "other": job(json!({ "digests": arm.to_string() })), "lint": job(json!({})) }).to_string(),
            json!({ "matrix": job(json!({ "digests-amd64": amd.to_string(), "digests_arm64": arm.to_string(), "digests-s390x": "" })) }).to_string(),
            json!({ "digests-amd64": amd.to_string(), "digests-arm64": arm.to_string(), "digests": arm.to_string() }).to_string(),
        ] {
            let (claims, problems) = read(&text);
            assert_eq!(problems, Vec::<String>::new(), "{text}");
            let said: Vec<String> = claims.iter().map(|claim| format!("{} {}", claim.platform.as_ref().unwrap(), &claim.digest.as_str()[7..8])).collect();
            assert_eq!(said.len(), 2, "{text}: {said:?}");
            assert!(said.contains(&"linux/amd64 a".to_owned()) && said.contains(&"linux/arm64 b".to_owned()), "{text}: {said:?}");
        }
        let (claims, _) = read(&format!("{}, ghcr.io/o/a@{}", digest('a'), digest('b')));
        assert_eq!((claims.len(), claims[1].repository.as_ref().unwrap().path()), (2, "o/a"));
    }

    #[test]
    fn what_is_no_digest_or_no_success_is_refused() {
        for (text, why) in [
            (
                json!({ "a": { "result": "failure", "outputs": {} } }).to_string(),
                "job `a` ended with `failure`",
            ),
            (
                json!({ "a": { "result": "skipped", "outputs": {} } }).to_string(),
                "job `a` ended with `skipped`",
            ),
            (json!({ "linux/amd64": "v1.2.3" }).to_string(), "a tag may move"),
            ("ghcr.io/o/a:v1".to_owned(), "a tag may move"),
            (json!({ "amd64": digest('a') }).to_string(), "`amd64` is not a platform"),
            (json!({ "linux/amd64": 3 }).to_string(), "not a digest"),
            (
                json!({ "linux/amd64": { "digest": digest('a') } }).to_string(),
                "nor a job of `needs`",
            ),
            ("{".to_owned(), "cannot be read"),
        ] {
            let (_, problems) = read(&text);
            assert!(problems.iter().any(|problem| problem.contains(why)), "{text}: {problems:?}");
        }
    }

    #[test]
    fn files_are_named_by_the_digest_and_may_lie_in_a_folder_each() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("digests-linux-arm64")).unwrap();
        std::fs::write(folder.path().join("a".repeat(64)), "").unwrap();
        std::fs::write(folder.path().join("digests-linux-arm64").join("b".repeat(64)), "").unwrap();
        let mut problems = InputProblems::default();
        assert_eq!(claims(None, Some(folder.path()), &mut problems).len(), 2);
        assert!(problems.said.is_empty());
        std::fs::write(folder.path().join("notes.txt"), "").unwrap();
        claims(None, Some(folder.path()), &mut problems);
        claims(None, Some(&folder.path().join("nowhere")), &mut problems);
        assert!(
            problems.said.len() == 2
                && problems.said[0].contains("notes.txt")
                && problems.said[1].contains("cannot be read"),
            "{:?}",
            problems.said
        );
    }
}
