//! The shared cases, each held to its right answer. They are read where they lie beside the
//! checkout, and nothing here needs them.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::catalog::Catalog;
use super::image;
use super::layers::{Blob, LayerBlobs, LayerReading, collect};
use super::licence::Licence;
use super::source::rootfs::Rootfs;
use super::spdx::DocumentSubject;
use super::{cyclonedx, foreign, spdx};

fn cases() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/cases/sbom");
    folder.is_dir().then_some(folder)
}

/// For each case, what it holds.
const RIGHT: &[(&str, &[&str])] = &[
    (
        "bitnami",
        &[
            "pkg:bitnami/geos@3.8.3?arch=amd64&distro=debian-12",
            "pkg:bitnami/postgresql@16.2.0-1?arch=amd64&distro=debian-12",
        ],
    ),
    ("chisel", &["pkg:deb/ubuntu/libssl3t64@3.0.13-0ubuntu3.4?arch=amd64&distro=ubuntu-24.04"]),
    ("dotnet", &["pkg:nuget/Newtonsoft.Json@13.0.1"]),
    ("erlang", &["pkg:otp/cowboy@2.10.0"]),
    ("gentoo", &["pkg:ebuild/net-misc/curl@8.6.0"]),
    (
        "jar-dot-root",
        &[
            "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1",
            "pkg:maven/org.x/y@1.0",
            "pkg:maven/org.yaml/snakeyaml@1.26",
        ],
    ),
    ("jar-non-ascii", &["pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"]),
    (
        "jar-scala",
        &[
            "pkg:maven/com.typesafe.akka/akka-actor_2.13@2.6.20",
            "pkg:maven/org.apache.kafka/kafka_2.13@3.7.0",
        ],
    ),
    (
        "jar-spring-no-group",
        &[
            "pkg:maven/com.example/demo@0.0.1-SNAPSHOT",
            "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1",
            "pkg:maven/org.springframework/spring-core@5.3.18",
        ],
    ),
    (
        "licences",
        &[
            "pkg:npm/l00@1.0.0",
            "pkg:npm/l01@1.0.0",
            "pkg:npm/l03@1.0.0",
            "pkg:npm/l04@1.0.0",
            "pkg:npm/l07@1.0.0",
            "pkg:npm/l13@1.0.0",
            "pkg:npm/l18@1.0.0",
            "pkg:npm/x@1.0.0",
        ],
    ),
    ("lua", &["pkg:luarocks/luasocket@3.0.0-1"]),
    (
        "nix",
        &[
            "pkg:nix/glibc@2.38-44?outputhash=0a1b2c3d4f5g6h7i8j9k0l1m2n3p4q5r",
            "pkg:nix/openssl@3.0.13?outputhash=ysx8xjm7f6y2qypn9zh3wd9m5w3zqr9q",
        ],
    ),
    ("opkg", &["pkg:opkg/openwrt/dnsmasq@2.90-2?arch=x86_64&distro=openwrt-23.05.3"]),
    ("pear", &["pkg:pear/pear.php.net/Archive_Tar@1.4.14"]),
    ("py-pep770", &["pkg:pypi/numpy@2.2.0", "pkg:rpm/almalinux/libgfortran@8.5.0-22.el8_10"]),
    ("py-whl", &["pkg:pypi/urllib3@1.24.1"]),
    ("r", &["pkg:cran/ggplot2@3.4.4"]),
    (
        "rpm-case",
        &[
            "pkg:rpm/fedora/libX11@1.8.9-1.fc40?arch=x86_64&distro=fedora-40&upstream=libX11-1.8.9-1.fc40.src.rpm",
            "pkg:rpm/fedora/perl-Exporter@5.78-3.fc40?arch=noarch&distro=fedora-40&upstream=perl-Exporter-5.78-3.fc40.src.rpm",
        ],
    ),
    (
        "rpm-leap",
        &[
            "pkg:rpm/opensuse/libX11@1.8.9-1.fc40?arch=x86_64&distro=opensuse-leap-15.6&upstream=libX11-1.8.9-1.fc40.src.rpm",
            "pkg:rpm/opensuse/perl-Exporter@5.78-3.fc40?arch=noarch&distro=opensuse-leap-15.6&upstream=perl-Exporter-5.78-3.fc40.src.rpm",
        ],
    ),
    (
        "testdata-rpm",
        &[
            "pkg:deb/debian/deinst-inst@1.0-1?arch=amd64&distro=debian-12",
            "pkg:deb/debian/half@1.0-1?arch=amd64&distro=debian-12",
            "pkg:deb/debian/hold@1.0-1?arch=amd64&distro=debian-12",
            "pkg:deb/debian/libc6@2.36-9%2Bdeb12u4?arch=amd64&distro=debian-12&upstream=glibc",
            "pkg:deb/debian/libc6@2.36-9%2Bdeb12u4?arch=i386&distro=debian-12&upstream=glibc",
            "pkg:deb/debian/ok@1.0-1?arch=amd64&distro=debian-12",
            "pkg:deb/debian/trig@1.0-1?arch=amd64&distro=debian-12",
            "pkg:deb/debian/unp@1.0-1?arch=amd64&distro=debian-12",
        ],
    ),
    ("wordpress", &["pkg:wordpress/akismet@5.3"]),
];

