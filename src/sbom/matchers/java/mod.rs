//! Java packages, from archives and the archives inside them. It reads what builds wrote down and
//! the names of members, and never looks into classes.

use std::cell::RefCell;
use std::io::{self, Cursor, SeekFrom};

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

use super::zip::{Problem, ZipMember, bytes, members};
use super::{FileFacts, MOST_PACKAGES, has_suffix, parent};
use crate::sbom::licence::Licence;
use crate::sbom::package::{Algorithm, Ecosystem, FoundPackage, Package, PackageNeed, Supplier};
use crate::sbom::source::FileContents;
use group::ClassDirectories;
use text::{Coordinates, JarManifest, from_project, from_properties, is_word, organization};

mod group;
pub mod module;
mod needs;
mod places;
mod text;

const SUFFIXES: [&str; 13] = [
    ".jar", ".war", ".ear", ".par", ".sar", ".nar", ".jpi", ".hpi", ".kar", ".lpkg", ".rar",
    ".far", ".zap",
];
/// What other programs call archives of their own.
const SHARED: [&str; 3] = [".rar", ".far", ".zap"];
const MANIFEST: &str = "META-INF/MANIFEST.MF";
/// The manifest attributes that state who made the archive.
const VENDORS: [&str; 2] = ["implementation-vendor", "bundle-vendor"];

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
/// More than a thousand archives in one have; beyond it they are not told.
const MOST_NEEDS: usize = 100_000;

pub fn is_archive(path: &str) -> bool {
    SUFFIXES.iter().any(|suffix| has_suffix(path, suffix))
}

pub(super) fn read(path: &str, contents: &mut dyn FileContents) -> io::Result<FileFacts> {
    let mut walk = Walk { path, facts: FileFacts::default(), left: MOST_INFLATED, needs: 0 };
    walk.archive(path, contents, 0)?;
    // What is in one archive is loaded together; an archive with nothing inside, with those beside.
    if let [only] = &mut walk.facts.packages[..] {
        parent(path).clone_into(&mut only.scope);
    }
    Ok(walk.facts)
}

struct Walk<'a> {
    path: &'a str,
    facts: FileFacts,
    left: u64,
    /// How many needs were noted.
    needs: usize,
}

/// What an archive says of itself.
#[derive(Default)]
struct ArchiveFacts {
    manifest: JarManifest,
    coordinates: Vec<Coordinates>,
    /// The place of each project's `pom.xml`: group, artifact and the member.
    projects: Vec<(String, String, ZipMember)>,
    packages: ClassDirectories,
    vendor: Option<String>,
    checksum: Option<String>,
    /// What the project needs, as names of packages.
    needs: Vec<String>,
}

