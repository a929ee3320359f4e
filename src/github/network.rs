//! How this run reaches the network → one HTTPS client for everything it asks: proxies by the rules
//! of Go's programs, as buildx has them, a CA of one's own beside the system's, and the registries
//! that are reached without TLS because somebody said so. It never falls back to plain HTTP, and
//! sends nothing that is for this machine through a proxy.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Certificate, Client, ClientBuilder, Proxy, Url, redirect};

use super::Environment;
use super::server::is_loopback;
use crate::error::Remedy as _;
use crate::page::RefusalPage;

const REDIRECTS: usize = 10;
/// A file of certificates is no larger.
const CERTIFICATES: u64 = 1 << 20;
/// For errors that come of it.
pub const OWN_CA: &str = "give the CA in PEM with `ca-certificates` (on a command line: \
     `SUPPLY_ACTION_CA_CERTIFICATES`) if your proxy ends TLS, or if the server's certificate is \
     from a private CA";

/// What the environment says of the way out.
#[derive(Debug, Clone, Default)]
pub struct Network {
    proxies: Proxies,
    /// A file, or PEM itself.
    pub authorities: Option<String>,
    pub plain: Plain,
}

/// Registries that are reached over plain HTTP: those that were named, and nobody else but this
/// machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plain(Arc<BTreeSet<String>>);

impl Plain {
    pub fn of(registries: impl IntoIterator<Item = String>) -> Self {
        Self(Arc::new(
            registries.into_iter().map(|registry| registry.to_ascii_lowercase()).collect(),
        ))
    }

    pub fn named(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether this registry (`name` or `name:port`) speaks plain HTTP.
    pub fn covers(&self, registry: &str) -> bool {
        is_loopback(registry) || self.0.contains(&registry.to_ascii_lowercase())
    }

    /// Whether bytes may be sent there, or believed that come from there.
    pub fn is_safe(&self, url: &Url) -> bool {
        let host = || {
            url.host_str().map(|host| {
                url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
            })
        };
        url.scheme() == "https"
            || (url.scheme() == "http" && host().is_some_and(|host| self.covers(&host)))
    }
}

/// Which proxy a request takes: <https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config>.
#[derive(Clone, Default)]
struct Proxies {
    http: Option<String>,
    https: Option<String>,
    no: String,
}

/// Addresses of proxies may hold a password.
impl std::fmt::Debug for Proxies {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Proxies").field("no", &self.no).finish_non_exhaustive()
    }
}

impl Network {
    pub fn of(env: &Environment) -> Self {
        let first = |names: &[&str]| {
            names
                .iter()
                .find_map(|name| env.get(*name).filter(|value| !value.trim().is_empty()))
                .cloned()
        };
        let all = || first(&["ALL_PROXY", "all_proxy"]);
        let listed = first(&[
            "INPUT_HTTP-REGISTRIES",
            "INPUT_HTTP_REGISTRIES",
            "SUPPLY_ACTION_HTTP_REGISTRIES",
        ])
        .unwrap_or_default();
        let words = listed
            .split(|letter: char| letter == ',' || letter.is_whitespace())
            .filter(|word| !word.is_empty());
        Self {
            proxies: Proxies {
                http: first(&["HTTP_PROXY", "http_proxy"]).or_else(all),
                https: first(&["HTTPS_PROXY", "https_proxy"]).or_else(all),
                no: first(&["NO_PROXY", "no_proxy"]).unwrap_or_default(),
            },
            authorities: first(&[
                "INPUT_CA-CERTIFICATES",
                "INPUT_CA_CERTIFICATES",
                "SUPPLY_ACTION_CA_CERTIFICATES",
            ]),
            plain: Plain::of(words.map(str::to_owned)),
        }
    }

    /// The client for everything: connections are reused.
    pub fn client(&self) -> anyhow::Result<Client> {
        let plain = self.plain.clone();
        self.made(redirects(plain), Some(Duration::from_secs(60)))
    }

    /// The same without redirects, for requests whose body holds a secret.
    pub fn client_without_redirects(&self) -> anyhow::Result<Client> {
        self.made(redirect::Policy::none(), None)
    }

