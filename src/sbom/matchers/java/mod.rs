//! Java packages, from archives and the archives inside them. It reads what builds wrote down, and
//! never looks at classes.

use std::collections::BTreeMap;
use std::io::{self, Cursor, SeekFrom};

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

use super::zip::{Problem, bytes, members};
use super::{Facts, MOST_PACKAGES};
use crate::sbom::licence::Licence;
use crate::sbom::package::{Algorithm, Ecosystem, Found, Package, Supplier};
use crate::sbom::source::Contents;

const SUFFIXES: [&str; 10] =
    [".jar", ".war", ".ear", ".par", ".sar", ".nar", ".jpi", ".hpi", ".kar", ".lpkg"];
/// The manifest attribute that states a group, if any does.
const GROUP: &str = "Group-Id";
const MANIFEST: &str = "META-INF/MANIFEST.MF";
/// The manifest attributes that state who made the archive.
const VENDORS: [&str; 2] = ["Implementation-Vendor", "Bundle-Vendor"];
const COMMONS: &str = "org.apache.commons";

/// Archives in archives in archives are real; more than that is an attack, as is one that holds
/// itself.
const DEEPEST: usize = 4;
/// Of one archive inside another, which is held in memory.
const LARGEST_INNER: u64 = 64 << 20;
/// An archive of which the checksum is made; a sparse file can be any size.
const LARGEST_SUMMED: u64 = 4 << 30;
/// Of all that is inflated for one file.
const MOST_INFLATED: u64 = 2 << 30;
const LARGEST_TEXT: u64 = 1 << 20;
const MOST_MEMBERS: usize = 20_000;

pub fn is_archive(path: &str) -> bool {
    let lower = path.get(path.len().saturating_sub(5)..).unwrap_or_default().to_ascii_lowercase();
    SUFFIXES.iter().any(|suffix| lower.ends_with(suffix)) && !path.starts_with('.')
}

pub(super) fn read(path: &str, contents: &mut dyn Contents) -> io::Result<Facts> {
    let mut walk = Walk { path, facts: Facts::default(), left: MOST_INFLATED };
    walk.archive(path, contents, 0)?;
    Ok(walk.facts)
}

struct Walk<'a> {
    path: &'a str,
    facts: Facts,
    left: u64,
}

/// Group, artifact and version, as Maven writes them into the archive.
type Coordinates = (String, String, String);

