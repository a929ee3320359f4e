//! What `verify` was asked → the policy in force as canonical JSON (RFC 8785), by the names of the
//! options: equal policies are equal bytes. It leaves out what changes no verdict on an image.

use serde_json::{Map, Value, json};

use super::arguments::VerifyArguments;
use super::whose::SignatureAskedFor;
use crate::evidence::EvidencePart;
use crate::image::Digest;
use crate::sigstore;
use crate::verify::policy::EvidenceNeed;

impl VerifyArguments {
    /// The policy after defaults.
    pub(in crate::verbs) fn effective(&self) -> anyhow::Result<Vec<u8>> {
        let whose = SignatureAskedFor::of(self)?;
        let root = sigstore::trusted_root_digest(self.trusted_root.as_deref())?;
        Ok(serde_json_canonicalizer::to_vec(&self.policy(&whose, &root))?)
    }

    fn policy(&self, whose: &SignatureAskedFor, root: &Digest) -> Value {
        // Every field, so that one which comes later is decided about here.
        let Self {
            certificate_identity,
            certificate_identity_regexp,
            key: _,
            insecure_ignore_tlog,
            repo,
            certificate_oidc_issuer: _,
            source_repository,
            source_repository_id,
            source_ref,
            source_commit,
            trigger,
            runner,
            trusted_root: _,
            require: _,
            max_scan_age,
            fail_on,
            only_fixed,
            scan_identity,
            builder_id,
            build_source,
            verifier_id,
            verifier_identity,
            min_level,
            resource_uri,
            platform,
            signature_formats,
            allow_foreign_layers,
            allow_index_entries,
            allow_http_registry: _,
            json: _,
            layout: _,
            image: _,
        } = self;
        let mut policy = Map::new();
        let mut say = |name: &str, value: Option<Value>| {
            policy.extend(value.map(|value| (name.to_owned(), value)));
        };
        say("certificate-identity", certificate_identity.as_ref().map(|it| json!(it)));
        say(
            "certificate-identity-regexp",
            certificate_identity_regexp.as_ref().map(|it| json!(it)),
        );
        say("repo", text(repo.as_ref()));
        match whose {
            SignatureAskedFor::Key(_) => say("key", Some(json!(whose.to_string()))),
            SignatureAskedFor::Name { issuer, .. } => {
                say("certificate-oidc-issuer", Some(json!(issuer)));
            }
        }
        say("insecure-ignore-tlog", insecure_ignore_tlog.then(|| json!(true)));
        say("source-repository", text(source_repository.as_ref()));
        say("source-repository-id", text(source_repository_id.as_ref()));
        say("source-ref", text(source_ref.as_ref()));
        say("source-commit", text(source_commit.as_ref()));
        say("trigger", text(trigger.as_ref()));
        say("runner", text(runner.as_ref()));
        say("trusted-root", Some(json!(root)));
        say("require", Some(self.required_by_part()));
        say("max-scan-age", text(max_scan_age.as_ref()));
        say("fail-on", text(fail_on.as_ref()));
        say("only-fixed", fail_on.map(|_| json!(only_fixed)));
        say("scan-identity", scan_identity.as_ref().map(|it| json!(it)));
        say("builder-id", builder_id.as_ref().map(|it| json!(it)));
        say("build-source", build_source.as_ref().map(|it| json!(it)));
        say("verifier-id", verifier_id.as_ref().map(|it| json!(it)));
        say("verifier-identity", verifier_identity.as_ref().map(|it| json!(it)));
        say("min-level", text(min_level.as_ref()));
        say("resource-uri", resource_uri.as_ref().map(|it| json!(it)));
        say("platform", sorted(platform.iter().map(ToString::to_string)));
        let formats =
            signature_formats.iter().filter_map(|format| Some(json!(format).as_str()?.to_owned()));
        say("signature-formats", sorted(formats));
        say("allow-foreign-layers", allow_foreign_layers.then(|| json!(true)));
        say("allow-index-entries", sorted(allow_index_entries.iter().cloned()));
        Value::Object(policy)
    }

    fn required_by_part(&self) -> Value {
        let mut parts: Map<String, Value> = Map::new();
        for part in [EvidencePart::Index, EvidencePart::Platform, EvidencePart::Attestations] {
            let required = self.required();
            let needs = required.iter().filter(|required| required.part == part);
            let needs =
                needs.flat_map(|required| required.needs.iter().map(EvidenceNeed::to_string));
            parts.extend(sorted(needs).map(|needs| (part.to_string(), needs)));
        }
        Value::Object(parts)
    }
}

fn text(value: Option<&impl ToString>) -> Option<Value> {
    value.map(|value| json!(value.to_string()))
}

/// A list whose order says nothing; nothing where it is empty.
fn sorted(words: impl Iterator<Item = String>) -> Option<Value> {
    let mut words: Vec<String> = words.collect();
    words.sort_unstable();
    words.dedup();
    (!words.is_empty()).then(|| json!(words))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::policy::AskedPolicy;
    use super::*;

    fn effective(words: &[&str]) -> String {
        let words = [words, &["ghcr.io/octo/app"]].concat();
        let asked = AskedPolicy::try_parse_from(words).unwrap();
        String::from_utf8(asked.arguments.effective().unwrap()).unwrap()
    }

    #[test]
    fn the_policy_is_what_is_in_force_and_nothing_else() {
        let default = effective(&["--repo=octo/app"]);
        let read: Value = serde_json::from_str(&default).unwrap();
        let keys: Vec<&str> = read.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["certificate-oidc-issuer", "repo", "require", "trusted-root"]);
        assert_eq!(
            read["require"],
            json!({
                "index": ["`https://sigstore.dev/cosign/sign/v1`", "`https://slsa.dev/provenance/v1` or `https://slsa.dev/provenance/v0.2`"],
                "platforms": ["`https://sigstore.dev/cosign/sign/v1`"],
            })
        );
        assert_eq!(default, serde_json_canonicalizer::to_string(&read).unwrap());
        // What is written otherwise and means the same.
        for same in [
            &["--repo=https://github.com/octo/app"][..],
            &[
                "--repo=octo/app",
                "--require=platforms=signature",
                "--require=index=provenance,signature",
            ],
            &[
                "--repo=octo/app",
                "--certificate-oidc-issuer=https://token.actions.githubusercontent.com",
            ],
            &["--repo=octo/app", "--json", "--allow-http-registry"],
        ] {
            assert_eq!(effective(same), default, "{same:?}");
        }
        for other in [
            &["--repo=octo/apps"][..],
            &["--repo=octo/app", "--require=index=signature"],
            &["--repo=octo/app", "--runner=github-hosted"],
            &["--repo=octo/app", "--max-scan-age=7d"],
            &["--repo=octo/app", "--platform=linux/amd64"],
            &["--repo=octo/app", "--signature-formats=bundle"],
            &["--repo=octo/app", "--verifier-id=https://v.example"],
        ] {
            assert_ne!(effective(other), default, "{other:?}");
        }
    }
}
