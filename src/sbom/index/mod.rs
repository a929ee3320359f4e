//! The SBOMs of an image's platforms → one of its index: the image of each platform, what each
//! contains, and which document says more. Pure; it reads no image, and claims nothing that the
//! documents of the platforms do not.

mod cyclonedx;
mod spdx;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use serde_json::{Map, Value};

use super::foreign::{ForeignError, ForeignFormat};
use super::spdx::{legal, short_hash};

/// The image of one platform.
#[derive(Debug)]
pub struct IndexPart<'a> {
    /// Such as `linux/arm/v7`.
    pub platform: String,
    /// Of its manifest: `sha256:…`.
    pub digest: String,
    /// The SBOMs about it, to the byte, all in one format.
    pub documents: Vec<&'a str>,
}

/// How much is said of what the platforms contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexDetail {
    /// Of each package its name, version, purl, supplier and licence.
    Whole,
    /// Of each package its name, version and purl.
    Names,
    /// No package: which documents list them.
    References,
}

impl IndexDetail {
    /// The most first.
    pub const ALL: [Self; 3] = [Self::Whole, Self::Names, Self::References];
}

/// What an index is, and what the documents of its platforms say.
#[derive(Debug)]
pub struct DocumentedIndex {
    format: ForeignFormat,
    /// Such as `ghcr.io/owner/app`.
    name: String,
    digest: String,
    platforms: Vec<DocumentedPlatform>,
    /// When the newest of the documents was made.
    created: Option<jiff::Timestamp>,
    /// Licences that the documents define, by their name; `None` where two define one differently.
    licences: BTreeMap<String, Option<Value>>,
}

/// The image of one platform, and what its documents say.
#[derive(Debug)]
struct DocumentedPlatform {
    name: String,
    /// Fit for an identifier, and no other's.
    id: String,
    digest: String,
    /// In the words of the format.
    supplier: Option<Value>,
    documents: Vec<PlatformDocument>,
    packages: Vec<DocumentPackage>,
}

/// A document about the image of a platform.
#[derive(Debug)]
struct PlatformDocument {
    /// Fit for an identifier; platforms that share a document share it.
    id: String,
    /// Where other documents find it, if it says so: a namespace or a BOM-Link.
    address: Option<String>,
    sha1: String,
    sha256: String,
}

/// A package in the words of the format, without the name that its document gives it.
type DocumentPackage = Map<String, Value>;

/// What one document says.
#[derive(Debug, Default)]
struct SaidByDocument {
    name: Option<String>,
    address: Option<String>,
    created: Option<jiff::Timestamp>,
    /// Of the image.
    supplier: Option<Value>,
    packages: Vec<DocumentPackage>,
    licences: Vec<(String, Value)>,
}

/// The packages of all platforms, each once under its name in the document, and those of each
/// platform.
struct Contained<'a> {
    packages: BTreeMap<String, &'a DocumentPackage>,
    of: Vec<BTreeSet<String>>,
}

