//! The server that runs the workflow → the hosts that are its own: where its token may go, where
//! its packages lie, who issues its OIDC tokens. Pure; it asks nobody, and what it cannot read owns
//! nothing.

use reqwest::Url;

/// A server of GitHub, as `GITHUB_SERVER_URL` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server(ServerKind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum ServerKind {
    GitHub,
    /// `SUBDOMAIN.ghe.com`: <https://docs.github.com/enterprise-cloud@latest/admin/data-residency>.
    Tenant(String),
    /// Host, and port if it has one.
    Enterprise(String),
    Unreadable(String),
}

impl Server {
    pub fn of(url: &str) -> Self {
        let unreadable = || Self(ServerKind::Unreadable(url.to_owned()));
        let Ok(parsed) = Url::parse(url) else { return unreadable() };
        let Some(authority) = authority(&parsed) else { return unreadable() };
        Self(match authority.as_str() {
            "github.com" => ServerKind::GitHub,
            host if host
                .strip_suffix(".ghe.com")
                .is_some_and(|name| !name.is_empty() && !name.contains('.')) =>
            {
                ServerKind::Tenant(authority)
            }
            _ => ServerKind::Enterprise(authority),
        })
    }

    /// Where the server keeps container images:
    /// <https://docs.github.com/packages/working-with-a-github-packages-registry/working-with-the-container-registry>.
    /// `None` where it cannot have one: it would be a subdomain, which an address or a port does
    /// not have.
    pub fn registry(&self) -> Option<String> {
        let is_name = |host: &str| {
            host.contains('.') && !host.contains(':') && host.parse::<std::net::IpAddr>().is_err()
        };
        match &self.0 {
            ServerKind::GitHub => Some("ghcr.io".to_owned()),
            ServerKind::Tenant(host) | ServerKind::Enterprise(host) => {
                is_name(host).then(|| format!("containers.{host}"))
            }
            ServerKind::Unreadable(_) => None,
        }
    }

    /// Whether the server's token may go to this host (`name` or `name:port`).
    pub fn owns(&self, host: &str) -> bool {
        match &self.0 {
            ServerKind::GitHub => {
                ["github.com", "api.github.com", "uploads.github.com", "ghcr.io"].contains(&host)
            }
            ServerKind::Tenant(own) | ServerKind::Enterprise(own) => {
                host == own
                    || ["api.", "uploads.", "containers."]
                        .iter()
                        .any(|name| host.strip_prefix(name) == Some(own.as_str()))
            }
            ServerKind::Unreadable(_) => false,
        }
    }

    /// Whether this is who issues the OIDC tokens of the server's workflows, with or without the
    /// enterprise that a customised issuer names:
    /// <https://docs.github.com/actions/reference/security/oidc>.
    pub fn issues(&self, issuer: &str) -> bool {
        let own = self.issuer();
        own.and_then(|own| issuer.strip_prefix(own.as_str()))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The same where no enterprise customises it.
    pub fn issuer(&self) -> Option<String> {
        match &self.0 {
            ServerKind::GitHub => Some("https://token.actions.githubusercontent.com".to_owned()),
            ServerKind::Tenant(host) => Some(format!("https://token.actions.{host}")),
            ServerKind::Enterprise(host) => Some(format!("https://{host}/_services/token")),
            ServerKind::Unreadable(_) => None,
        }
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match &self.0 {
            ServerKind::GitHub => "github.com",
            ServerKind::Tenant(name)
            | ServerKind::Enterprise(name)
            | ServerKind::Unreadable(name) => name,
        })
    }
}

/// Host and port of an address to which secrets may go: https, or plain HTTP on this machine, and
/// nobody's password in it.
pub fn authority(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(host));
    if !is_safe || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

/// Whether plain HTTP is right: `localhost`, `127.0.0.0/8` or `[::1]`, with or without a port.
pub fn is_loopback(host: &str) -> bool {
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    let name = name.trim_matches(['[', ']']);
    name == "localhost"
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_has_its_own_registry_and_issuer() {
        for (url, registry, issuer) in [
            ("https://github.com", Some("ghcr.io"), "https://token.actions.githubusercontent.com"),
            (
                "https://octo.ghe.com/",
                Some("containers.octo.ghe.com"),
                "https://token.actions.octo.ghe.com",
            ),
            (
                "https://git.example.com",
                Some("containers.git.example.com"),
                "https://git.example.com/_services/token",
            ),
            ("https://git.example.com:8443", None, "https://git.example.com:8443/_services/token"),
            ("https://10.0.0.7", None, "https://10.0.0.7/_services/token"),
            ("https://git", None, "https://git/_services/token"),
        ] {
            let server = Server::of(url);
            assert_eq!(server.registry().as_deref(), registry, "{url}");
            assert!(server.issues(issuer) && server.issues(&format!("{issuer}/octo-inc")), "{url}");
            for other in [
                "https://token.actions.githubusercontent.com.evil.example",
                "https://evil.example/_services/token",
                "",
                "https://x",
            ] {
                assert!(!server.issues(other), "{url}: {other}");
            }
        }
    }

    #[test]
    fn a_server_owns_no_host_of_another() {
        let ours = [
            "github.com",
            "octo.ghe.com",
            "git.example.com",
            "github.com.evil.example",
            "evilgithub.com",
            "a.b.ghe.com",
        ];
        for own in ours {
            let server = Server::of(&format!("https://{own}"));
            assert!(server.owns(own) && server.owns(&format!("api.{own}")), "{own}");
            for other in ours.iter().filter(|other| **other != own) {
                assert!(
                    !server.owns(other) && !server.owns(&format!("containers.{other}")),
                    "{own}: {other}"
                );
            }
            assert_eq!(server.owns("ghcr.io"), own == "github.com", "{own}");
            assert!(
                !server.owns("evil.example")
                    && !server.owns(&format!("{own}.evil.example"))
                    && !server.owns(&format!("{own}:444"))
            );
        }
    }

    #[test]
    fn what_is_no_address_of_a_server_owns_nothing() {
        for url in [
            "",
            "github.com",
            "http://github.com",
            "https://x@github.com",
            "https://x:y@github.com",
            "ftp://github.com",
            "https://",
        ] {
            let server = Server::of(url);
            assert!(
                !server.owns("github.com")
                    && !server.owns("ghcr.io")
                    && server.registry().is_none(),
                "{url}"
            );
            assert!(!server.issues("https://token.actions.githubusercontent.com"), "{url}");
        }
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:1", "127.9.9.9", "[::1]:5000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["ghcr.io", "127.0.0.1.example.com", "10.0.0.1:5000", "localhost.example.com:80"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
