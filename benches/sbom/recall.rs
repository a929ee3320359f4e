//! Which packages one document has that the other lacks, and who is right. It takes nobody's word
//! for an extra package but that of its package manager, or of an SBOM that its package carries.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::{RECALL, RECALL_OF_MAVEN};

/// Packages as both sides can be compared: `type/namespace/name@version`, without qualifiers,
/// decoded.
pub(crate) struct Document {
    pub(crate) packages: usize,
    pub(crate) purls: BTreeSet<String>,
}

impl Document {
    pub(crate) fn of(spdx: &[u8]) -> Self {
        let document: Value = serde_json::from_slice(spdx).unwrap();
        let packages = document["packages"].as_array().unwrap();
        let references =
            packages.iter().filter_map(|package| package["externalRefs"].as_array()).flatten();
        let purls = references.filter(|reference| reference["referenceType"] == "purl");
        let purls = purls
            .filter_map(|reference| normalised(reference["referenceLocator"].as_str()?))
            .collect();
        // The image itself is none.
        Self { packages: packages.len() - 1, purls }
    }
}

/// A purl that both sides write alike; `None` without a version. The same package is written in two
/// ways by
/// - qualifiers and subpaths: `?arch=…&distro=…` are told differently,
/// - percent-encoding, which purls allow to differ,
/// - capitals and `_` in names of PyPI, which mean the same (PEP 503),
/// - a Java archive without a known group: syft repeats the artifact as its group, we leave the
///   group out.
fn normalised(purl: &str) -> Option<String> {
    let bare = purl.strip_prefix("pkg:")?.split(['?', '#']).next()?;
    let (name, version) = bare.rsplit_once('@').filter(|(name, _)| !name.is_empty())?;
    let (name, version) = (decoded(name), decoded(version));
    if matches!(version.as_str(), "" | "UNKNOWN" | "NOASSERTION") || name.starts_with("oci/") {
        return None;
    }
    let name = match name.split_once('/') {
        Some(("pypi", name)) => format!("pypi/{}", plain(name)),
        Some(("maven", path)) => match path.split_once('/') {
            Some((group, artifact)) if group == artifact => format!("maven/{artifact}"),
            _ => name,
        },
        _ => name,
    };
    Some(format!("{name}@{version}"))
}

/// PEP 503's name of a Python package.
fn plain(name: &str) -> String {
    name.to_lowercase()
        .split(['-', '_', '.'])
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = (first == b'%')
            .then(|| after.get(..2).and_then(|digits| hex::decode(digits).ok()))
            .flatten();
        bytes.push(digits.as_ref().map_or(first, |byte| byte[0]));
        rest = if digits.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn ecosystem(purl: &str) -> &str {
    purl.split('/').next().unwrap_or_default()
}

/// What package managers say is installed, by ecosystem: `name version` a line.
pub(crate) struct Truth(BTreeMap<String, BTreeSet<String>>);

impl Truth {
    pub(crate) fn of(folder: &Path) -> Self {
        let lists = std::fs::read_dir(folder).unwrap().map(|entry| {
            let entry = entry.unwrap();
            let kind = entry.file_name().into_string().unwrap();
            let text = std::fs::read_to_string(entry.path()).unwrap();
            let installed = text.lines().map(|line| {
                let (name, version) = line.split_once(' ').unwrap();
                match kind.as_str() {
                    "pypi" => format!("pypi/{}@{version}", plain(name)),
                    "deb" => format!("deb/debian/{name}@{version}"),
                    _ => format!("{kind}/{name}@{version}"),
                }
            });
            (kind.clone(), installed.collect())
        });
        Self(lists.collect())
    }
}

/// What the SBOMs list that Python packages carry (PEP 770), read here by nothing of the program.
pub(crate) fn carried(layout: &Path) -> BTreeSet<String> {
    let mut purls = BTreeSet::new();
    for blob in std::fs::read_dir(layout.join("blobs/sha256")).unwrap() {
        let file = std::fs::File::open(blob.unwrap().path()).unwrap();
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(file));
        // What is no compressed archive is no layer.
        for entry in tar.entries().into_iter().flatten().map_while(Result::ok) {
            let path = entry.path().unwrap().display().to_string();
            if path.contains(".dist-info/sboms/") && entry.header().entry_type().is_file() {
                let document: Value = serde_json::from_reader(entry).unwrap();
                components(&document["components"], &mut purls);
                components(
                    &Value::Array(vec![document["metadata"]["component"].clone()]),
                    &mut purls,
                );
            }
        }
    }
    purls
}

fn components(list: &Value, purls: &mut BTreeSet<String>) {
    for component in list.as_array().into_iter().flatten() {
        purls.extend(component["purl"].as_str().and_then(normalised));
        components(&component["components"], purls);
    }
}

/// Rows of `explained.tsv`: which side lacks what, how the same package is listed instead, and why.
/// `*` stands for anything.
pub(crate) struct Explained(Vec<Row>);

struct Row {
    side: &'static str,
    purl: &'static str,
    instead: &'static str,
}