impl Walk<'_> {
    /// `name` is the path of the outermost archive and of those inside, joined by `!/`.
    fn archive(
        &mut self,
        name: &str,
        contents: &mut dyn FileContents,
        depth: usize,
    ) -> io::Result<()> {
        let packages = RefCell::new(ClassDirectories::default());
        let wanted = |member: &str| {
            packages.borrow_mut().add(member);
            member == MANIFEST
                || of_maven(member, "pom.properties").is_some()
                || of_maven(member, "pom.xml").is_some()
                || is_archive(member)
        };
        let found = match members(contents, MOST_MEMBERS, &wanted)? {
            Ok(found) => found,
            Err(Problem::NoArchive) if SHARED.iter().any(|it| name.ends_with(it)) => return Ok(()),
            Err(problem) => {
                self.untold(name, &problem);
                return Ok(());
            }
        };
        let mut told = ArchiveFacts { packages: packages.into_inner(), ..ArchiveFacts::default() };
        let (inner, texts): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|member| is_archive(&member.name));
        for member in texts {
            if let Some((group, artifact)) = of_maven(&member.name, "pom.xml") {
                let (group, artifact) = (group.to_owned(), artifact.to_owned());
                told.projects.push((group, artifact, member));
                continue;
            }
            match self.inflated(contents, &member, LARGEST_TEXT)? {
                Ok(text) if member.name == MANIFEST => told.manifest = JarManifest::parse(&text),
                Ok(text) => told.coordinates.extend(from_properties(&text)),
                Err(problem) => self.untold(&format!("{name}!/{}", member.name), &problem),
            }
        }
        told.coordinates.sort();
        told.coordinates.dedup();
        told.checksum = checksum(contents)?;
        self.project(name, contents, &mut told)?;
        self.packages(name, told);
        self.inner(name, contents, inner, depth)
    }

    /// Without its properties, a project's `pom.xml` still tells what the archive is.
    fn project(
        &mut self,
        name: &str,
        contents: &mut dyn FileContents,
        told: &mut ArchiveFacts,
    ) -> io::Result<()> {
        let stem = places::stem(name);
        let (artifact, version) = places::split(stem, &told.manifest.versions());
        let is_own = |(_, other, _): &&(String, String, ZipMember)| other == artifact;
        let only = told.projects.first().filter(|_| {
            told.projects.len() == 1 && told.coordinates.is_empty() && version.is_none()
        });
        let Some((group, own, member)) = told.projects.iter().find(is_own).or(only) else {
            return Ok(());
        };
        // Damage of the archive shows elsewhere; this is a detail.
        let text = self.inflated(contents, member, LARGEST_TEXT)?.unwrap_or_default();
        told.vendor = organization(&text);
        told.needs = needs::of_project(&text, group);
        if told.coordinates.iter().any(|(_, known, _)| known == own) {
            return Ok(());
        }
        let stated = from_project(&text).map(|(_, _, version)| version);
        let version = version.map(str::to_owned).or(stated);
        let version =
            version.or_else(|| told.manifest.versions().first().map(|&version| version.to_owned()));
        told.coordinates.extend(version.map(|version| (group.clone(), own.clone(), version)));
        Ok(())
    }

    fn inner(
        &mut self,
        name: &str,
        contents: &mut dyn FileContents,
        inner: Vec<ZipMember>,
        depth: usize,
    ) -> io::Result<()> {
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
        contents: &mut dyn FileContents,
        member: &ZipMember,
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

    fn packages(&mut self, name: &str, told: ArchiveFacts) {
        let main = main(name, &told);
        let place = places::coordinates(name).or_else(|| match main {
            Some(_) => None,
            None => places::in_quarkus(name, &told.manifest.versions()),
        });
        let is_guess = main.is_none() && place.is_none();
        let own = match (&place, &main) {
            (Some((group, artifact, version)), _) => {
                Some((format!("{group}:{artifact}"), version.clone()))
            }
            (None, Some((group, artifact, version))) => {
                Some((format!("{group}:{artifact}"), whole_version(name, artifact, version)))
            }
            (None, None) => from_manifest(places::stem(name), &told),
        };
        if let Some((name, version)) = own {
            let stated = VENDORS.iter().find_map(|key| told.manifest.get(key));
            let mut package = Package {
                version: Some(version),
                is_guess,
                supplier: stated.or(told.vendor.as_deref()).and_then(Supplier::organization),
                licence: told
                    .manifest
                    .get("bundle-license")
                    .map_or(Licence::Unknown, bundle_licence),
                ..Package::named(Ecosystem::Maven, name)
            };
            package.add_checksum(Algorithm::Sha1, told.checksum.as_deref());
            let needs = told.needs.into_iter().map(|name| vec![PackageNeed::named(name)]);
            self.push(package, needs.collect());
        }
        let shaded = told.coordinates.into_iter().filter(|shaded| Some(shaded) != main.as_ref());
        for (group, artifact, version) in shaded {
            let name = format!("{group}:{artifact}");
            let shaded =
                Package { version: Some(version), ..Package::named(Ecosystem::Maven, name) };
            self.push(shaded, Vec::new());
        }
    }

    fn bounded(&mut self, requires: Vec<Vec<PackageNeed>>) -> Vec<Vec<PackageNeed>> {
        let before = self.needs;
        self.needs += requires.len();
        if self.needs <= MOST_NEEDS {
            return requires;
        }
        if before <= MOST_NEEDS {
            let path = self.path;
            self.facts.warn(format!("not all of what the archives in `{path}` need is listed"));
        }
        Vec::new()
    }

    fn push(&mut self, package: Package, requires: Vec<Vec<PackageNeed>>) {
        if self.facts.packages.len() < MOST_PACKAGES {
            let requires = self.bounded(requires);
            let found = FoundPackage { requires, ..FoundPackage::alone(package, self.path) };
            self.facts.packages.push(found);
        }
    }
}

