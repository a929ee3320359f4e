//! The group of an artifact whose archive has no coordinates: from what the manifest states, from a
//! table of facts, or from names that agree with the directories of classes. A wrong group is worse
//! than none, so what nothing else bears out is not told.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::text::JarManifest;

/// Directories of an archive's classes, each with how many lie in it.
#[derive(Debug, Default)]
pub(super) struct ClassDirectories {
    counts: HashMap<String, usize>,
    total: usize,
    /// Whether it holds an application and what that needs.
    is_application: bool,
}

/// A hostile archive must not fill the memory.
const MOST_PACKAGES: usize = 20_000;

impl ClassDirectories {
    /// Takes the name of a member.
    pub(super) fn add(&mut self, member: &str) {
        if member.starts_with("BOOT-INF/") || member.starts_with("WEB-INF/") {
            self.is_application = true;
        }
        let is_class = member.ends_with(".class") || member.ends_with(".classdata");
        let Some((directory, _)) = member.rsplit_once('/').filter(|_| is_class) else { return };
        // Classes for later Java are there twice.
        if directory.starts_with("META-INF/") {
            return;
        }
        if let Some(count) = self.counts.get_mut(directory) {
            *count += 1;
        } else if self.counts.len() < MOST_PACKAGES {
            self.counts.insert(directory.to_owned(), 1);
        } else {
            return;
        }
        self.total += 1;
    }

    fn is_empty(&self) -> bool {
        self.total == 0
    }

    fn below(&self, directory: &str) -> usize {
        let is_below = |path: &str| {
            path.strip_prefix(directory)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.counts.iter().filter(|(path, _)| is_below(path)).map(|(_, count)| count).sum()
    }

    /// Whether a good part of all classes lies in these directories: not only what was shaded in.
    fn are_of(&self, directories: &str) -> bool {
        let found: usize = directories.split(',').map(|directory| self.below(directory)).sum();
        !self.is_application && found * 10 >= self.total * 3
    }

    /// The longest directory in which nearly all classes lie.
    fn root(&self) -> String {
        let mut root = String::new();
        loop {
            let mut next: HashMap<&str, usize> = HashMap::new();
            for (path, count) in &self.counts {
                let inside = match root.is_empty() {
                    true => Some(path.as_str()),
                    false => {
                        path.strip_prefix(root.as_str()).and_then(|rest| rest.strip_prefix('/'))
                    }
                };
                if let Some(part) = inside.and_then(|inside| inside.split('/').next()) {
                    *next.entry(part).or_default() += count;
                }
            }
            let best = next.into_iter().max_by_key(|(part, count)| (*count, *part));
            match best.filter(|(part, count)| count * 10 >= self.total * 9 && !part.is_empty()) {
                Some((part, _)) if root.is_empty() => root = part.to_owned(),
                Some((part, _)) => root = format!("{root}/{part}"),
                None => return root,
            }
        }
    }
}

/// The group of an archive of this artifact and version, if anything tells it.
pub(super) fn group(
    artifact: &str,
    version: Option<&str>,
    manifest: &JarManifest,
    packages: &ClassDirectories,
) -> Option<String> {
    let stated = manifest.word("group-id").map(str::to_owned);
    // sbt writes who builds it, and only what is built by it is for one version of Scala.
    let of_sbt = || {
        let vendor = manifest.word("implementation-vendor-id")?;
        (without_scala(artifact) != artifact && is_group(vendor)).then(|| vendor.to_owned())
    };
    stated
        .or_else(|| of_nebula(manifest))
        .or_else(of_sbt)
        .or_else(|| of_facts(artifact, version, packages))
        .or_else(|| of_names(artifact, manifest, packages))
}

/// `org.elasticsearch#server;7.17.20`, as a plugin of Gradle that many use writes it.
fn of_nebula(manifest: &JarManifest) -> Option<String> {
    let (group, rest) = manifest.get("implementation-title")?.split_once('#')?;
    (rest.contains(';') && is_group(group)).then(|| group.to_owned())
}

/// What is known of an artifact.
struct GroupFact {
    artifact: &'static str,
    group: &'static str,
    directories: &'static str,
    versions: &'static str,
}

/// Words that anybody may call an artifact: these need classes that bear them out.
const PLAIN: [&str; 21] = [
    "activation",
    "adapter-*",
    "annotations",
    "cache-api",
    "config",
    "connect-*",
    "context-propagation",
    "converter-*",
    "druid",
    "exposed-*",
    "java-driver-*",
    "js",
    "json",
    "mail",
    "metrics-*",
    "play*_*",
    "platform",
    "remoting",
    "serializer",
    "transport",
    "wire-*",
];

fn facts() -> &'static [GroupFact] {
    static FACTS: OnceLock<Vec<GroupFact>> = OnceLock::new();
    FACTS.get_or_init(|| {
        let lines = include_str!("facts.tsv").lines().filter(|line| !line.starts_with('#'));
        let fact = |line: &'static str| {
            let mut fields = line.split('\t');
            Some(GroupFact {
                artifact: fields.next()?,
                group: fields.next()?,
                directories: fields.next()?,
                versions: fields.next().unwrap_or_default(),
            })
        };
        lines.filter_map(fact).collect()
    })
}