    fn made(&self, redirects: redirect::Policy, read: Option<Duration>) -> anyhow::Result<Client> {
        let mut builder = Client::builder()
            .user_agent(concat!("supply-action/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(15))
            .redirect(redirects);
        if let Some(read) = read {
            builder = builder.read_timeout(read);
        }
        let (builder, certificates) = (self.through_proxies(builder)?, self.certificates()?);
        let builder =
            if certificates.is_empty() { builder } else { builder.tls_certs_merge(certificates) };
        builder.build().context("no HTTPS client could be made").hint(
            "this machine may lack CA certificates; install `ca-certificates`, or check what `SSL_CERT_FILE`, `SSL_CERT_DIR` and the input \
             `ca-certificates` name",
        )
    }

    fn through_proxies(&self, builder: ClientBuilder) -> anyhow::Result<ClientBuilder> {
        let http =
            self.proxies.http.as_deref().map(|text| proxy(text, "HTTP_PROXY")).transpose()?;
        let https =
            self.proxies.https.as_deref().map(|text| proxy(text, "HTTPS_PROXY")).transpose()?;
        let builder = builder.no_proxy(); // what reqwest would read of the environment by itself
        if http.is_none() && https.is_none() {
            return Ok(builder);
        }
        let no = self.proxies.no.clone();
        Ok(builder.proxy(Proxy::custom(move |url| {
            let proxy = if url.scheme() == "https" { &https } else { &http };
            proxy.clone().filter(|_| !is_direct(url, &no))
        })))
    }

    /// The certificates of the CAs that are trusted beside the system's.
    ///
    /// # Errors
    /// Why they cannot be read; a private key among them is not quoted.
    pub fn certificates(&self) -> anyhow::Result<Vec<Certificate>> {
        let Some(pem) = self.authorities_pem()? else { return Ok(Vec::new()) };
        anyhow::ensure!(
            !pem.contains("PRIVATE KEY-----"),
            "input `ca-certificates`: it holds a private key; give the certificate of the CA alone"
        );
        let wrong = "input `ca-certificates`: it holds no certificate in PEM that can be read";
        let certificates = Certificate::from_pem_bundle(pem.as_bytes()).context(wrong)?;
        anyhow::ensure!(!certificates.is_empty(), "{wrong}");
        Ok(certificates)
    }

    /// The PEM itself.
    pub fn authorities_pem(&self) -> anyhow::Result<Option<String>> {
        let Some(given) = &self.authorities else { return Ok(None) };
        if given.contains("-----BEGIN ") {
            return Ok(Some(given.clone()));
        }
        let file = Path::new(given.trim());
        let unreadable = || {
            format!(
                "input `ca-certificates`: `{}` is neither PEM nor a file that can be read",
                file.display()
            )
        };
        let size = std::fs::metadata(file).with_context(unreadable)?;
        anyhow::ensure!(size.is_file() && size.len() <= CERTIFICATES, "{}", unreadable());
        std::fs::read_to_string(file).with_context(unreadable).map(Some)
    }
}

/// Redirects are followed as far as they stay on https; on another host they carry no
/// `Authorization`, which `reqwest` sees to.
fn redirects(plain: Plain) -> redirect::Policy {
    redirect::Policy::custom(move |attempt| {
        if !plain.is_safe(attempt.url()) {
            return attempt.error("a redirect away from https");
        }
        if attempt.previous().len() > REDIRECTS {
            attempt.error("too many redirects")
        } else {
            attempt.follow()
        }
    })
}

/// The address of a proxy; never quoted, as it may hold a password.
fn proxy(text: &str, variable: &str) -> anyhow::Result<Url> {
    let text = text.trim();
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&whole)
        .ok()
        .filter(|url| ["http", "https"].contains(&url.scheme()) && url.host_str().is_some());
    url.with_context(|| format!("`{variable}` (or `ALL_PROXY`) is not an address of a proxy"))
        .hint("write it as `http://proxy.example.com:3128`; other kinds of proxies, such as SOCKS, are not supported")
}

/// Whether a request goes to its host itself: always on this machine, and where `NO_PROXY` says so.
fn is_direct(url: &Url, no_proxy: &str) -> bool {
    let Some(host) = url.host_str() else { return true };
    let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
    let port = url.port_or_known_default();
    url.host_str().is_some_and(is_loopback)
        || no_proxy.split(',').any(|entry| covers(&entry.trim().to_ascii_lowercase(), &host, port))
}

/// Whether an entry of `NO_PROXY` is about this host: an address, a CIDR block, a name with what is
/// below it, `.name` with that alone, `*`; each but the blocks with a port or without.
fn covers(entry: &str, host: &str, port: Option<u16>) -> bool {
    let address: Option<IpAddr> = host.parse().ok();
    if entry.is_empty() {
        return false;
    }
    if entry == "*" {
        return true;
    }
    if let Some((network, bits)) = entry.split_once('/') {
        let block = network.parse::<IpAddr>().ok().zip(bits.parse::<u32>().ok());
        return block
            .zip(address)
            .is_some_and(|((network, bits), address)| is_within(address, network, bits));
    }
    let (name, of_port) = match entry.rsplit_once(':') {
        Some((name, digits))
            if entry.parse::<IpAddr>().is_err() && digits.parse::<u16>().is_ok() =>
        {
            (name, digits.parse().ok())
        }
        _ => (entry, None),
    };
    if of_port.is_some() && of_port != port {
        return false;
    }
    let name = name.trim_matches(['[', ']']);
    if let Ok(named) = name.parse::<IpAddr>() {
        return address == Some(named);
    }
    let name = name.strip_prefix('*').unwrap_or(name);
    match name.strip_prefix('.') {
        Some(domain) => {
            !domain.is_empty() && host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
        }
        None => {
            !name.is_empty()
                && host
                    .strip_suffix(name)
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        }
    }
}

fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let same = |width: u32, difference: u128| {
        bits <= width && difference.checked_shr(width - bits).unwrap_or(0) == 0
    };
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            same(32, u128::from(address.to_bits() ^ network.to_bits()))
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            same(128, address.to_bits() ^ network.to_bits())
        }
        _ => false,
    }
}