fn catalog(path: &Path) -> Catalog {
    Catalog::of(&Rootfs::new(path)).unwrap()
}

#[test]
fn every_case_has_its_right_answer() {
    let Some(folder) = cases() else { return };
    for &(case, expected) in RIGHT {
        let found = catalog(&folder.join(case));
        let purls: BTreeSet<&str> =
            found.packages.iter().map(|listed| listed.purl.as_str()).collect();
        assert_eq!(purls, expected.iter().copied().collect(), "{case}: {:?}", found.warnings);
    }
}

/// One layer in memory.
struct OneLayer(Vec<u8>);

impl LayerBlobs for OneLayer {
    fn open(&self, _: &Blob) -> io::Result<Box<dyn io::Read + Send>> {
        Ok(Box::new(io::Cursor::new(self.0.clone())))
    }
}

#[test]
fn every_case_is_the_same_in_a_layer_and_makes_whole_documents() {
    let Some(folder) = cases() else { return };
    for &(case, expected) in RIGHT {
        let mut tar = tar::Builder::new(Vec::new());
        tar.append_dir_all("", folder.join(case)).unwrap();
        let one = OneLayer(tar.into_inner().unwrap());
        let diff_id = format!("sha256:{}", hex::encode(Sha256::digest(&one.0)));
        let blob =
            Blob { digest: None, size: None, diff_id, is_foreign: false, is_encrypted: false };
        let reading = LayerReading { files: true, ..LayerReading::of(&one, 1) };
        let collected = collect(&[vec![blob]], &reading).unwrap().remove(0);
        let found = Catalog::from_collected(collected);
        let purls: Vec<&str> = found.packages.iter().map(|it| it.purl.as_str()).collect();
        let purls: BTreeSet<&str> = purls.into_iter().collect();
        assert_eq!(purls, expected.iter().copied().collect(), "{case}: {:?}", found.warnings);
        assert!(found.packages.iter().all(|it| it.layers.len() == 1), "{case}");
        let about = DocumentSubject { name: case.into(), ..DocumentSubject::default() };
        for text in [spdx::document(&found, &about), cyclonedx::document(&found, &about)] {
            assert!(foreign::check(text.as_bytes()).is_ok(), "{case}: {text}");
        }
    }
}

#[test]
fn what_only_an_sbom_states_says_so() {
    let Some(folder) = cases() else { return };
    let found = catalog(&folder.join("py-pep770"));
    let about = DocumentSubject { name: "x".into(), ..DocumentSubject::default() };
    let text = spdx::document(&found, &about);
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let origin = |name: &str| {
        let mut packages = document["packages"].as_array().unwrap().iter();
        packages.find(|it| it["name"] == name).unwrap()["sourceInfo"].as_str().unwrap().to_owned()
    };
    assert!(origin("libgfortran").starts_with("read from what a file in the image states"));
    assert!(origin("numpy").starts_with("read from Python package metadata"));
}

#[test]
fn licences_of_the_cases_are_expressions_that_validators_read() {
    let Some(folder) = cases() else { return };
    let found = catalog(&folder.join("licences"));
    let told: Vec<(&str, &Licence)> = found
        .packages
        .iter()
        .map(|listed| (listed.package.name.as_str(), &listed.package.licence))
        .collect();
    let is = |text: &str| Licence::Expression(text.to_owned());
    let named = |text: &str| Licence::Named(text.to_owned());
    let expected = [
        ("l00", is("GPL-2.0-only")),
        ("l01", is("LGPL-2.1-only")),
        ("l03", is("GPL-3.0-or-later")),
        ("l04", is("MIT")),
        ("l07", is("Apache-2.0 OR MIT")),
        ("l13", named("MIT+")),
        ("l18", is("MIT OR Apache-2.0")),
        ("x", named("NOASSERTION OR MIT")),
    ];
    assert_eq!(told, expected.iter().map(|(name, it)| (*name, it)).collect::<Vec<_>>());
}

#[test]
fn a_broken_database_among_test_data_is_a_remark() {
    let Some(folder) = cases() else { return };
    let remarks = catalog(&folder.join("testdata-rpm")).warnings.join("\n");
    assert!(remarks.contains("testdata/var/lib/rpm/Packages` is not listed"), "{remarks}");
}

#[test]
fn an_archive_that_is_compressed_as_a_whole_is_read() {
    let Some(folder) = cases() else { return };
    let local = image::archive(&folder.join("docker.tar.zst"), None, None).unwrap();
    let reading = LayerReading::of(&local, 1);
    let collected = collect(std::slice::from_ref(&local.image.layers), &reading).unwrap().remove(0);
    let found = Catalog::from_collected(collected).packages;
    let purls: Vec<&str> = found.iter().map(|listed| listed.purl.as_str()).collect();
    assert_eq!(
        (local.name.as_deref(), purls),
        (Some("app:v1"), vec!["pkg:deb/debian/bash@5.2.15-2%2Bb7?arch=amd64&distro=debian-12"])
    );
}