fn of_facts(artifact: &str, version: Option<&str>, packages: &ClassDirectories) -> Option<String> {
    // A starter has no classes, and anybody may make one for anything.
    let is_plain = |fact: &GroupFact| {
        PLAIN.contains(&fact.artifact)
            || (artifact.contains("-starter") && !artifact.starts_with("spring-boot-starter"))
    };
    let fits = |fact: &&GroupFact| {
        is_like(artifact, fact.artifact)
            && is_from(version, fact.versions)
            && match packages.is_empty() {
                true => !packages.is_application && !is_plain(fact),
                false => packages.are_of(fact.directories),
            }
    };
    facts().iter().find(fits).map(|fact| fact.group.to_owned())
}

/// `*` stands for anything.
fn is_like(name: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Whether a version is the first of these or later, or, with `-`, the last or before. Numbers that
/// the limit does not have do not count; where no version is known, the later group is taken.
fn is_from(version: Option<&str>, limit: &str) -> bool {
    let numbers = |text: &str| -> Vec<u64> {
        let parts = text.split(['.', '-', '_', '+']);
        parts.map_while(|part| part.parse().ok()).collect()
    };
    let (limit, is_last) = match limit.strip_prefix('-') {
        Some(limit) => (numbers(limit), true),
        None => (numbers(limit), false),
    };
    let found = version.map(numbers).unwrap_or_default();
    if limit.is_empty() {
        return true;
    }
    let Some(found) = found.get(..limit.len().min(found.len())).filter(|found| !found.is_empty())
    else {
        return !is_last;
    };
    if is_last { found <= &limit[..] } else { found >= &limit[..] }
}

/// Groups of many projects with names of their own, and domains: no artifact is of one by itself.
const BARE: [&str; 16] = [
    "com.github",
    "com.google",
    "com.oracle",
    "com.sun",
    "io.github",
    "net.java",
    "net.sourceforge",
    "org.apache",
    "org.apache.commons",
    "org.codehaus",
    "org.eclipse",
    "org.glassfish",
    "org.jboss",
    "org.objectweb",
    "org.sonatype",
    "org.netbeans",
];

fn is_group(group: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let first = group.split('.').next().unwrap_or_default();
    group.contains('.')
        && group.chars().all(plain)
        && (2..=8).contains(&first.len())
        && !BARE.contains(&group)
}

/// A group that only names suggest must be a domain backwards: names of modules need not be.
fn is_domain(group: &str) -> bool {
    is_group(group) && group.find('.').is_some_and(|length| length <= 4)
}

/// By the names in the manifest and those of directories, where they agree.
fn of_names(artifact: &str, manifest: &JarManifest, packages: &ClassDirectories) -> Option<String> {
    let plain = without_scala(artifact);
    let symbol = manifest.word("bundle-symbolicname");
    let vendor = manifest.word("implementation-vendor-id").filter(|group| is_group(group));
    let root = packages.root().replace('/', ".");
    let within = |group: &str, name: &str| {
        name.strip_prefix(group).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    // Old Maven writes the group there; others, the vendor's domain.
    let by_vendor = vendor
        .filter(|group| symbol.is_some_and(|symbol| within(group, symbol)) || within(group, &root));
    if packages.is_application {
        return by_vendor.map(str::to_owned);
    }
    let by_symbol = || of_symbol(symbol?, plain);
    let by_module = || without_last(manifest.word("automatic-module-name")?, plain);
    by_vendor
        .or_else(by_symbol)
        .or_else(by_module)
        .filter(|group| is_domain(group))
        .map(str::to_owned)
        .or_else(|| of_directories(plain, &root))
}

/// The name without the version of Scala that it is for.
fn without_scala(artifact: &str) -> &str {
    let is_scala = |version: &str| version == "3" || version.starts_with("2.");
    artifact
        .rsplit_once('_')
        .filter(|(_, version)| is_scala(version))
        .map_or(artifact, |(name, _)| name)
}

/// The group in a symbolic name, which OSGi's tools make of group and artifact in one of these
/// ways.
fn of_symbol<'a>(symbol: &'a str, artifact: &str) -> Option<&'a str> {
    if let Some(group) = symbol.strip_suffix(artifact).and_then(|start| start.strip_suffix('.')) {
        // `com.opencsv` is no artifact of a group `com`. Of one word, `org.fusesource.jansi` may be
        // the group, or group and artifact.
        return match (group.contains('.'), artifact.contains(['-', '.'])) {
            (false, _) => Some(symbol),
            (true, true) => Some(group).filter(|group| is_group(group)),
            (true, false) => None,
        };
    }
    let joined = without_last(symbol, artifact);
    // Kotlin's part for Java machines of `com.squareup.okio` is `okio-jvm`, and of
    // `com.squareup.okhttp3` it is `okhttp-jvm`.
    let of_kotlin = || {
        let last =
            symbol.rsplit_once('.')?.1.trim_end_matches(|letter: char| letter.is_ascii_digit());
        artifact.strip_suffix("-jvm").filter(|name| *name == last).map(|_| symbol)
    };
    joined.or_else(of_kotlin)
}