/// What helps where a certificate was refused for its issuer.
pub fn certificate_remedy(cause: &str) -> Option<&'static str> {
    ["UnknownIssuer", "unknown issuer", "unable to get local issuer"]
        .iter()
        .any(|word| cause.contains(word))
        .then_some(OWN_CA)
}

/// The heading of the page about a service that gave no answer.
pub fn unreachable_page(cause: &str) -> RefusalPage {
    match certificate_remedy(cause) {
        Some(_) => RefusalPage::CertificateOfAnUnknownIssuer,
        None => RefusalPage::NoAnswer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(variables: &[(&str, &str)]) -> Network {
        Network::of(
            &variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn this_machine_and_what_no_proxy_names_is_reached_directly() {
        for (url, no_proxy, direct) in [
            ("http://127.0.0.1:5000/", "", true),
            ("http://127.8.8.8/", "", true),
            ("http://[::1]:5000/", "", true),
            ("https://localhost:1/", "", true),
            ("https://localhost.example.com/", "", false),
            ("https://ghcr.io/", "", false),
            ("https://ghcr.io/", "*", true),
            ("https://ghcr.io/", "ghcr.io", true),
            ("https://GHCR.io/", " x , Ghcr.IO", true),
            ("https://pkg.ghcr.io/", "ghcr.io", true),
            ("https://notghcr.io/", "ghcr.io", false),
            ("https://ghcr.io/", ".ghcr.io", false),
            ("https://pkg.ghcr.io/", ".ghcr.io", true),
            ("https://pkg.ghcr.io/", "*.ghcr.io", true),
            ("https://ghcr.io/", "*.ghcr.io", false),
            ("https://r.lan:8443/", "r.lan:8443", true),
            ("https://r.lan/", "r.lan:443", true),
            ("https://r.lan/", "r.lan:8443", false),
            ("https://10.1.2.3/", "10.0.0.0/8", true),
            ("https://11.1.2.3/", "10.0.0.0/8", false),
            ("https://10.1.2.3/", "0.0.0.0/0", true),
            ("https://10.1.2.3/", "10.1.2.3/32", true),
            ("https://10.1.2.4/", "10.1.2.3/32", false),
            ("https://10.1.2.3/", "10.1.2.3/33", false),
            ("https://10.1.2.3/", "10.1.2.3", true),
            ("https://[fd00::1]/", "fd00::/8", true),
            ("https://[fd00::1]/", "fd00::1", true),
            ("https://[fd00::1]:8443/", "[fd00::1]:8443", true),
            ("https://[fd00::1]:8443/", "[fd00::1]:443", false),
            ("https://ghcr.io/", ",.,:,/,:80", false),
        ] {
            assert_eq!(is_direct(&Url::parse(url).unwrap(), no_proxy), direct, "{url} {no_proxy}");
        }
    }

    #[test]
    fn proxies_are_named_in_either_case_and_never_quoted() {
        let told = network(&[
            ("https_proxy", "proxy:3128"),
            ("HTTP_PROXY", "http://a:hunter2@proxy"),
            ("no_proxy", "x"),
            ("ALL_PROXY", "http://all"),
        ]);
        assert_eq!(
            (told.proxies.https.as_deref(), told.proxies.no.as_str()),
            (Some("proxy:3128"), "x")
        );
        told.client().unwrap();
        assert!(!format!("{told:?}").contains("hunter2"));
        let all = network(&[("all_proxy", "http://all:1"), ("HTTPS_PROXY", "")]);
        assert_eq!(
            (all.proxies.http.as_deref(), all.proxies.https.as_deref()),
            (Some("http://all:1"), Some("http://all:1"))
        );
        for wrong in ["socks5://u:hunter2@proxy:1", "http://", "ht tp://hunter2"] {
            let refused = network(&[("HTTPS_PROXY", wrong)]).client().unwrap_err();
            let said = format!("{refused:?}");
            assert!(
                said.contains("not an address of a proxy")
                    && said.contains("http://proxy.example.com")
                    && !said.contains("hunter2"),
                "{said}"
            );
        }
    }

    #[test]
    fn plain_http_is_for_what_was_named_to_the_port_and_for_this_machine() {
        let plain = network(&[("INPUT_HTTP-REGISTRIES", "Registry.lan:5000, 10.0.0.5\n")]).plain;
        for (url, safe) in [
            ("http://registry.lan:5000/v2/", true),
            ("http://registry.lan/v2/", false),
            ("http://registry.lan:5001/v2/", false),
            ("http://evil.registry.lan:5000/v2/", false),
            ("http://10.0.0.5/v2/", true),
            ("http://10.0.0.6/v2/", false),
            ("http://127.0.0.1:1/x", true),
            ("http://[::1]/", true),
            ("http://cdn.example.com/x", false),
            ("ftp://localhost/", false),
            ("https://cdn.example.com/x", true),
        ] {
            assert_eq!(plain.is_safe(&Url::parse(url).unwrap()), safe, "{url}");
        }
        assert!(!Plain::default().is_safe(&Url::parse("http://registry.lan:5000/").unwrap()));
    }

    #[test]
    fn a_ca_of_ones_own_is_pem_or_a_file_of_it_and_no_private_key() {
        let folder = tempfile::tempdir().unwrap();
        let wrong = folder.path().join("wrong.pem");
        std::fs::write(&wrong, "no certificate").unwrap();
        for (given, said) in [
            ("/nowhere/ca.pem", "neither PEM nor a file"),
            (folder.path().to_str().unwrap(), "neither PEM nor a file"),
            (wrong.to_str().unwrap(), "no certificate in PEM"),
            (
                "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
                "no certificate in PEM",
            ),
            ("-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n", "a private key"),
        ] {
            let refused = network(&[("INPUT_CA-CERTIFICATES", given)]).certificates().unwrap_err();
            assert!(
                format!("{refused:#}").contains(said)
                    && !format!("{refused:?}").contains("hunter2"),
                "{refused:#}"
            );
        }
        assert!(network(&[]).certificates().unwrap().is_empty());
    }
}
