//! A certificate → where its signature comes from: repository, commit, ref and run, as Fulcio wrote
//! them. It never believes an extension that stands there twice, cannot be read, or says other than
//! its older twin.
//!
//! <https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md>

use std::collections::BTreeMap;

use serde::Serialize;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::{ObjectIdentifier, Utf8StringRef};

const ARC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1");
/// The last extension that is known; what comes after it says something that nobody here asks for.
const LAST: u32 = 24;
/// The older extensions are text as it is; the others are DER.
const PLAIN: std::ops::RangeInclusive<u32> = 1..=6;
/// A name in the certificate's subject, and no extension of its own.
const OTHER_NAME: u32 = 7;
/// Older extensions, and those that say the same.
const TWINS: [(u32, u32, &str); 4] =
    [(1, 8, "the issuer"), (2, 20, "the trigger"), (3, 13, "the commit"), (6, 14, "the ref")];
const OLD_REPOSITORY: u32 = 5;
const REPOSITORY: u32 = 12;

/// Where a signature comes from. What the certificate does not say, or leaves empty, is absent.
/// Nothing here is a label or an annotation, which anybody writes: the certificate authority
/// vouches for all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateSource {
    /// `https://github.com/OWNER/NAME`: of the run, so the caller's where a reusable workflow
    /// signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The number that a repository keeps when it is renamed, and that none gets after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_id: Option<String>,
    /// `public`, `private` or `internal`, when it was signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility: Option<String>,
    /// `refs/heads/main`.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub git_ref: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The event: `push`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// `github-hosted` or `self-hosted`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runner: Option<String>,
    /// The attempt of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The workflow that the run began with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_commit: Option<String>,
    /// The workflow that signed: another one where it is reusable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer_commit: Option<String>,
    /// The deployment environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
}

impl CertificateSource {
    /// Reads the extensions of a certificate in DER; `identity` is whom it names.
    pub fn of(certificate: &[u8], identity: &str) -> Result<Self, String> {
        let certificate = Certificate::from_der(certificate)
            .map_err(|error| format!("its certificate cannot be read: {error}"))?;
        let mut said = BTreeMap::new();
        for extension in certificate.tbs_certificate.extensions.iter().flatten() {
            let Some(number) = number(&extension.extn_id) else { continue };
            let text = text(number, extension.extn_value.as_bytes()).ok_or_else(|| {
                format!("its certificate's `{ARC}.{number}` is not text that can be read")
            })?;
            if said.insert(number, text).is_some() {
                return Err(format!("its certificate says `{ARC}.{number}` twice"));
            }
        }
        Self::said(said, identity)
    }

    /// The same of extensions that were read, by their numbers.
    fn said(mut said: BTreeMap<u32, String>, identity: &str) -> Result<Self, String> {
        said.retain(|_, text| !text.is_empty());
        for (older, newer, what) in TWINS {
            let (Some(old), new) = (said.get(&older).cloned(), said.get(&newer)) else { continue };
            if new.is_some_and(|new| *new != old) {
                return Err(differs(older, newer, what));
            }
            said.insert(newer, old);
        }
        if let Some(old) = said.get(&OLD_REPOSITORY) {
            // `OWNER/NAME`, beside the same with its server.
            match said.get(&REPOSITORY) {
                Some(new) if path(new) != Some(old.as_str()) => {
                    return Err(differs(OLD_REPOSITORY, REPOSITORY, "the repository"));
                }
                Some(_) => {}
                None => {
                    // Certificates of before 2022 name no server. It is the workflow's: none calls
                    // another server's.
                    let full = server(identity).map(|server| format!("{server}/{old}"));
                    said.extend(full.map(|full| (REPOSITORY, full)));
                }
            }
        }
        let mut take = |number: u32| said.remove(&number);
        Ok(Self {
            repository: take(REPOSITORY),
            repository_id: take(15),
            owner: take(16),
            owner_id: take(17),
            visibility: take(22),
            git_ref: take(14),
            commit: take(13),
            trigger: take(20),
            runner: take(11),
            run: take(21),
            workflow: take(18),
            workflow_commit: take(19),
            signer: take(9),
            signer_commit: take(10),
            environment: take(23),
        })
    }

    /// Whether a pull request started the run, whose commit nobody has accepted.
    pub fn is_of_pull_request(&self) -> bool {
        self.trigger.as_deref().is_some_and(|trigger| trigger.starts_with("pull_request"))
            || self.git_ref.as_deref().is_some_and(|git_ref| git_ref.starts_with("refs/pull/"))
    }

    /// Whether the runner is one that the repository's owner keeps, and could have been prepared.
    pub fn is_self_hosted(&self) -> bool {
        self.runner.as_deref() == Some("self-hosted")
    }
}

fn differs(older: u32, newer: u32, what: &str) -> String {
    format!(
        "its certificate has two different values for {what}, in `{ARC}.{older}` and in \
        `{ARC}.{newer}`"
    )
}

