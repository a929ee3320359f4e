//! Where a person reads more: the page of a package, a commit, a run, an entry of the public log,
//! an attestation at GitHub. Pure; what is no plain address of the web becomes no link.

use crate::image::Repository;
use crate::sigstore::source::CertificateSource;

/// The page of a package, on registries that have one whose address is known.
pub fn package(repository: &Repository) -> Option<String> {
    let path = repository.path();
    match repository.registry() {
        // It leads a browser to the package's page.
        "ghcr.io" => Some(format!("https://ghcr.io/{path}")),
        "quay.io" => Some(format!("https://quay.io/repository/{path}")),
        "docker.io" => match path.strip_prefix("library/") {
            Some(name) => Some(format!("https://hub.docker.com/_/{name}")),
            None => Some(format!("https://hub.docker.com/r/{path}")),
        },
        _ => None,
    }
}

/// What the row of this name in what a certificate says leads to.
pub fn of_source(name: &str, source: &CertificateSource) -> Option<String> {
    let repository = source.repository.as_deref()?;
    match name {
        "source" => Some(repository.to_owned()),
        "commit" => {
            let commit = source.commit.as_deref()?;
            commit
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit())
                .then(|| format!("{repository}/commit/{commit}"))
        }
        "run" => {
            source.run.clone().filter(|run| run.starts_with(&format!("{repository}/actions/runs/")))
        }
        _ => None,
    }
}

/// An entry of the public log.
pub fn log_entry(index: u64) -> String {
    format!("https://search.sigstore.dev/?logIndex={index}")
}

/// GitHub's page of an attestation.
pub fn attestation(server: &str, repository: &str, id: u64) -> String {
    format!("{server}/{repository}/attestations/{id}")
}

/// The text, which is Markdown already, as a link.
pub fn linked(markdown: String, address: Option<String>) -> String {
    match address.filter(|address| is_plain(address)) {
        Some(address) => format!("[{markdown}]({address})"),
        None => markdown,
    }
}

fn is_plain(address: &str) -> bool {
    let rest = address.strip_prefix("https://");
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~/?=:".contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_have_pages_where_these_are_known() {
        for (repository, expected) in [
            ("ghcr.io/octo/app", Some("https://ghcr.io/octo/app")),
            ("octo/app", Some("https://hub.docker.com/r/octo/app")),
            ("quay.io/octo/app", Some("https://quay.io/repository/octo/app")),
            ("127.0.0.1:5000/app", None),
            ("registry.example/octo/app", None),
        ] {
            assert_eq!(package(&repository.parse().unwrap()).as_deref(), expected, "{repository}");
        }
    }

    #[test]
    fn what_is_no_address_is_no_link() {
        let link = |address: &str| linked("`x`".to_owned(), Some(address.to_owned()));
        assert_eq!(
            link("https://github.com/octo/app/commit/0f1e"),
            "[`x`](https://github.com/octo/app/commit/0f1e)"
        );
        for address in [
            "http://github.com",
            "javascript:alert(1)",
            "https://h/) [y](https://evil",
            "https://h/a b",
            "https://u@h",
            "https://h/é",
            "https://",
        ] {
            assert_eq!(link(address), "`x`", "{address}");
        }
        assert_eq!(linked("`x`".to_owned(), None), "`x`");
    }

    #[test]
    fn a_certificates_words_lead_to_its_own_repository() {
        let source = |repository: &str, run: &str| CertificateSource {
            repository: Some(repository.to_owned()),
            commit: Some("0f1e2d".to_owned()),
            run: Some(run.to_owned()),
            ..CertificateSource::default()
        };
        let ours = source(
            "https://github.com/octo/app",
            "https://github.com/octo/app/actions/runs/1/attempts/1",
        );
        assert_eq!(
            of_source("commit", &ours).as_deref(),
            Some("https://github.com/octo/app/commit/0f1e2d")
        );
        assert_eq!(of_source("run", &ours), ours.run);
        assert_eq!(of_source("ref", &ours), None);
        assert_eq!(
            of_source(
                "run",
                &source(
                    "https://github.com/octo/app",
                    "https://evil.example/octo/app/actions/runs/1"
                )
            ),
            None
        );
        assert_eq!(
            of_source("commit", &CertificateSource { commit: Some("../x".to_owned()), ..ours }),
            None
        );
    }
}