impl Walk<'_> {
    /// `name` is the path of the outermost archive and of those inside, joined by `!/`.
    fn archive(&mut self, name: &str, contents: &mut dyn Contents, depth: usize) -> io::Result<()> {
        let wanted = |member: &str| {
            member == MANIFEST
                || is_coordinates(member)
                || project(member).is_some()
                || is_archive(member)
        };
        let found = match members(contents, MOST_MEMBERS, &wanted)? {
            Ok(found) => found,
            Err(problem) => {
                self.untold(name, &problem);
                return Ok(());
            }
        };
        let mut manifest = BTreeMap::new();
        let mut coordinates: Vec<Coordinates> = Vec::new();
        let mut projects = Vec::new();
        let (inner, texts): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|member| is_archive(&member.name));
        for member in texts {
            if let Some((group, artifact)) = project(&member.name) {
                projects.push((group.to_owned(), artifact.to_owned(), member));
                continue;
            }
            match self.inflated(contents, &member, LARGEST_TEXT)? {
                Ok(text) if member.name == MANIFEST => manifest = main_attributes(&text),
                Ok(text) => coordinates.extend(from_properties(&text)),
                Err(problem) => self.untold(&format!("{name}!/{}", member.name), &problem),
            }
        }
        coordinates.sort();
        coordinates.dedup();
        let checksum = checksum(contents)?;
        // Without its properties, a project's place still tells the group.
        let stem = stem(name);
        let own = projects.into_iter().find(|(_, artifact, _)| split_version(stem).0 == artifact);
        if let Some((group, _, member)) = own {
            manifest.insert(GROUP.to_owned(), group);
            if VENDORS.iter().all(|vendor| !manifest.contains_key(*vendor)) {
                // Damage of the archive shows elsewhere; this is a detail.
                let text = self.inflated(contents, &member, LARGEST_TEXT)?.unwrap_or_default();
                manifest.extend(organization(&text).map(|name| (VENDORS[0].to_owned(), name)));
            }
        }
        self.packages(name, &manifest, coordinates, checksum.as_deref());
        for member in inner {
            let inner_name = format!("{name}!/{}", member.name);
            if depth + 1 == DEEPEST {
                self.facts.warn(format!(
                    "`{inner_name}` is not listed: it is too deep inside other archives"
                ));
                continue;
            }
            match self.inflated(contents, &member, LARGEST_INNER)? {
                Ok(bytes) => self.archive(&inner_name, &mut Cursor::new(bytes), depth + 1)?,
                Err(problem) => self.untold(&inner_name, &problem),
            }
        }
        Ok(())
    }

    fn inflated(
        &mut self,
        contents: &mut dyn Contents,
        member: &super::zip::Member,
        most: u64,
    ) -> io::Result<Result<Vec<u8>, Problem>> {
        let inflated = bytes(contents, member, most.min(self.left))?;
        // What was too large has been inflated up to the limit all the same.
        let spent = inflated.as_ref().map_or(most, |bytes| bytes.len() as u64);
        self.left = self.left.saturating_sub(spent);
        Ok(inflated)
    }

    fn untold(&mut self, name: &str, problem: &Problem) {
        self.facts.warn(format!("`{name}` is not listed: {}", problem.as_str()));
    }

    fn packages(
        &mut self,
        name: &str,
        manifest: &BTreeMap<String, String>,
        coordinates: Vec<Coordinates>,
        checksum: Option<&str>,
    ) {
        let stem = stem(name);
        // Of what is shaded in, the version is another than the archive's own.
        let single = matches!(&coordinates[..], [(_, _, version)] if agrees(version, manifest));
        let is_main = |artifact: &str| {
            single
                || stem == artifact
                || stem.strip_prefix(artifact).is_some_and(|rest| rest.starts_with('-'))
        };
        // With `a` and `a-b` inside `a-b-1.jar`, the longer name is the archive's own.
        let main = coordinates
            .iter()
            .filter(|(_, artifact, _)| is_main(artifact))
            .max_by_key(|(_, artifact, _)| artifact.len())
            .cloned();
        let own = match &main {
            Some((group, artifact, version)) => {
                Some((format!("{group}:{artifact}"), version.clone()))
            }
            None => from_repository(name).or_else(|| from_manifest(stem, manifest)),
        };
        let is_guess = main.is_none() && from_repository(name).is_none();
        if let Some((name, version)) = own {
            let mut package = Package {
                version: Some(version),
                is_guess,
                supplier: VENDORS
                    .iter()
                    .find_map(|key| manifest.get(*key))
                    .and_then(|vendor| Supplier::organization(vendor)),
                licence: manifest
                    .get("Bundle-License")
                    .map_or(Licence::Unknown, |licence| bundle_licence(licence)),
                ..Package::named(Ecosystem::Maven, name)
            };
            package.add_checksum(Algorithm::Sha1, checksum);
            self.push(package);
        }
        for (group, artifact, version) in
            coordinates.into_iter().filter(|shaded| Some(shaded) != main.as_ref())
        {
            self.push(Package {
                version: Some(version),
                ..Package::named(Ecosystem::Maven, format!("{group}:{artifact}"))
            });
        }
    }

    fn push(&mut self, package: Package) {
        if self.facts.packages.len() < MOST_PACKAGES {
            self.facts.packages.push(Found::alone(package, self.path));
        }
    }
}

