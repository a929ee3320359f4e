//! Addresses of Git repositories in all the ways that Git, BuildKit and SLSA spell them → one that
//! can be compared. It guesses nothing: what is not plainly a repository's address is none.

/// A repository, and perhaps what of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Git {
    /// In small letters.
    host: String,
    port: Option<u16>,
    /// Without `.git`.
    path: String,
    reference: Option<String>,
}

const SCHEMES: [(&str, u16); 4] =
    [("https://", 443), ("http://", 80), ("ssh://", 22), ("git://", 9418)];

impl Git {
    pub fn of(text: &str) -> Option<Self> {
        // SLSA writes `git+https://host/path@reference`.
        let (text, is_slsa) = text.strip_prefix("git+").map_or((text, false), |rest| (rest, true));
        let (address, fragment) = halves(text, '#');
        let (address, query) = halves(address, '?');
        let (place, path, default) = match SCHEMES
            .iter()
            .find_map(|(scheme, port)| Some((address.strip_prefix(scheme)?, *port)))
        {
            Some((rest, port)) => {
                let (place, path) = rest.split_once('/')?;
                (place, path, Some(port))
            }
            None if address.starts_with("github.com/") => {
                let (place, path) = address.split_once('/')?;
                (place, path, None)
            }
            // As `scp` has it: user@host:path.
            None => {
                let (place, path) = address.split_once(':')?;
                let (user, _) = place.split_once('@')?;
                let is_user = !user.is_empty()
                    && user
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
                (is_user.then_some(place)?, path, None)
            }
        };
        let (path, at) = if is_slsa { halves(path, '@') } else { (path, None) };
        let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
        let (host, port) = match place.split_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (place, None),
        };
        let is_host = !host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
        let path = path.trim_start_matches('/');
        let path = path.strip_suffix('/').unwrap_or(path);
        let path = path.strip_suffix(".git").unwrap_or(path);
        let reference =
            at.or(fragment.map(|fragment| halves(fragment, ':').0)).or_else(|| reference(query?));
        (is_host && is_path(path)).then(|| Self {
            host: host.to_ascii_lowercase(),
            port: port.filter(|port| Some(*port) != default),
            path: path.to_owned(),
            reference: reference.filter(|reference| !reference.is_empty()).map(str::to_owned),
        })
    }

    /// What of it, where that is a whole commit.
    pub fn commit(&self) -> Option<&str> {
        let is_commit = |text: &&str| {
            matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        self.reference.as_deref().filter(is_commit)
    }

    /// The same repository, whatever of it; GitHub does not tell large letters from small ones.
    /// `github` is the host of this run.
    pub fn is_same_repository(&self, other: &Self, github: &str) -> bool {
        let same_path = if [github, "github.com"].contains(&self.host.as_str()) {
            self.path.eq_ignore_ascii_case(&other.path)
        } else {
            self.path == other.path
        };
        (&self.host, self.port) == (&other.host, other.port) && same_path
    }

    pub(super) fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }

    /// Another repository at the same host.
    pub(super) fn at(&self, path: &str) -> Self {
        Self { path: path.to_owned(), reference: None, ..self.clone() }
    }

    /// For people.
    pub(super) fn shown(&self) -> String {
        let at = self.reference().map(|reference| format!(" at `{reference}`")).unwrap_or_default();
        format!("`https://{}/{}`{at}", self.host, self.path)
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> Option<u16> {
        self.port
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }
}

/// Before the first such letter, and behind it where there is one.
fn halves(text: &str, letter: char) -> (&str, Option<&str>) {
    text.split_once(letter).map_or((text, None), |(before, behind)| (before, Some(behind)))
}

/// As BuildKit reads queries of repositories.
fn reference(query: &str) -> Option<&str> {
    let field =
        |name: &str| query.split('&').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    ["commit", "checksum", "ref", "tag", "branch"].into_iter().find_map(field)
}

fn is_path(path: &str) -> bool {
    let is_plain = |part: &str| {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+".contains(&byte);
        !part.is_empty() && part != "." && part != ".." && part.bytes().all(legal)
    };
    path.split('/').all(is_plain)
}