/// SHA-1 of the archive as it is, by which Maven Central is searched.
fn checksum(contents: &mut dyn FileContents) -> io::Result<Option<String>> {
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

/// Group and artifact of `META-INF/maven/group/artifact/FILE`, by its place alone; an application
/// has its own beside its classes.
fn of_maven<'a>(member: &'a str, file: &str) -> Option<(&'a str, &'a str)> {
    let place = ["", "WEB-INF/classes/", "BOOT-INF/classes/"]
        .iter()
        .find_map(|above| member.strip_prefix(above)?.strip_prefix("META-INF/maven/"))?;
    let (group, artifact) = place.strip_suffix(file)?.strip_suffix('/')?.split_once('/')?;
    (is_word(group) && is_word(artifact)).then_some((group, artifact))
}

/// What a package is called whose archive is called so, and states no group.
pub fn guess(path: &str) -> &str {
    places::split(places::stem(path), &[]).0
}

/// Group and artifact joined by a colon, and the version, for an archive in a repository.
pub fn from_repository(name: &str) -> Option<(String, String)> {
    let (group, artifact, version) = places::coordinates(name)?;
    Some((format!("{group}:{artifact}"), version))
}

/// Of the coordinates in an archive, those of the archive itself.
fn main(name: &str, told: &ArchiveFacts) -> Option<Coordinates> {
    let stem = places::stem(name);
    let (named, versioned) = places::split(stem, &told.manifest.versions());
    let exact = |(_, artifact, _): &&Coordinates| artifact == named;
    if let Some(exact) = told.coordinates.iter().find(exact) {
        return Some(exact.clone());
    }
    // Of what is shaded in, the version is another than the archive's own, unless the file was
    // given a name of somebody's choice.
    let single = match &told.coordinates[..] {
        [(_, _, version)] => {
            let fits = |versioned: &str| {
                versioned.starts_with(version.as_str()) || version.starts_with(versioned)
            };
            let is_known =
                || group::group(named, versioned, &told.manifest, &told.packages).is_some();
            agrees(version, &told.manifest) && (versioned.is_none_or(fits) || !is_known())
        }
        _ => false,
    };
    let is_main = |artifact: &str| {
        single
            || stem == artifact
            || stem.strip_prefix(artifact).is_some_and(|rest| rest.starts_with('-'))
    };
    // With `a` and `a-b` inside `a-b-1.jar`, the longer name is the archive's own.
    let named = told.coordinates.iter().filter(|(_, artifact, _)| is_main(artifact));
    named.max_by_key(|(_, artifact, _)| artifact.len()).cloned()
}

/// `12.6.1.jre11` where the build wrote `12.6.1` and the file's name goes on.
fn whole_version(name: &str, artifact: &str, version: &str) -> String {
    let stem = places::stem(name);
    let versioned = stem.strip_prefix(artifact).and_then(|rest| rest.strip_prefix('-'));
    let longer = versioned.filter(|versioned| {
        versioned
            .strip_prefix(version)
            .is_some_and(|rest| rest.strip_prefix('.').is_some_and(|rest| rest.starts_with("jre")))
    });
    longer.unwrap_or(version).to_owned()
}

/// Without Maven's own files: artifact and version from the file's name and the manifest.
fn from_manifest(stem: &str, told: &ArchiveFacts) -> Option<(String, String)> {
    let stated = told.manifest.versions();
    let (named, versioned) = places::split(stem, &stated);
    let version = versioned
        .or_else(|| stated.first().copied())
        .or_else(|| told.manifest.word("specification-version"))?;
    let name = told.manifest.word("short-name").unwrap_or(named);
    if !is_word(name) {
        return None;
    }
    // Eclipse names files by symbolic name, in which the group is not marked.
    let group = group::group(name, Some(version), &told.manifest, &told.packages);
    let name = group.map_or(name.to_owned(), |group| format!("{group}:{name}"));
    Some((name, version.to_owned()))
}

/// Whether a version can be that of the archive, by its manifest; `1.2` is `1.2.0` there. File
/// names have other numbers in them as well.
fn agrees(version: &str, manifest: &JarManifest) -> bool {
    let stated = manifest.versions();
    stated.is_empty()
        || stated.iter().any(|stated| stated.starts_with(version) || version.starts_with(stated))
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
