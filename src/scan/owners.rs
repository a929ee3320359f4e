//! Packages as a document lists them → which of a language's packages the distribution's own brought.
//! A document has no list of files, so all of this must agree: a folder that only the distribution
//! fills, its name for the package, and the version. What does not agree has no owner.

use std::collections::HashMap;

use super::findings::ScanSubject;

/// Where a distribution puts packages of a language, what it calls them there, and the type of both.
struct Custom {
    language: &'static str,
    distribution: &'static str,
    /// A path begins so, and goes on so anywhere.
    folder: (&'static str, &'static str),
    name: (&'static str, &'static str),
}

const fn custom(
    language: &'static str,
    distribution: &'static str,
    folder: (&'static str, &'static str),
    name: (&'static str, &'static str),
) -> Custom {
    Custom { language, distribution, folder, name }
}

/// pip, gem and npm write below `/usr/local` on Debian and Red Hat; on Alpine pip writes where apk
/// does, and the version tells them apart.
const CUSTOMS: [Custom; 9] = [
    custom("pypi", "deb", ("usr/lib/python3/dist-packages/", ""), ("python3-", "")),
    custom("npm", "deb", ("usr/share/nodejs/", ""), ("node-", "")),
    custom("gem", "deb", ("usr/share/rubygems-integration/", ""), ("ruby-", "")),
    custom("maven", "deb", ("usr/share/java/", ""), ("lib", "-java")),
    custom("maven", "deb", ("usr/share/maven-repo/", ""), ("lib", "-java")),
    custom("pypi", "rpm", ("usr/lib/python3", "/site-packages/"), ("python3-", "")),
    custom("pypi", "rpm", ("usr/lib64/python3", "/site-packages/"), ("python3-", "")),
    custom("gem", "rpm", ("usr/share/gems/", ""), ("rubygem-", "")),
    custom("pypi", "apk", ("usr/lib/python3", "/site-packages/"), ("py3-", "")),
];

/// Gives each package of a language its owner, where it has one.
pub(super) fn name_owners(subjects: &mut [ScanSubject]) {
    let mut installed: HashMap<(String, String), usize> = HashMap::new();
    for (at, subject) in subjects.iter().enumerate() {
        let kind = kind(&subject.purl);
        if ["deb", "rpm", "apk"].contains(&kind) {
            installed.entry((kind.to_owned(), subject.name.to_lowercase())).or_insert(at);
        }
    }
    if installed.is_empty() {
        return;
    }
    let owners: Vec<Option<usize>> = subjects
        .iter()
        .map(|subject| {
            let of = CUSTOMS.iter().filter(|custom| custom.language == kind(&subject.purl));
            let mut of = of.filter(|custom| custom.holds(subject));
            of.find_map(|custom| {
                let name = custom.calls(&subject.name);
                let at = *installed.get(&(custom.distribution.to_owned(), name))?;
                let is_it = subjects.get(at).is_some_and(|owner| is_version_of(owner, subject));
                is_it.then_some(at)
            })
        })
        .collect();
    for (subject, owner) in subjects.iter_mut().zip(owners) {
        subject.owner = subject.owner.or(owner);
    }
}

impl Custom {
    /// Whether every file that tells of the package lies where the distribution puts it.
    fn holds(&self, subject: &ScanSubject) -> bool {
        let (start, within) = self.folder;
        let is_there = |path: &String| path.starts_with(start) && path.contains(within);
        !subject.paths.is_empty() && subject.paths.iter().all(is_there)
    }

    fn calls(&self, name: &str) -> String {
        let last = name.rsplit([':', '/']).next().unwrap_or(name);
        let (start, end) = self.name;
        format!("{start}{}{end}", last.to_lowercase().replace(['_', '.'], "-"))
    }
}

fn kind(purl: &str) -> &str {
    purl.strip_prefix("pkg:").and_then(|rest| rest.split('/').next()).unwrap_or_default()
}

/// Whether the distribution's version is one of the language's: `1:3.3.2+dfsg-1` of `3.3.2`.
fn is_version_of(owner: &ScanSubject, subject: &ScanSubject) -> bool {
    let (Some(theirs), Some(version)) = (&owner.version, &subject.version) else { return false };
    let without_epoch = match theirs.split_once(':') {
        Some((epoch, rest)) if epoch.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => theirs.as_str(),
    };
    without_epoch
        .strip_prefix(version.as_str())
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '+', '~']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(purl: &str, path: &str) -> ScanSubject {
        let mut subject = ScanSubject::of_purl(purl, "x", "2026-11-29T00:00:00Z".parse().unwrap());
        subject.paths.insert(path.to_owned());
        subject
    }

    #[test]
    fn what_the_distribution_brought_is_its_own_and_what_pip_wrote_is_not() {
        let deb = "pkg:deb/debian/python3-cryptography@38.0.4-3%2Bdeb12u1?distro=debian-12";
        let dist = "usr/lib/python3/dist-packages/cryptography-38.0.4.egg-info/PKG-INFO";
        let owner = |purl: &str, path: &str| {
            let mut subjects = vec![
                subject("pkg:deb/debian/base-files@12?distro=debian-12", "var/lib/dpkg/status"),
                subject(deb, "var/lib/dpkg/status"),
                subject(purl, path),
            ];
            name_owners(&mut subjects);
            subjects[2].owner
        };
        assert_eq!(owner("pkg:pypi/cryptography@38.0.4", dist), Some(1));
        for (purl, path) in [
            ("pkg:pypi/cryptography@41.0.0", dist),
            ("pkg:pypi/cryptography@38.0", dist),
            ("pkg:pypi/cffi@38.0.4", dist),
            ("pkg:npm/cryptography@38.0.4", dist),
            ("pkg:pypi/cryptography@38.0.4", "usr/local/lib/python3.11/dist-packages/c/METADATA"),
            ("pkg:pypi/cryptography@38.0.4", "opt/venv/usr/lib/python3/dist-packages/c/METADATA"),
        ] {
            assert_eq!(owner(purl, path), None, "{purl} {path}");
        }
    }

    #[test]
    fn each_distribution_has_its_names_and_folders() {
        let site = "usr/lib/python3.12/site-packages/PyYAML-6.0.1.dist-info/METADATA";
        for (theirs, purl, path) in [
            (
                "pkg:apk/alpine/py3-pyyaml@6.0.1-r3?distro=alpine-3.20.1",
                "pkg:pypi/pyyaml@6.0.1",
                site,
            ),
            (
                "pkg:rpm/fedora/python3-pyyaml@6.0.1-14.fc40?distro=fedora-40",
                "pkg:pypi/pyyaml@6.0.1",
                site,
            ),
            (
                "pkg:deb/debian/node-semver@7.3.5%2B~7.3.9-2?distro=debian-12",
                "pkg:npm/semver@7.3.5",
                "usr/share/nodejs/semver/package.json",
            ),
            (
                "pkg:deb/debian/libcommons-io-java@2.11.0-2?distro=debian-12",
                "pkg:maven/commons-io/commons-io@2.11.0",
                "usr/share/java/commons-io-2.11.0.jar",
            ),
        ] {
            let mut subjects = vec![subject(purl, path), subject(theirs, "db")];
            name_owners(&mut subjects);
            assert_eq!(subjects[0].owner, Some(1), "{theirs}");
        }
    }
}
