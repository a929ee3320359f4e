//! Names of Java archives that do not state them: those of a Maven repository on the image whose
//! entries are links to the archives, as Debian's are. It never overrules what an archive states of
//! itself.

use std::collections::{BTreeMap, BTreeSet};

use super::matchers::java::{self, from_repository, guess};
use super::package::{Ecosystem, Package};
use super::source::Links;

/// For the path of each archive, group and artifact by which a repository links to it.
pub(super) struct MavenRepository(BTreeMap<String, BTreeSet<String>>);

impl MavenRepository {
    pub(super) fn of(links: &Links) -> Self {
        let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (path, _) in links.iter().filter(|(path, _)| java::is_archive(path)) {
            if let Some((name, _)) = from_repository(path)
                && let Some(archive) = links.resolve(path)
            {
                names.entry(archive).or_default().insert(name);
            }
        }
        Self(names)
    }

    /// Gives the archive's own package, if it was named after the file, the one name that the
    /// repository has for it.
    pub(super) fn name(&self, path: &str, package: &mut Package) {
        let Some(names) =
            self.0.get(path).filter(|_| package.is_guess && package.ecosystem == Ecosystem::Maven)
        else {
            return;
        };
        // A group that was guessed from a manifest is no better.
        let artifact = package.name.rsplit(':').next().unwrap_or_default();
        let mut same = names.iter().filter(|name| name.rsplit(':').next() == Some(artifact));
        let named = match (names.len(), same.next(), same.next()) {
            (1, ..) => names.first(),
            (_, Some(only), None) => Some(only),
            _ => None,
        };
        if artifact == guess(path)
            && let Some(name) = named
        {
            package.name.clone_from(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jars_without_a_group_take_it_from_the_maven_repository_path() {
        let mut links = Links::default();
        for (path, target) in [
            (
                "usr/share/maven-repo/org/apache/maven/maven-core/3.8.7/maven-core-3.8.7.jar",
                "../../../../../../java/maven3-core.jar",
            ),
            (
                "usr/share/maven-repo/org/apache/maven/maven-core/3.x/maven-core-3.x.jar",
                "../../../../../../java/maven3-core.jar",
            ),
            ("usr/share/maven-repo/g/jsr305/1/jsr305-1.jar", "../../../../java/link.jar"),
            ("usr/share/maven-repo/h/jsr305/1/jsr305-1.jar", "../../../../java/link.jar"),
            ("usr/share/maven-repo/o/asm/9/asm-9.jar", "../../../../java/asm.jar"),
            ("usr/share/maven-repo/o/asm-all/9/asm-all-9.jar", "../../../../java/asm.jar"),
            ("usr/share/java/link.jar", "jsr305.jar"),
            ("usr/share/java/other.jar", "maven3-core.jar"),
        ] {
            links.insert(path, target);
        }
        let repository = MavenRepository::of(&links);
        let check = |path: &str, name: &str, expected: &str| {
            let mut package = Package {
                is_guess: !name.starts_with("stated:"),
                ..Package::named(Ecosystem::Maven, name)
            };
            repository.name(path, &mut package);
            assert_eq!(package.name, expected, "{path}");
        };
        check("usr/share/java/maven3-core.jar", "maven3-core", "org.apache.maven:maven-core");
        check("usr/share/java/maven3-core.jar", "inner", "inner");
        check("usr/share/java/maven3-core.jar", "stated:maven3-core", "stated:maven3-core");
        check("usr/share/java/jsr305.jar", "jsr305", "jsr305");
        check("usr/share/java/asm.jar", "asm", "o:asm");
        check("usr/share/java/asm.jar", "org.objectweb:asm", "o:asm");
        check("usr/share/java/unknown.jar", "unknown", "unknown");
    }
}