impl DocumentedIndex {
    /// Reads what the documents of the platforms say.
    pub fn read(
        format: ForeignFormat,
        name: &str,
        digest: &str,
        parts: &[IndexPart<'_>],
    ) -> Result<Self, ForeignError> {
        let mut index = Self {
            format,
            name: name.to_owned(),
            digest: digest.to_owned(),
            platforms: Vec::new(),
            created: None,
            licences: BTreeMap::new(),
        };
        for part in parts {
            let said = part.documents.iter().map(|text| match format {
                ForeignFormat::Spdx => spdx::read(text),
                ForeignFormat::CycloneDx => cyclonedx::read(text),
            });
            let said: Vec<SaidByDocument> = said.collect::<Result<_, _>>()?;
            index.add(part, said);
        }
        Ok(index)
    }

    fn add(&mut self, part: &IndexPart<'_>, said: Vec<SaidByDocument>) {
        let taken = |id: &str| self.platforms.iter().any(|platform| platform.id == id);
        let id = unused(&legal(&part.platform, 60), taken);
        let mut documents: Vec<PlatformDocument> = Vec::new();
        for (text, said) in part.documents.iter().zip(&said) {
            let sha1 = hash(&SHA1_FOR_LEGACY_USE_ONLY, text);
            if documents.iter().any(|known| known.sha1 == sha1) {
                continue;
            }
            let known = self.platforms.iter().flat_map(|platform| &platform.documents);
            let known = known.chain(&documents);
            let shared = known.clone().find(|known| known.sha1 == sha1);
            let id = match shared {
                Some(shared) => shared.id.clone(),
                None => unused(&id, |id| known.clone().any(|known| known.id == id)),
            };
            let address = said.address.clone();
            documents.push(PlatformDocument { id, address, sha1, sha256: hash(&SHA256, text) });
        }
        for (licence, text) in said.iter().flat_map(|said| &said.licences) {
            let known = self.licences.entry(licence.clone()).or_insert_with(|| Some(text.clone()));
            if known.as_ref().is_some_and(|known| known != text) {
                *known = None;
            }
        }
        self.created = self.created.max(said.iter().filter_map(|said| said.created).max());
        let (mut supplier, mut packages) = (None, Vec::new());
        for said in of_the_image(said) {
            supplier = supplier.or(said.supplier);
            packages.extend(said.packages);
        }
        let (name, digest) = (part.platform.clone(), part.digest.clone());
        self.platforms.push(DocumentedPlatform { name, id, digest, supplier, documents, packages });
    }

    /// The document as JSON text: the same bytes for the same facts.
    pub fn document(&self, detail: IndexDetail) -> String {
        match self.format {
            ForeignFormat::Spdx => spdx::document(self, detail),
            ForeignFormat::CycloneDx => cyclonedx::document(self, detail),
        }
    }

    /// Who supplies the images of all platforms.
    fn supplier(&self) -> Option<&Value> {
        let first = self.platforms.first()?.supplier.as_ref()?;
        let is_all = |platform: &DocumentedPlatform| platform.supplier.as_ref() == Some(first);
        self.platforms.iter().all(is_all).then_some(first)
    }

    /// The name of a package comes from what is said of it, so that equal ones of several
    /// platforms are one.
    fn contained<'a>(&self, packages: &'a [Vec<DocumentPackage>]) -> Contained<'a> {
        let mut contained = Contained { packages: BTreeMap::new(), of: Vec::new() };
        for packages in packages {
            let mut of = BTreeSet::new();
            for package in packages {
                let id = identifier(package);
                contained.packages.entry(id.clone()).or_insert(package);
                of.insert(id);
            }
            contained.of.push(of);
        }
        contained
    }

    /// What the document says of itself.
    fn remark(&self, detail: IndexDetail) -> String {
        const MORE: &str = "Each platform's own document, which is attested to the digest of its \
                            image, says more";
        match detail {
            IndexDetail::Whole => format!(
                "Lists the image of each platform, and the packages that it contains as the \
                 platform's own document lists them. {MORE}: checksums, files and dependencies."
            ),
            IndexDetail::Names => format!(
                "Lists the image of each platform, and of the packages that it contains names, \
                 versions and purls alone, since it would be too large with more. {MORE}."
            ),
            IndexDetail::References => {
                "Lists the image of each platform and none of the packages that \
                                   it contains, since it would be too large with them. Each \
                                   platform's own document, which is attested to the digest of \
                                   its image, lists them."
                    .to_owned()
            }
        }
    }
}

/// Of several documents about one platform the image's own: BuildKit calls that of the image `sbom`,
/// and what else it scanned, such as stages that the image does not contain, otherwise.
fn of_the_image(said: Vec<SaidByDocument>) -> Vec<SaidByDocument> {
    let is_images = |said: &&SaidByDocument| said.name.as_deref() == Some("sbom");
    let is_one = said.iter().filter(is_images).count() == 1;
    said.into_iter().filter(|said| !is_one || is_images(&said)).collect()
}

fn unused(id: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let numbered = (2_usize..).map(|number| format!("{id}-{number}"));
    let mut ids = std::iter::once(id.to_owned()).chain(numbered);
    ids.find(|id| !is_taken(id)).unwrap_or_default()
}

fn identifier(package: &DocumentPackage) -> String {
    let name = package.get("name").and_then(Value::as_str).unwrap_or_default();
    // A map of texts has always a text of its own.
    let text = serde_json::to_string(package).unwrap_or_default();
    format!("{}-{}", legal(name, 30), short_hash(&text, 16))
}

/// The members of these names, as they are.
fn only(package: &DocumentPackage, members: &[&str]) -> DocumentPackage {
    let member = |name: &&str| Some(((*name).to_owned(), package.get(*name)?.clone()));
    members.iter().filter_map(member).collect()
}

fn hash(algorithm: &'static Algorithm, text: &str) -> String {
    hex::encode(digest(algorithm, text.as_bytes()))
}