/// The number of an extension that says something of the source.
fn number(id: &ObjectIdentifier) -> Option<u32> {
    if id.parent()? != ARC {
        return None;
    }
    id.arcs().last().filter(|number| (1..=LAST).contains(number) && *number != OTHER_NAME)
}

fn text(number: u32, bytes: &[u8]) -> Option<String> {
    if PLAIN.contains(&number) {
        return std::str::from_utf8(bytes).ok().map(str::to_owned);
    }
    Utf8StringRef::from_der(bytes).ok().map(|text| text.as_str().to_owned())
}

/// `https://host` of a URL.
fn server(url: &str) -> Option<&str> {
    let begin = url.find("://")? + "://".len();
    let host = url[begin..].split('/').next().filter(|host| !host.is_empty())?;
    Some(&url[..begin + host.len()])
}

/// What follows the server in a URL, without the slash.
fn path(url: &str) -> Option<&str> {
    url.strip_prefix(server(url)?)?.strip_prefix('/')
}

/// The repository of the workflow that a certificate names: `https://github.com/OWNER/NAME` of
/// `https://github.com/OWNER/NAME/.github/workflows/x.yml@refs/…`, and GitLab's of its `//`
/// likewise.
pub fn repository_of_workflow(identity: &str) -> Option<&str> {
    let path = path(identity)?;
    let end = path.find("/.github/workflows/").or_else(|| path.find("//"))?;
    let repository = &path[..end];
    let is_one = repository.contains('/') && !repository.contains(['@', '?', '#', ' ']);
    is_one.then(|| &identity[..identity.len() - path.len() + end])
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKFLOW: &str = "https://github.com/org/tool/.github/workflows/publish.yml@refs/tags/v1";

    fn said(extensions: &[(u32, &str)]) -> Result<CertificateSource, String> {
        let extensions = extensions.iter().map(|(number, text)| (*number, (*text).to_owned()));
        CertificateSource::said(extensions.collect(), WORKFLOW)
    }

    #[test]
    fn older_extensions_say_the_same_or_nothing_counts() {
        let both = [
            (2, "push"),
            (20, "push"),
            (3, "ab"),
            (13, "ab"),
            (5, "o/r"),
            (12, "https://github.com/o/r"),
        ];
        let source = said(&both).unwrap();
        assert_eq!(
            (source.trigger.as_deref(), source.commit.as_deref()),
            (Some("push"), Some("ab"))
        );
        for (older, newer, old, new) in [
            (1, 8, "https://i", "https://j"),
            (2, 20, "push", "pull_request"),
            (3, 13, "ab", "cd"),
            (5, 12, "o/r", "https://github.com/o/other"),
            (5, 12, "o/r", "https://github.com/x/o/r"),
            (5, 12, "o/r", "o/r"),
            (6, 14, "refs/heads/main", "refs/heads/Main"),
        ] {
            let why = said(&[(older, old), (newer, new)]).unwrap_err();
            assert!(
                why.contains("two different values") && why.contains(&format!(".{older}`")),
                "{why}"
            );
        }
    }

    #[test]
    fn what_is_empty_is_absent_and_old_certificates_are_of_the_workflows_server() {
        let source = said(&[(12, ""), (15, ""), (5, "o/r"), (3, "ab"), (13, "")]).unwrap();
        assert_eq!(source.repository.as_deref(), Some("https://github.com/o/r"));
        assert_eq!((source.repository_id, source.commit.as_deref()), (None, Some("ab")));
        let by_mail =
            CertificateSource::said(BTreeMap::from([(5, "o/r".to_owned())]), "someone@example.com")
                .unwrap();
        assert_eq!(by_mail.repository, None);
    }

    #[test]
    fn only_der_is_read_where_der_belongs() {
        assert_eq!(text(12, b"\x0c\x03a/b").as_deref(), Some("a/b"));
        assert_eq!(text(12, b"\x0c\x00").as_deref(), Some(""));
        for bytes in [
            &b"a/b"[..],
            b"\x0c\x02a/b",       // something after it
            b"\x0c\x04a/b",       // too short
            b"\x0c\x81\x03a/b",   // a length longer than it need be
            b"\x0c\x80a/b\0\0",   // no length
            b"\x16\x03a/b",       // another kind of text
            b"\x0c\x03a\xff\xfe", // no UTF-8
            b"",
        ] {
            assert_eq!(text(12, bytes), None, "{bytes:?}");
        }
        assert_eq!((text(5, b"a/b").as_deref(), text(5, b"\xff")), (Some("a/b"), None));
    }

    /// A certificate of nothing but these extensions.
    fn certificate(extensions: &[(&str, &[u8])]) -> Vec<u8> {
        use x509_cert::der::Encode as _;
        use x509_cert::der::asn1::{BitString, OctetString, UtcTime};
        use x509_cert::ext::Extension;
        use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
        use x509_cert::time::{Time, Validity};
        let algorithm = AlgorithmIdentifierOwned {
            oid: ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2"),
            parameters: None,
        };
        let time = Time::UtcTime(
            UtcTime::from_unix_duration(std::time::Duration::from_secs(1_700_000_000)).unwrap(),
        );
        let key = SubjectPublicKeyInfoOwned {
            algorithm: algorithm.clone(),
            subject_public_key: BitString::from_bytes(b"key").unwrap(),
        };
        let extension = |(id, value): &(&str, &[u8])| Extension {
            extn_id: ObjectIdentifier::new_unwrap(id),
            critical: false,
            extn_value: OctetString::new(*value).unwrap(),
        };
        let certificate = Certificate {
            tbs_certificate: x509_cert::TbsCertificate {
                version: x509_cert::Version::V3,
                serial_number: x509_cert::serial_number::SerialNumber::new(&[1]).unwrap(),
                signature: algorithm.clone(),
                issuer: x509_cert::name::Name::default(),
                validity: Validity { not_before: time, not_after: time },
                subject: x509_cert::name::Name::default(),
                subject_public_key_info: key,
                issuer_unique_id: None,
                subject_unique_id: None,
                extensions: Some(extensions.iter().map(extension).collect()),
            },
            signature_algorithm: algorithm,
            signature: BitString::from_bytes(b"signature").unwrap(),
        };
        certificate.to_der().unwrap()
    }

    #[test]
    fn an_extension_that_is_there_twice_or_cannot_be_read_is_refused() {
        const REPOSITORY: &str = "1.3.6.1.4.1.57264.1.12";
        const OLD: &str = "1.3.6.1.4.1.57264.1.5";
        let full = b"\x0c\x16https://github.com/o/r";
        let read = |extensions: &[(&str, &[u8])]| {
            CertificateSource::of(&certificate(extensions), WORKFLOW)
        };
        let source =
            read(&[(REPOSITORY, full), (OLD, b"o/r"), ("2.5.29.15", b"\x03\x02\x07\x80")]).unwrap();
        assert_eq!(source.repository.as_deref(), Some("https://github.com/o/r"));
        assert_eq!(read(&[]).unwrap(), CertificateSource::default());
        for (extensions, why) in [
            (&[(REPOSITORY, &full[..]), (REPOSITORY, full)][..], "twice"),
            (&[(REPOSITORY, b"\x0c\x00"), (REPOSITORY, full)], "twice"),
            (&[(OLD, b"o/r"), (OLD, b"o/r")], "twice"),
            (&[(REPOSITORY, b"https://github.com/o/r")], "is not text"),
            (&[(REPOSITORY, b"")], "is not text"),
            (&[(OLD, b"\xff")], "is not text"),
            (&[(REPOSITORY, full), (OLD, b"o/other")], "two different values for the repository"),
        ] {
            let refused = read(extensions).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
        assert!(CertificateSource::of(b"", WORKFLOW).unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn numbers_are_those_of_the_arc_alone() {
        let number = |text: &str| number(&ObjectIdentifier::new_unwrap(text));
        assert_eq!(number("1.3.6.1.4.1.57264.1.12"), Some(12));
        for other in [
            "1.3.6.1.4.1.57264.1",
            "1.3.6.1.4.1.57264.1.7",
            "1.3.6.1.4.1.57264.1.25",
            "1.3.6.1.4.1.57264.1.12.1",
        ] {
            assert_eq!(number(other), None);
        }
        assert_eq!(number("1.3.6.1.4.1.57264.2.12"), None);
    }

    #[test]
    fn the_workflows_repository_is_read_from_its_beginning() {
        assert_eq!(repository_of_workflow(WORKFLOW), Some("https://github.com/org/tool"));
        let branch = "https://github.com/o/r/.github/workflows/x.yml@refs/heads/a/b/.github/workflows/y.yml@z";
        assert_eq!(repository_of_workflow(branch), Some("https://github.com/o/r"));
        let gitlab = "https://gitlab.com/group/sub/project//.gitlab-ci.yml@refs/heads/main";
        assert_eq!(repository_of_workflow(gitlab), Some("https://gitlab.com/group/sub/project"));
        for other in [
            "someone@example.com",
            "https://example.com/workload",
            "spiffe://d/x",
            "https://github.com//x",
            "",
        ] {
            assert_eq!(repository_of_workflow(other), None, "{other}");
        }
    }

    #[test]
    fn pull_requests_and_runners_of_ones_own_are_known() {
        let of = |trigger: &str, git_ref: &str, runner: &str| {
            said(&[(20, trigger), (14, git_ref), (11, runner)]).unwrap()
        };
        for (trigger, git_ref) in [
            ("pull_request", "refs/heads/x"),
            ("pull_request_target", "refs/heads/main"),
            ("push", "refs/pull/1/merge"),
        ] {
            assert!(of(trigger, git_ref, "").is_of_pull_request());
        }
        assert!(!of("push", "refs/heads/main", "github-hosted").is_of_pull_request());
        assert!(
            of("push", "r", "self-hosted").is_self_hosted()
                && !of("push", "r", "github-hosted").is_self_hosted()
        );
    }
}
