//! Attributes of caches and attestations that cannot be meant, told before anything is built: buildx
//! passes them on, and BuildKit says so at the end of a build, or not at all. Pure; what BuildKit may
//! know and we do not is left to it.

use super::refuse;
use crate::build::flags::Flags;
use crate::build::outputs;
use crate::inputs::Inputs;
use crate::text::csv::{self, CsvDialect};
use crate::text::lists;

/// How alike two names must be for one to be a slip of the other.
const ALIKE: f64 = 0.84;

/// Of a provenance: <https://docs.docker.com/build/metadata/attestations/slsa-provenance/>.
const OF_PROVENANCE: [&str; 10] = [
    "type",
    "mode",
    "builder-id",
    "disabled",
    "inline-only",
    "version",
    "reproducible",
    "filename",
    "capture-usage",
    "complete-materials",
];
/// `full` is what BuildKit called `max` once.
const MODES: [&str; 3] = ["max", "min", "full"];
const ATTESTATIONS: [&str; 2] = ["provenance", "sbom"];
/// Backends of caches: <https://docs.docker.com/build/cache/backends/>.
const CACHES: [&str; 6] = ["registry", "local", "inline", "gha", "s3", "azblob"];

/// Refuses what cannot be meant; gives what is told of the rest.
pub(super) fn told(inputs: &Inputs, flags: &Flags) -> anyhow::Result<Vec<String>> {
    let texts = &inputs.build.texts;
    let provenance = texts.provenance.trim();
    if !provenance.is_empty() && lists::boolean(provenance).is_none() {
        of_provenance("provenance", provenance)?;
    }
    if outputs::value(&texts.sbom, "generator").is_some_and(|image| image.trim().is_empty()) {
        refuse("input `sbom`: `generator=` names no image")?;
    }
    let mut notices = Vec::new();
    for attest in lists::lines_with_quotes(&texts.attests) {
        let kind = outputs::value(&attest, "type").unwrap_or_default();
        let kind = kind.trim().to_lowercase();
        match (kind.as_str(), slip(&kind, &ATTESTATIONS)) {
            ("provenance", _) => of_provenance("attests", &attest)?,
            ("sbom", _) => {}
            ("", _) => refuse(&format!("input `attests`: `{attest}` has no `type`, such as `type=sbom`"))?,
            (_, Some(meant)) => refuse(&format!(
                "input `attests`: there are no attestations of `type={kind}`; did you mean `type={meant}`?"
            ))?,
            (_, None) => notices.push(format!(
                "input `attests`: `type={kind}` is not a known type of attestation; this action neither signs nor verifies it"
            )),
        }
    }
    for flag in ["--cache-from", "--cache-to"] {
        flags.values(flag).try_for_each(|cache| of_cache(flag.trim_start_matches('-'), cache))?;
    }
    Ok(notices)
}

fn of_provenance(input: &str, text: &str) -> anyhow::Result<()> {
    // Quotes that do not pair are told by who writes the flags.
    let dialect = CsvDialect { loose_quotes: true, comments: false };
    let fields: Vec<String> =
        csv::read(text, dialect).unwrap_or_default().into_iter().flatten().collect();
    for field in fields.iter().map(|field| field.trim()).filter(|field| !field.is_empty()) {
        let Some((key, value)) = field.split_once('=') else {
            let form = if MODES.contains(&field) {
                format!("mode={field}")
            } else {
                "mode=max".to_owned()
            };
            return refuse(&format!(
                "input `{input}`: `{field}` is not KEY=VALUE; write for example `{form}`"
            ))
            .map_err(Into::into);
        };
        let (key, value) = (key.trim().to_lowercase(), value.trim());
        if let Some(meant) = slip(&key, &OF_PROVENANCE) {
            refuse(&format!(
                "input `{input}`: a provenance has no attribute `{key}`; did you mean `{meant}`?"
            ))?;
        }
        if key == "mode" && !value.is_empty() && !MODES.contains(&value) {
            refuse(&format!("input `{input}`: `mode` is `min` or `max`, and not `{value}`"))?;
        }
    }
    Ok(())
}

