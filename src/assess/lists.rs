//! Terms → what is accepted and what is exploited, read before anything is scanned. A file that
//! cannot be followed to the letter is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{ScanTerms, TermsAuthor};
use crate::advisories::epss::{self, Scores};
use crate::advisories::feed;
use crate::advisories::kev::{self, Catalogue};
use crate::advisories::place::AdvisoryPlace;
use crate::error::{WithExit, exit, with_hint};
use crate::github::network::Network;
use crate::scan::accepted::AcceptedRisks;
use crate::scan::exploited::{Exploited, Kev};
use crate::scan::record::AdvisoryRecord;
use crate::scan::records::AdvisoryRecords;

/// No file of accepted risks is larger.
const LARGEST: usize = 16 << 20;

/// What was handed over beside the image.
pub(super) struct HandedLists {
    pub(super) accepted: AcceptedRisks,
    kev: BTreeMap<String, Kev>,
    /// The scores, to be searched for what is found.
    epss: Option<(AdvisoryPlace, Vec<u8>)>,
}

pub(super) async fn read(terms: &ScanTerms, network: &Network) -> anyhow::Result<HandedLists> {
    let accepted = accepted(&terms.ignore_files, terms.asker)?;
    let mut lists = HandedLists { accepted, kev: BTreeMap::new(), epss: None };
    let http = network.client()?;
    let bytes = async |name: &str, given: &AdvisoryPlace, limit: usize| {
        let bytes = feed::bytes(given, limit, &http, &network.plain).await;
        bytes
            .map_err(|error| wrong(format!("{}: {error}", terms.asker.named(name))))
            .map_err(|error| unread_list(error, given, terms.asker))
    };
    for given in &terms.vex {
        let document = bytes("vex", given, LARGEST).await?;
        lists.accepted.add_openvex(&given.to_string(), &document).map_err(wrong)?;
    }
    if let Some(given) = &terms.kev {
        let catalogue = Catalogue::of(&bytes("kev", given, kev::LARGEST).await?);
        lists.kev = catalogue
            .map_err(|error| wrong(format!("{}: {error}", terms.asker.named("kev"))))?
            .by_cve;
    }
    if let Some(given) = &terms.epss {
        let named = terms.asker.named("epss");
        let bytes = bytes("epss", given, epss::LARGEST).await?;
        Scores::of(&bytes, &BTreeSet::new())
            .map_err(|error| wrong(format!("{named}: `{given}`: {error}")))?;
        lists.epss = Some((given.clone(), bytes));
    }
    Ok(lists)
}

impl HandedLists {
    /// What they say of the flaws that these records are about.
    pub(super) fn exploited(
        &self,
        records: &AdvisoryRecords,
        asker: TermsAuthor,
    ) -> anyhow::Result<Exploited> {
        let mut exploited = Exploited::default();
        exploited.add_kev(self.kev.iter().map(|(cve, entry)| (cve.clone(), *entry)));
        if let Some((given, bytes)) = &self.epss {
            let ids = |record: &AdvisoryRecord| {
                let others = [&record.aliases, &record.upstream, &record.related];
                let others: Vec<String> = others.into_iter().flatten().cloned().collect();
                std::iter::once(record.id.clone()).chain(others)
            };
            let wanted: BTreeSet<String> = records.iter().flat_map(ids).collect();
            let scores = Scores::of(bytes, &wanted)
                .map_err(|error| wrong(format!("{}: `{given}`: {error}", asker.named("epss"))))?;
            exploited.add_epss(scores.by_cve);
        }
        Ok(exploited)
    }
}

/// All that is accepted by files of ours and by those of other scanners.
pub fn accepted(files: &[PathBuf], asker: TermsAuthor) -> anyhow::Result<AcceptedRisks> {
    let mut accepted = AcceptedRisks::default();
    for file in files {
        add(&mut accepted, file, asker)?;
    }
    Ok(accepted)
}

/// By the name that its own program looks for; any other is ours.
fn add(accepted: &mut AcceptedRisks, file: &Path, asker: TermsAuthor) -> anyhow::Result<()> {
    let (text, shown) = (text(file, asker)?, file.display().to_string());
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    match name.as_str() {
        ".trivyignore" => accepted.add_trivyignore(&shown, &text),
        ".grype.yaml" | ".grype.yml" | "grype.yaml" => accepted.add_grype(&shown, &text),
        "osv-scanner.toml" => accepted.add_osv_scanner(&shown, &text),
        _ => accepted.add_ignores(&shown, &text),
    }
    .map_err(wrong)
}

fn wrong(error: impl std::fmt::Display) -> anyhow::Error {
    WithExit { code: exit::BAD_INPUT, message: error.to_string() }.into()
}

/// An action reads the workspace, which is empty before a checkout.
pub(super) fn unread(error: anyhow::Error, file: &Path, asker: TermsAuthor) -> anyhow::Error {
    const NO_CHECKOUT: &str =
        "run `actions/checkout` before this step: it is read from the workspace";
    match asker {
        TermsAuthor::Action if !file.exists() => with_hint(error, NO_CHECKOUT),
        _ => error,
    }
}

/// The same of a file or an address.
fn unread_list(error: anyhow::Error, given: &AdvisoryPlace, asker: TermsAuthor) -> anyhow::Error {
    match given {
        AdvisoryPlace::Address(_) => error,
        AdvisoryPlace::Path(path) => unread(error, path, asker),
    }
}

fn bytes(file: &Path, asker: TermsAuthor) -> anyhow::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let read = std::fs::File::open(file)
        .and_then(|opened| opened.take(LARGEST as u64 + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() > LARGEST => {
            Err(wrong(format!("`{}` is larger than {LARGEST} bytes", file.display())))
        }
        Ok(_) => Ok(bytes),
        Err(error) => {
            let error = wrong(format!("`{}` cannot be read: {error}", file.display()));
            Err(unread(error, file, asker))
        }
    }
}

fn text(file: &Path, asker: TermsAuthor) -> anyhow::Result<String> {
    let not_utf8 = |_| wrong(format!("`{}` is not UTF-8", file.display()));
    String::from_utf8(bytes(file, asker)?).map_err(not_utf8)
}