impl Explained {
    pub(crate) fn table() -> Self {
        let rows = include_str!("explained.tsv")
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty());
        let rows = rows.map(|row| match row.split('\t').collect::<Vec<_>>()[..] {
            [side, purl, instead, reason] if !reason.is_empty() => Row { side, purl, instead },
            _ => panic!("`{row}` has no four cells"),
        });
        Self(rows.collect())
    }

    /// Whether what syft lists is not in the image, as its row shows.
    fn untrue(&self, purl: &str) -> bool {
        self.row("untrue", purl).is_some()
    }

    /// Whether what syft misnamed is in our document under the name that its row gives.
    fn renamed(&self, purl: &str, ours: &BTreeSet<String>) -> bool {
        let row = self.row("missed", purl).and_then(|row| self.0.get(row));
        row.is_some_and(|row| row.instead != "-" && ours.iter().any(|own| fits(row.instead, own)))
    }

    fn row(&self, side: &str, purl: &str) -> Option<usize> {
        self.0.iter().position(|row| row.side == side && fits(row.purl, purl))
    }
}

fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            (0..=text.len()).filter_map(|at| text.get(at..)).any(|text| fits(rest, text))
        }),
    }
}

/// Prints the comparison; gives the bars.
#[expect(clippy::too_many_lines, reason = "one comparison, group by group")]
pub(crate) fn judged(
    ours: &Document,
    syft: &Document,
    (truth, carried): (&Truth, &BTreeSet<String>),
    explained: &Explained,
) -> Vec<(bool, String)> {
    let mut bars = Vec::new();
    let mut used = BTreeSet::new();
    let kinds: BTreeSet<&str> =
        ours.purls.iter().chain(&syft.purls).map(|purl| ecosystem(purl)).collect();
    println!(
        "\n{:<12} {:>8} {:>8} {:>8} {:>8} {:>8} {:>10}",
        "purls", "ours", "syft", "missed", "renamed", "extra", "recall"
    );
    println!(
        "(renamed: of those missed, packages that we list by the name that their archive or repository states; see explained.tsv)"
    );
    let (mut unexplained, mut unconfirmed) = (Vec::new(), Vec::new());
    for kind in kinds {
        let of = |document: &Document| {
            document
                .purls
                .iter()
                .filter(|purl| ecosystem(purl) == kind)
                .cloned()
                .collect::<BTreeSet<String>>()
        };
        let (own, mut their) = (of(ours), of(syft));
        their.retain(|purl| own.contains(purl) || !explained.untrue(purl));
        let missed: Vec<&String> = their.difference(&own).collect();
        let extra: Vec<&String> = own.difference(&their).collect();
        let renamed = missed.iter().filter(|purl| explained.renamed(purl, &ours.purls)).count();
        let recall = if their.is_empty() {
            1.0
        } else {
            1.0 - (missed.len() - renamed) as f64 / their.len() as f64
        };
        let counts = [own.len(), their.len(), missed.len(), renamed, extra.len()]
            .map(|count| format!("{count:>8}"))
            .join(" ");
        println!("{kind:<12} {counts} {:>8.2} %", recall * 100.0);
        let bar = if kind == "maven" { RECALL_OF_MAVEN } else { RECALL };
        bars.push((
            recall >= bar,
            format!(
                "{kind}: {:.2} % of syft's purls; the bar is {} %",
                recall * 100.0,
                bar * 100.0
            ),
        ));
        let installed = truth.0.get(kind);
        for (side, purl) in missed
            .into_iter()
            .map(|purl| ("missed", purl))
            .chain(extra.into_iter().map(|purl| ("extra", purl)))
        {
            let is_known = || installed.is_some_and(|installed| installed.contains(purl));
            let confirmed = side == "extra" && (is_known() || carried.contains(purl));
            match explained.row(side, purl) {
                _ if confirmed => {}
                Some(row) => drop(used.insert(row)),
                None if side == "missed" => unexplained.push(purl.clone()),
                None => unconfirmed.push(purl.clone()),
            }
        }
        if let Some(installed) = installed {
            let absent: Vec<&String> = installed
                .iter()
                .filter(|purl| !own.contains(*purl) && explained.row("absent", purl).is_none())
                .collect();
            bars.push((
                absent.is_empty(),
                format!(
                    "{kind}: of {} installed none is absent{}",
                    installed.len(),
                    listed(&absent)
                ),
            ));
        }
    }
    let is_checked = |row: &Row| !["absent", "untrue"].contains(&row.side);
    for (number, row) in explained.0.iter().enumerate().filter(|(_, row)| is_checked(row)) {
        if !used.contains(&number) {
            println!(
                "explained.tsv explains {} `{}`, which is not so any more",
                row.side, row.purl
            );
        }
    }
    bars.push((
        unexplained.is_empty(),
        format!("every miss is explained{}", listed(&unexplained.iter().collect::<Vec<_>>())),
    ));
    bars.push((
        unconfirmed.is_empty(),
        format!("every extra is confirmed{}", listed(&unconfirmed.iter().collect::<Vec<_>>())),
    ));
    bars
}

fn listed(purls: &[&String]) -> String {
    if purls.is_empty() {
        String::new()
    } else {
        purls.iter().fold(", but:".to_owned(), |text, purl| format!("{text}\n    {purl}"))
    }
}