fn of_cache(input: &str, cache: &str) -> anyhow::Result<()> {
    let Some(kind) = outputs::kind(cache) else { return Ok(()) };
    if let Some(meant) = slip(&kind, &CACHES) {
        refuse(&format!(
            "input `{input}`: there is no cache of `type={kind}`; did you mean `type={meant}`?"
        ))?;
    }
    let needed = match (kind.as_str(), input) {
        ("registry", _) => Some(("ref", "ghcr.io/octo/app:buildcache")),
        ("local", "cache-from") => Some(("src", "path/to/cache")),
        ("local", _) => Some(("dest", "path/to/cache")),
        _ => None,
    };
    match needed {
        Some((key, example))
            if outputs::value(cache, key).is_none_or(|value| value.trim().is_empty()) =>
        {
            refuse(&format!(
                "input `{input}`: `{cache}` does not say where the cache is; add for example `{key}={example}`"
            ))
            .map_err(Into::into)
        }
        _ => Ok(()),
    }
}

/// What was meant by a name that is none of these.
fn slip(name: &str, known: &[&'static str]) -> Option<&'static str> {
    if name.is_empty() || known.contains(&name) {
        return None;
    }
    let alike = known.iter().map(|known| (strsim::jaro_winkler(name, known), *known));
    alike
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;
    use crate::github::RunContext;
    use crate::github::facts::GitHubFacts;
    use crate::plan::plan;

    /// What the plan of a push to `main` says to these inputs.
    fn said(inputs: &[(&str, &str)]) -> (bool, String) {
        let env: Environment = inputs
            .iter()
            .map(|(name, value)| (format!("INPUT_{}", name.to_uppercase()), (*value).to_owned()))
            .collect();
        let context = RunContext {
            repository: Some("octo/app".into()),
            server_url: "https://github.com".into(),
            git_ref: "refs/heads/main".into(),
            event_name: "push".into(),
            sha: "c0ffee5e1f3a9b7d2c4e6f8091a3b5c7d9e1f203".into(),
            ..RunContext::default()
        };
        let facts = GitHubFacts { default_branch: Some("main".into()), ..GitHubFacts::default() };
        let planned = Inputs::read(&env, &context)
            .and_then(|inputs| plan(&inputs, &context, &env, &facts, None));
        match planned {
            Ok(plan) => (true, plan.json()["notices"].to_string()),
            Err(error) => (false, crate::error::message(&error)),
        }
    }

    #[test]
    fn what_buildkit_would_refuse_at_the_end_is_refused_at_once() {
        for (input, text, why) in [
            ("provenance", "mode=maxx", "`mode` is `min` or `max`, and not `maxx`"),
            ("provenance", "max", "`max` is not KEY=VALUE; write for example `mode=max`"),
            ("provenance", "mode=min,bulider-id=x", "did you mean `builder-id`?"),
            ("provenance", "mdoe=max", "did you mean `mode`?"),
            ("attests", "type=sbm", "did you mean `type=sbom`?"),
            ("attests", "type=provenence,mode=max", "did you mean `type=provenance`?"),
            ("attests", "type=provenance,mode=big", "`mode` is `min` or `max`"),
            ("attests", "mode=max", "has no `type`"),
            ("sbom", "generator=", "`generator=` names no image"),
            ("cache-to", "type=registry,mode=max", "add for example `ref=ghcr.io/"),
            ("cache-to", "type=registry,ref=,mode=max", "does not say where the cache is"),
            ("cache-from", "type=registy,ref=r.io/a:c", "did you mean `type=registry`?"),
            ("cache-from", "type=local,dest=x", "add for example `src="),
            ("cache-to", "type=local,src=x", "add for example `dest="),
        ] {
            let (is_planned, said) = said(&[(input, text)]);
            assert!(!is_planned && said.contains(why), "{input}: {text}: {said}");
        }
    }

    #[test]
    fn what_buildkit_knows_is_left_to_it() {
        for (input, text) in [
            ("provenance", "true"),
            ("provenance", "false"),
            ("provenance", "mode=min,inline-only=true,reproducible=true"),
            ("provenance", "builder-id=https://example.com/b"),
            ("provenance", "mode=max,some-new-thing=1"),
            ("attests", "type=sbom,generator=docker.io/x/y"),
            ("attests", "type=provenance,mode=max"),
            ("sbom", "generator=docker.io/x/y"),
            ("cache-to", "type=inline"),
            ("cache-to", "type=registry,ref=r.io/a:c"),
            ("cache-to", "type=s3,region=x,bucket=y,name=z"),
            ("cache-from", "r.io/a:c"),
            ("cache-from", "type=local,src=x"),
            ("cache-from", "type=whatever,x=y"),
        ] {
            let (is_planned, said) = said(&[(input, text)]);
            assert!(is_planned, "{input}: {text}: {said}");
        }
        let (_, notices) = said(&[("attests", "type=vex,path=x")]);
        assert!(notices.contains("`type=vex` is not a known type of attestation"), "{notices}");
    }
}