/// SHA-1 of the archive as it is, by which Maven Central is searched.
fn checksum(contents: &mut dyn Contents) -> io::Result<Option<String>> {
    if contents.seek(SeekFrom::End(0))? > LARGEST_SUMMED {
        return Ok(None);
    }
    contents.seek(SeekFrom::Start(0))?;
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match contents.read(&mut buffer)? {
            0 => return Ok(Some(hex::encode(context.finish()))),
            read => context.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}

fn is_coordinates(member: &str) -> bool {
    member.starts_with("META-INF/maven/") && member.ends_with("/pom.properties")
}

/// Group and artifact of `META-INF/maven/group/artifact/pom.xml`, by its place alone.
fn project(member: &str) -> Option<(&str, &str)> {
    let place = member.strip_prefix("META-INF/maven/")?.strip_suffix("/pom.xml")?;
    place.split_once('/').filter(|(group, artifact)| is_word(group) && is_word(artifact))
}

/// The project's `<organization><name>` in its `pom.xml`; that of a developer is plain text, and of
/// another kind.
fn organization(pom: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(pom);
    let name = text.split("<organization>").skip(1).find_map(|rest| {
        let inside = rest.split("</organization>").next()?;
        let (before, name) = inside.split_once("<name>")?;
        // Nothing but other elements may precede it.
        (!before.contains("<!--")).then(|| name.split("</name>").next()).flatten()
    })?;
    let plain = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    let name =
        plain.iter().fold(name.to_owned(), |name, (written, meant)| name.replace(written, meant));
    let words: Vec<&str> = name.split_whitespace().collect();
    Some(words.join(" "))
        .filter(|name| !name.is_empty() && name.len() <= 200 && !name.contains(['$', '<', '>']))
}

/// What a package is called whose archive is called so, and states no group.
pub fn guess(path: &str) -> &str {
    split_version(stem(path)).0
}

/// The archive's name without directories and suffix.
fn stem(name: &str) -> &str {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}

/// In a Maven repository the directories are group, artifact and version.
pub fn from_repository(name: &str) -> Option<(String, String)> {
    let (_, inside) =
        ["maven-repo/", ".m2/repository/"].iter().find_map(|root| name.split_once(root))?;
    let parts: Vec<&str> = inside.split('/').collect();
    match &parts[..] {
        [group @ .., artifact, version, file]
            if !group.is_empty() && stem(file) == format!("{artifact}-{version}") =>
        {
            Some((format!("{}:{artifact}", group.join(".")), (*version).to_owned()))
        }
        _ => None,
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 256
        && !text.contains(|letter: char| letter.is_whitespace() || "${}:/".contains(letter))
}

fn from_properties(text: &[u8]) -> Option<Coordinates> {
    let text = String::from_utf8_lossy(text);
    let value = |key: &str| {
        let mut pairs = text.lines().filter_map(|line| line.split_once(['=', ':']));
        pairs
            .find(|(name, _)| name.trim() == key)
            .map(|(_, value)| value.trim().to_owned())
            .filter(|value| is_word(value))
    };
    Some((value("groupId")?, value("artifactId")?, value("version")?))
}

/// The attributes before the first empty line; a line that starts with a blank continues the one
/// before.
fn main_attributes(text: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(text);
    let mut attributes: Vec<(String, String)> = Vec::new();
    for line in text.lines().take_while(|line| !line.is_empty()) {
        match (line.strip_prefix(' '), attributes.last_mut()) {
            (Some(more), Some((_, value))) => value.push_str(more),
            (Some(_), None) => {}
            (None, _) => attributes.extend(
                line.split_once(':')
                    .map(|(name, value)| (name.to_owned(), value.trim().to_owned())),
            ),
        }
    }
    attributes.into_iter().collect()
}

/// Without Maven's own files: the name from the file or the manifest, a group only where the
/// manifest states one.
fn from_manifest(stem: &str, manifest: &BTreeMap<String, String>) -> Option<(String, String)> {
    let value = |key: &str| {
        manifest
            .get(key)
            .map(|value| value.split(';').next().unwrap_or_default().trim())
            .filter(|value| is_word(value))
    };
    let (named, versioned) = split_version(stem);
    let version = versioned.or_else(|| {
        ["Implementation-Version", "Plugin-Version", "Bundle-Version", "Specification-Version"]
            .iter()
            .find_map(|key| value(key))
    })?;
    let name = value("Short-Name").unwrap_or(named);
    let told = || group_of_symbol(value("Bundle-SymbolicName")?, name);
    let of_module = || group_without_last(value("Automatic-Module-Name")?, name);
    let group =
        value(GROUP).or_else(told).or_else(|| value("Implementation-Vendor-Id")).or_else(of_module);
    // Eclipse names files by symbolic name, in which the group is not marked.
    is_word(name).then(|| {
        (group.map_or(name.to_owned(), |group| format!("{group}:{name}")), version.to_owned())
    })
}

/// The group in a symbolic name, which OSGi's tools make of group and artifact in one of these
/// ways. Of Apache Commons, old parts and new ones have like names and unlike groups, so none of
/// theirs is guessed.
fn group_of_symbol<'a>(symbol: &'a str, artifact: &str) -> Option<&'a str> {
    let joined = symbol.strip_suffix(artifact).and_then(|start| start.strip_suffix('.'));
    // `com.opencsv` is no artifact of a group `com`.
    let joined = joined.map(|group| if group.contains('.') { group } else { symbol });
    let joined =
        joined.filter(|group| *group != COMMONS).or_else(|| group_without_last(symbol, artifact));
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
fn group_without_last<'a>(symbol: &'a str, artifact: &str) -> Option<&'a str> {
    let dotted = artifact.replace(['-', '_'], ".");
    let plain = symbol.replace(['-', '_'], ".");
    let groups = symbol
        .match_indices('.')
        .filter_map(|(at, _)| symbol.get(..at))
        .filter(|group| group.contains('.') && *group != COMMONS);
    let is_written_once = |group: &&str| {
        let last = group.rsplit('.').next().unwrap_or_default();
        let rest = plain.get(group.len()..).unwrap_or_default();
        dotted.strip_prefix(last) == Some(rest)
    };
    // Names of modules need not start with a domain; groups do.
    groups
        .rev()
        .find(is_written_once)
        .filter(|group| group.find('.').is_some_and(|length| (2..=4).contains(&length)))
}

