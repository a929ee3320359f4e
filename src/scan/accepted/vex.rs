//! OpenVEX documents → statements, and which findings each is about. It believes none that gives no
//! time, and no `not_affected` that gives no justification.
//!
//! Specification: <https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md>.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Deserialize;

use super::{matches, plain};
use crate::scan::findings::Finding;

/// What the image is called in statements about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Product {
    /// Such as `pkg:oci/app@sha256%3A…?repository_url=ghcr.io%2Forg%2Fapp`.
    pub purls: Vec<String>,
    /// Other ids that people write, such as `ghcr.io/org/app`.
    pub names: Vec<String>,
}

/// What an author says about a vulnerability of products.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VexStatement {
    pub ids: BTreeSet<String>,
    products: Vec<VulnerabilityName>,
    pub status: Status,
    pub time: Timestamp,
    pub author: String,
    /// The file that has it, and which statement of it.
    pub place: String,
}

/// The status of a statement with what it must have beside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    NotAffected { justification: Option<String>, impact: Option<String> },
    Affected,
    Fixed,
    UnderInvestigation,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct VulnerabilityName {
    product: String,
    subcomponents: Vec<String>,
}

#[derive(Deserialize)]
struct VexDocument {
    #[serde(rename = "@context")]
    context: String,
    author: String,
    timestamp: Option<String>,
    last_updated: Option<String>,
    statements: Vec<WrittenProducts>,
}

#[derive(Deserialize)]
struct WrittenProducts {
    vulnerability: Vulnerability,
    timestamp: Option<String>,
    last_updated: Option<String>,
    #[serde(default)]
    products: Vec<VexComponent>,
    #[serde(default)]
    subcomponents: Vec<VexComponent>,
    status: String,
    justification: Option<String>,
    impact_statement: Option<String>,
}

/// A text in the oldest documents.
#[derive(Deserialize)]
#[serde(untagged)]
enum Vulnerability {
    Name(String),
    Named {
        name: String,
        #[serde(default)]
        aliases: Vec<String>,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum VexComponent {
    Id(String),
    Described(DescribedVulnerability),
}

#[derive(Deserialize)]
struct DescribedVulnerability {
    #[serde(rename = "@id")]
    id: Option<String>,
    #[serde(default)]
    identifiers: Identifiers,
    #[serde(default)]
    subcomponents: Vec<VexComponent>,
}

#[derive(Default, Deserialize)]
struct Identifiers {
    purl: Option<String>,
}

const MOST_BYTES: usize = 16 << 20;

const JUSTIFICATIONS: [&str; 5] = [
    "component_not_present",
    "inline_mitigations_already_exist",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_not_present",
];

pub(super) fn read(file: &str, json: &[u8]) -> Result<Vec<VexStatement>, String> {
    if json.len() > MOST_BYTES {
        return Err(format!("it has more than {MOST_BYTES} bytes"));
    }
    let document: VexDocument =
        serde_json::from_slice(json).map_err(|error| plain(&error.to_string()))?;
    if !document.context.starts_with(crate::evidence::OPENVEX) {
        return Err(format!("`{}` is not OpenVEX", plain(&document.context)));
    }
    if document.author.trim().is_empty() {
        return Err("it names no author".to_owned());
    }
    let of_document = document.last_updated.or(document.timestamp);
    let mut statements = Vec::new();
    for (at, written) in document.statements.into_iter().enumerate() {
        let at = format!("statement {}", at + 1);
        let bad = |reason: String| format!("{at}: {reason}");
        let time = written.last_updated.as_ref().or(written.timestamp.as_ref());
        let time = time.or(of_document.as_ref()).ok_or_else(|| bad("it gives no time".into()))?;
        let time: Timestamp =
            time.parse().map_err(|_| bad(format!("`{}` is not a time", plain(time))))?;
        let status = status(&written).map_err(bad)?;
        let bad = |reason: &str| format!("{at}: {reason}");
        let ids = match written.vulnerability {
            Vulnerability::Name(name) => BTreeSet::from([name]),
            Vulnerability::Named { name, aliases } => {
                std::iter::once(name).chain(aliases).collect()
            }
        };
        let common = written.subcomponents.into_iter().filter_map(VexComponent::id);
        let common: Vec<String> = common.collect();
        let products: Vec<VulnerabilityName> =
            written.products.into_iter().filter_map(|product| product.about(&common)).collect();
        if products.is_empty() {
            return Err(bad("it names no product"));
        }
        statements.push(VexStatement {
            ids,
            products,
            status,
            time,
            author: document.author.clone(),
            place: format!("{file}:{at}"),
        });
    }
    Ok(statements)
}

fn status(written: &WrittenProducts) -> Result<Status, String> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    Ok(match written.status.as_str() {
        "affected" => Status::Affected,
        "fixed" => Status::Fixed,
        "under_investigation" => Status::UnderInvestigation,
        "not_affected" => {
            let (justification, impact) =
                (given(&written.justification), given(&written.impact_statement));
            if justification.is_none() && impact.is_none() {
                return Err("`not_affected` has neither justification nor impact".to_owned());
            }
            if let Some(other) = justification.as_deref().filter(|it| !JUSTIFICATIONS.contains(it))
            {
                return Err(format!("`{}` is not a justification", plain(other)));
            }
            Status::NotAffected { justification, impact }
        }
        other => return Err(format!("`{}` is not a status", plain(other))),
    })
}

impl VexComponent {
    fn id(self) -> Option<String> {
        match self {
            Self::Id(id) => Some(id),
            Self::Described(described) => described.identifiers.purl.or(described.id),
        }
    }

    fn about(self, common: &[String]) -> Option<VulnerabilityName> {
        let subcomponents = match &self {
            Self::Id(_) => Vec::new(),
            Self::Described(_) => common.to_vec(),
        };
        match self {
            Self::Id(product) => {
                Some(VulnerabilityName { product, subcomponents: common.to_vec() })
            }
            Self::Described(described) => {
                let product = described.identifiers.purl.or(described.id)?;
                let own = described.subcomponents.into_iter().filter_map(Self::id);
                Some(VulnerabilityName {
                    product,
                    subcomponents: own.chain(subcomponents).collect(),
                })
            }
        }
    }
}

impl VexStatement {
    pub(super) fn is_about(&self, finding: &Finding, image: &Product) -> bool {
        self.ids.iter().any(|id| finding.ids.contains(id))
            && self.products.iter().any(|about| about.has(finding, image))
    }
}

impl VulnerabilityName {
    /// The image with this package in it, or the package itself.
    fn has(&self, finding: &Finding, image: &Product) -> bool {
        let is_image = image.names.contains(&self.product)
            || image.purls.iter().any(|purl| matches(&self.product, purl));
        let names = |purl: &String| matches(purl, &finding.purl);
        match self.subcomponents.is_empty() {
            true => is_image || names(&self.product),
            false => is_image && self.subcomponents.iter().any(names),
        }
    }
}
