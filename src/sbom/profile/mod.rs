//! What others demand of an SBOM, and what of it a document does not state: a count for each field.
//! It judges what is written down and asks nobody whether it is true.

use std::collections::BTreeSet;

use super::foreign::{self, ForeignError, ForeignFormat};

mod cyclonedx;
mod spdx;

/// A list of fields that somebody demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// NTIA's minimum elements of 2021.
    Ntia,
    /// CISA's draft of August 2025, which is to replace them.
    Cisa2025Draft,
    /// BSI TR-03183-2 version 2.1.0, the required data fields of 5.2.1 and 5.2.2.
    Bsi21,
}

/// A field that a profile demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Element {
    /// The document is of a format and version that the profile takes.
    Format,
    Author,
    /// An address or a page of the author, by which one can ask.
    AuthorContact,
    Timestamp,
    Tool,
    /// Before, during or after the build.
    Context,
    Name,
    Version,
    Supplier,
    /// An address or a page of the component's creator.
    CreatorContact,
    Identifier,
    /// The component is in some relationship.
    Relationship,
    /// It is said what the component itself depends on, if only that this is nothing.
    Dependencies,
    /// It is said whether those are all.
    Completeness,
    Licence,
    /// The licence under which the component is passed on, as the document's author concluded it.
    DistributionLicence,
    Hash,
    /// SHA-512 of the deployable file.
    DeployableHash,
    Filename,
    Executable,
    Archive,
    Structured,
}

type Elements = BTreeSet<Element>;

/// What a document states.
#[derive(Debug, Default)]
struct Stated {
    document: Elements,
    components: Vec<(String, Elements)>,
}

/// What a profile demands and a document does not state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortfalls {
    pub profile: Profile,
    /// How many components were judged.
    pub components: usize,
    /// In the order of the profile; empty where nothing is missing.
    pub missing: Vec<Shortfall>,
}

/// One field that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortfall {
    pub element: Element,
    /// In how many components, or 1 for a field of the document.
    pub count: usize,
    /// Some of those components, in the document's order.
    pub examples: Vec<String>,
}

impl Profile {
    pub const ALL: [Self; 3] = [Self::Ntia, Self::Cisa2025Draft, Self::Bsi21];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ntia => "ntia",
            Self::Cisa2025Draft => "cisa-2025-draft",
            Self::Bsi21 => "bsi-2.1",
        }
    }

    /// Where its fields are described. Of CISA's draft that is a summary of its changes.
    pub fn described_at(self) -> &'static str {
        match self {
            Self::Ntia => {
                "https://www.ntia.gov/report/2021/minimum-elements-software-bill-materials-sbom"
            }
            Self::Cisa2025Draft => "https://sbomify.com/2025/08/23/cisa-minimum-elements",
            Self::Bsi21 => "https://bsi.bund.de/dok/TR-03183-en",
        }
    }

    fn of_document(self) -> &'static [Element] {
        match self {
            Self::Ntia => &[Element::Author, Element::Timestamp],
            Self::Cisa2025Draft => {
                &[Element::Author, Element::Timestamp, Element::Tool, Element::Context]
            }
            Self::Bsi21 => &[Element::Format, Element::AuthorContact, Element::Timestamp],
        }
    }

    fn of_component(self) -> &'static [Element] {
        match self {
            Self::Ntia => &[
                Element::Supplier,
                Element::Name,
                Element::Version,
                Element::Identifier,
                Element::Relationship,
            ],
            Self::Cisa2025Draft => &[
                Element::Supplier,
                Element::Name,
                Element::Version,
                Element::Identifier,
                Element::Hash,
                Element::Licence,
                Element::Relationship,
            ],
            Self::Bsi21 => &[
                Element::CreatorContact,
                Element::Name,
                Element::Version,
                Element::Filename,
                Element::Dependencies,
                Element::Completeness,
                Element::DistributionLicence,
                Element::DeployableHash,
                Element::Executable,
                Element::Archive,
                Element::Structured,
            ],
        }
    }
}

impl Element {
    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Format => "format and version",
            Self::Author => "author",
            Self::AuthorContact => "address of the author",
            Self::Timestamp => "time",
            Self::Tool => "tool",
            Self::Context => "generation context",
            Self::Name => "name",
            Self::Version => "version",
            Self::Supplier => "supplier",
            Self::CreatorContact => "address of the creator",
            Self::Identifier => "identifier",
            Self::Relationship => "relationship",
            Self::Dependencies => "dependencies",
            Self::Completeness => "completeness of dependencies",
            Self::Licence => "licence",
            Self::DistributionLicence => "distribution licence",
            Self::Hash => "hash",
            Self::DeployableHash => "SHA-512 of the deployable file",
            Self::Filename => "file name",
            Self::Executable => "executable property",
            Self::Archive => "archive property",
            Self::Structured => "structured property",
        }
    }
}

impl Shortfalls {
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty()
    }
}

/// Judges a document that holds together; an error says why it is none.
pub fn judge(document: &[u8], profile: Profile) -> Result<Shortfalls, ForeignError> {
    let stated = match foreign::check(document)? {
        ForeignFormat::Spdx => spdx::stated(document)?,
        ForeignFormat::CycloneDx => cyclonedx::stated(document)?,
    };
    let lacking = profile.of_document().iter().filter(|it| !stated.document.contains(it));
    let of_document =
        lacking.map(|element| Shortfall { element: *element, count: 1, examples: Vec::new() });
    let of_components = profile.of_component().iter().filter_map(|element| lack(&stated, *element));
    Ok(Shortfalls {
        profile,
        components: stated.components.len(),
        missing: of_document.chain(of_components).collect(),
    })
}

fn lack(stated: &Stated, element: Element) -> Option<Shortfall> {
    const MOST_EXAMPLES: usize = 5;
    let all = stated.components.iter();
    let lacking = all.filter(|(_, elements)| !elements.contains(&element));
    let names: Vec<&String> = lacking.map(|(name, _)| name).collect();
    let examples = names.iter().take(MOST_EXAMPLES).map(ToString::to_string).collect();
    (!names.is_empty()).then_some(Shortfall { element, count: names.len(), examples })
}

fn unreadable(error: serde_json::Error) -> ForeignError {
    ForeignError::Unreadable(error.to_string())
}

/// Whether a text says something: SPDX writes ignorance down.
fn is_said(text: &str) -> bool {
    !text.trim().is_empty() && !["NOASSERTION", "NONE", "UNKNOWN"].contains(&text.trim())
}

fn is_time(text: &str) -> bool {
    text.parse::<jiff::Timestamp>().is_ok()
}

/// A mail address, or a page.
fn is_contact(text: &str) -> bool {
    let has_host = |rest: &str| rest.contains('.') && !rest.contains(char::is_whitespace);
    let page = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    page.or_else(|| text.split_once('@').map(|(_, host)| host)).is_some_and(has_host)
}

#[cfg(test)]
mod tests;