/// The group where what the artifact has in common with its end is written once: `maven-core` of
/// `org.apache.maven` is `org.apache.maven.core`.
fn without_last<'a>(symbol: &'a str, artifact: &str) -> Option<&'a str> {
    let dotted = artifact.replace(['-', '_'], ".");
    let plain = symbol.replace(['-', '_'], ".");
    let groups = symbol
        .match_indices('.')
        .filter_map(|(at, _)| symbol.get(..at))
        .filter(|group| is_group(group));
    let is_written_once = |group: &&str| {
        let last = group.rsplit('.').next().unwrap_or_default();
        let rest = plain.get(group.len()..).unwrap_or_default();
        dotted.strip_prefix(last) == Some(rest)
    };
    groups.rev().find(is_written_once).filter(|group| is_domain(group))
}

/// `kafka-clients` with its classes in `org.apache.kafka`: the part that the artifact's name begins
/// with ends the group. Elsewhere than at Apache that is so too often not.
fn of_directories(artifact: &str, root: &str) -> Option<String> {
    let first = artifact.split(['-', '_']).next()?;
    if first == artifact || !root.starts_with("org.apache.") {
        return None;
    }
    let parts: Vec<&str> = root.split('.').collect();
    let at = parts.iter().skip(1).position(|part| *part == first)? + 1;
    Some(parts.get(..=at)?.join(".")).filter(|group| is_group(group))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(members: &[&str]) -> ClassDirectories {
        let mut packages = ClassDirectories::default();
        members.iter().for_each(|member| packages.add(member));
        packages
    }

    fn told(artifact: &str, version: &str, manifest: &str, members: &[&str]) -> Option<String> {
        let manifest = JarManifest::parse(manifest.as_bytes());
        group(artifact, Some(version).filter(|it| !it.is_empty()), &manifest, &packages(members))
    }

    #[test]
    fn every_fact_has_its_fields_and_a_reachable_line() {
        for fact in facts() {
            assert!(!fact.group.is_empty() && !fact.directories.is_empty(), "{}", fact.artifact);
            let name = fact.artifact.replace('*', "x");
            assert!(is_like(&name, fact.artifact), "{name}");
        }
        assert!(facts().len() > 400);
        let known: Vec<&str> = facts().iter().map(|fact| fact.artifact).collect();
        for plain in PLAIN {
            assert!(known.contains(&plain), "{plain}");
        }
    }

    #[test]
    fn facts_count_where_classes_bear_them_out() {
        let check = |artifact: &str, version: &str, member: &str, expected: Option<&str>| {
            let members: Vec<&str> = Some(member).filter(|it| !it.is_empty()).into_iter().collect();
            assert_eq!(told(artifact, version, "", &members).as_deref(), expected, "{artifact}");
        };
        check(
            "spring-core",
            "5.3.18",
            "org/springframework/core/A.class",
            Some("org.springframework"),
        );
        check("spring-core", "5.3.18", "", Some("org.springframework"));
        check("spring-core", "1", "com/example/A.class", None);
        check("spring-boot-starter-web", "3.2.4", "", Some("org.springframework.boot"));
        check("config", "1", "", None);
        check("config", "1", "com/typesafe/config/A.class", Some("com.typesafe"));
        check("dom4j", "1.6.1", "org/dom4j/A.class", Some("dom4j"));
        check("dom4j", "2.1.4", "org/dom4j/A.class", Some("org.dom4j"));
        check("groovy", "3.0.21", "groovy/lang/A.class", Some("org.codehaus.groovy"));
        check("groovy-json", "4.0.20", "org/apache/groovy/json/A.class", Some("org.apache.groovy"));
        check("asm", "3.3.1", "org/objectweb/asm/A.class", Some("asm"));
        check("asm-tree", "9.6", "org/objectweb/asm/tree/A.class", Some("org.ow2.asm"));
        check("okhttp", "4.12.0", "okhttp3/A.class", Some("com.squareup.okhttp3"));
        check("okhttp", "2.7.5", "com/squareup/okhttp/A.class", Some("com.squareup.okhttp"));
        check("hibernate-core", "5.6.15.Final", "org/hibernate/A.class", Some("org.hibernate"));
        check("hibernate-core", "6.4.4.Final", "org/hibernate/A.class", Some("org.hibernate.orm"));
        check("kafka_2.13", "3.7.0", "", Some("org.apache.kafka"));
    }

    #[test]
    fn an_application_is_no_part_of_what_it_holds() {
        let loader = "org/springframework/boot/loader/A.class";
        let members = [loader, "BOOT-INF/classes/com/example/A.class"];
        assert_eq!(told("spring-boot-demo", "1", "", &members), None);
        let mut shaded = vec!["org/apache/kafka/A.class"];
        shaded.extend(["com/example/app/A.class"; 9]);
        assert_eq!(told("kafka-app", "1", "", &shaded), None);
    }

    #[test]
    fn manifests_are_believed_where_classes_or_names_agree() {
        let check = |artifact: &str, manifest: &str, member: &str, expected: Option<&str>| {
            assert_eq!(told(artifact, "1", manifest, &[member]).as_deref(), expected, "{artifact}");
        };
        check("core", "Implementation-Title: io.x#server;1\n", "a/A.class", Some("io.x"));
        check("a_2.13", "Implementation-Vendor-Id: dev.x\n", "a/A.class", Some("dev.x"));
        check("a-b", "Implementation-Vendor-Id: dev.x\n", "dev/x/a/A.class", Some("dev.x"));
        check("c-b", "Implementation-Vendor-Id: com.vendor\n", "dev/x/a/A.class", None);
        check("a-b", "Implementation-Vendor-Id: com.sun\n", "com/sun/a/A.class", None);
        check("x-part", "Bundle-SymbolicName: org.apache.x-part\n", "y/A.class", None);
        check("foo-clients", "", "org/apache/foo/A.class", Some("org.apache.foo"));
        check("clients-foo", "", "org/apache/foo/A.class", None);
    }

    #[test]
    fn a_hostile_archive_does_not_fill_the_memory() {
        let mut packages = ClassDirectories::default();
        (0..MOST_PACKAGES * 2).for_each(|number| packages.add(&format!("p{number}/A.class")));
        assert_eq!(packages.counts.len(), MOST_PACKAGES);
        assert_eq!(packages.root(), "");
    }
}