/// Whether a version can be that of the archive, by its manifest; `1.2` is `1.2.0` there. File
/// names have other numbers in them as well.
fn agrees(version: &str, manifest: &BTreeMap<String, String>) -> bool {
    let keys = ["Implementation-Version", "Plugin-Version", "Bundle-Version"];
    let stated: Vec<&str> =
        keys.iter().filter_map(|key| manifest.get(*key)).map(|value| value.trim()).collect();
    stated.is_empty()
        || stated.iter().any(|stated| stated.starts_with(version) || version.starts_with(stated))
}

/// `guava-31.1-jre` or, as Eclipse writes it, `org.eclipse.osgi_3.18.0`.
fn split_version(stem: &str) -> (&str, Option<&str>) {
    let starts = |at: &usize| stem[at + 1..].starts_with(|letter: char| letter.is_ascii_digit());
    let split = stem.match_indices(['-', '_']).map(|(at, _)| at).find(starts);
    split.map_or((stem, None), |at| (&stem[..at], Some(&stem[at + 1..])))
}

/// Often an address instead of a name.
fn bundle_licence(field: &str) -> Licence {
    let first = field.split([';', ',']).next().unwrap_or_default().trim().trim_matches('"');
    let address = first
        .trim_start_matches("https://")
        .trim_start_matches("http://")
        .trim_start_matches("www.");
    match address {
        "apache.org/licenses/LICENSE-2.0.txt"
        | "apache.org/licenses/LICENSE-2.0"
        | "apache.org/licenses/LICENSE-2.0.html" => Licence::Expression("Apache-2.0".into()),
        "opensource.org/licenses/MIT" | "opensource.org/licenses/mit-license.php" => {
            Licence::Expression("MIT".into())
        }
        "eclipse.org/legal/epl-2.0" | "eclipse.org/legal/epl-2.0/" => {
            Licence::Expression("EPL-2.0".into())
        }
        "" => Licence::Unknown,
        _ => Licence::from_field(field),
    }
}

#[cfg(test)]
mod tests;
