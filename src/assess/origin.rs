//! Findings and the layers of their image → who brought each: the base image, or which line of the
//! build's own file. Pure; where the layers of a package are not known, nobody is named.

use std::collections::BTreeMap;

use super::bases::BasedImage;
use crate::scan::findings::{Finding, ScanSubject, ecosystem};
use crate::scan::report::{FindingOrigin, ImageScan, ScannedBase};

/// Letters of a hash that tell layers of one image apart.
const ABBREVIATED: usize = 8;

/// Names who brought the package of each finding.
pub fn tell(scan: &mut ImageScan, image: &BasedImage) {
    scan.base = image.base.name().map(|name| ScannedBase { name: name.to_owned(), newer: None });
    for judged in &mut scan.findings {
        judged.origin = origin(&judged.finding, image);
    }
}

/// Takes the layers of packages from a catalog of the layers, where the SBOM does not list them.
pub(super) fn with_layers(scan: &mut ImageScan, subjects: &[ScanSubject]) {
    let mut known: BTreeMap<(&str, &str, Option<&str>), &ScanSubject> = BTreeMap::new();
    for subject in subjects {
        known
            .insert((ecosystem(&subject.purl), &subject.name, subject.version.as_deref()), subject);
    }
    for judged in scan.findings.iter_mut().filter(|judged| judged.finding.layers.is_empty()) {
        let Finding { purl, name, version, layers, .. } = &mut judged.finding;
        let key = (ecosystem(purl), name.as_str(), Some(version.as_str()));
        if let Some(subject) = known.get(&key) {
            layers.clone_from(&subject.layers);
        }
    }
}

fn origin(finding: &Finding, image: &BasedImage) -> Option<FindingOrigin> {
    let places: Option<Vec<usize>> =
        finding.layers.iter().map(|layer| place(layer, image)).collect();
    let places = places.filter(|places| !places.is_empty())?;
    let count = image.base.count;
    let own = places.into_iter().find(|place| *place >= count);
    let line_of = |place: usize| {
        let digest = image.image.layers.get(place)?.digest.as_deref()?;
        image.lines.of_layer(digest).cloned()
    };
    match own {
        Some(place) => {
            let line = line_of(place);
            // Without a base that is known, only a line shows that the layer is the image's own.
            (image.base.named.is_some() || line.is_some())
                .then_some(FindingOrigin { is_base: false, line })
        }
        None => Some(FindingOrigin { is_base: true, line: line_of(count.checked_sub(1)?) }),
    }
}

/// The layer with this diffID, or with the one that these letters begin.
fn place(layer: &str, image: &BasedImage) -> Option<usize> {
    let hex = |name: &'_ str| name.strip_prefix("sha256:").unwrap_or(name).to_owned();
    let wanted = hex(layer);
    if wanted.len() < ABBREVIATED {
        return None;
    }
    image.image.layers.iter().position(|layer| hex(&layer.diff_id).starts_with(&wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assess::bases::{BaseLayers, sample};
    use crate::provenance::BuildLines;
    use crate::scan::report::SourceLine;
    use crate::scan::sample::{self as scans, finding};
    use crate::scan::severity::SeverityLevel;

    /// Two layers of a base image, and one above.
    fn image(is_known: bool) -> BasedImage {
        let names = ["a", "b", "c"].map(|name| name.repeat(64));
        let mut image = sample::image(&names.each_ref().map(String::as_str));
        for (layer, name) in image.layers.iter_mut().zip(&names) {
            layer.diff_id = format!("sha256:{name}");
        }
        let base = match is_known {
            true => BaseLayers { count: 2, named: Some(sample::debian()), ..BaseLayers::default() },
            false => BaseLayers::default(),
        };
        let at = |line| SourceLine { path: "Dockerfile".to_owned(), line };
        let lines = BuildLines::of([
            (format!("sha256:{}", names[1]), at(1)),
            (format!("sha256:{}", names[2]), at(4)),
        ]);
        BasedImage { platform: String::new(), image, base, lines }
    }

    fn told(image: &BasedImage, layers: &[&str]) -> Option<(bool, Option<u32>)> {
        let mut found = finding("CVE-1", "zlib1g", "amd64", SeverityLevel::High);
        found.layers = layers.iter().map(|layer| (*layer).to_owned()).collect();
        origin(&found, image).map(|origin| (origin.is_base, origin.line.map(|line| line.line)))
    }

    #[test]
    fn a_package_is_the_base_images_where_all_its_layers_are() {
        let of = |letter: &str| format!("sha256:{}", letter.repeat(64));
        let [lowest, highest, own] = ["a", "b", "c"].map(of);
        let image = image(true);
        assert_eq!(told(&image, &[&lowest]), Some((true, Some(1))));
        assert_eq!(told(&image, &[&highest]), Some((true, Some(1))));
        assert_eq!(told(&image, &[&own]), Some((false, Some(4))));
        assert_eq!(told(&image, &[&lowest, &own]), Some((false, Some(4))));
        assert_eq!(told(&image, &["cccccccccccc"]), Some((false, Some(4))), "as SBOMs shorten it");
        for unknown in
            [&[][..], &["cccc"], &["sha256:dddddddddddd"], &[lowest.as_str(), "dddddddd"]]
        {
            assert_eq!(told(&image, unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn without_a_base_only_a_line_shows_whose_it_is() {
        let image = image(false);
        assert_eq!(told(&image, &["cccccccccccc"]), Some((false, Some(4))));
        assert_eq!(told(&image, &["aaaaaaaaaaaa"]), None);
    }

    #[test]
    fn layers_come_from_a_catalog_where_the_document_has_none() {
        let mut scan = scans::scan("amd64");
        scan.findings.iter_mut().for_each(|judged| judged.finding.layers.clear());
        let of = |purl: &str, layer: &str| ScanSubject {
            purl: purl.to_owned(),
            name: "zlib1g".to_owned(),
            version: Some("1.0-1".to_owned()),
            layers: [layer.to_owned()].into(),
            ..ScanSubject::default()
        };
        let deb = of("pkg:deb/debian/zlib1g@1.0-1?arch=amd64", "sha256:1");
        // The same name and version mean something else there.
        with_layers(&mut scan, &[of("pkg:npm/zlib1g@1.0-1", "sha256:2")]);
        assert!(scan.findings.iter().all(|judged| judged.finding.layers.is_empty()));
        with_layers(&mut scan, &[deb, of("pkg:npm/zlib1g@1.0-1", "sha256:2")]);
        for judged in &scan.findings {
            let expected = usize::from(judged.finding.name == "zlib1g");
            assert_eq!(judged.finding.layers.len(), expected, "{}", judged.finding.name);
            assert!(judged.finding.layers.iter().all(|layer| layer == "sha256:1"));
        }
    }
}
