//! Files of an image → packages → documents: the first letter, from `A` on, says under which path
//! the rest lies, so that every matcher has its turn. It never looks at what was found, only that
//! it is written down the same twice and that the documents hold together.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use supply_action::sbom::catalog::Catalog;
use supply_action::sbom::collect::CollectedPackages;
use supply_action::sbom::foreign::ForeignFormat;
use supply_action::sbom::source::{FileContents, SourceFile, Visitor as _};
use supply_action::sbom::{cyclonedx, foreign, spdx, table};

const PATHS: [&str; 50] = [
    "var/lib/dpkg/status",
    "var/lib/dpkg/status.d/base",
    "var/lib/dpkg/info/a.list",
    "lib/apk/db/installed",
    "var/lib/rpm/rpmdb.sqlite",
    "var/lib/rpm/Packages",
    "usr/lib/sysimage/rpm/Packages.db",
    "var/lib/rpmmanifest/container-manifest-2",
    "etc/os-release",
    "usr/share/doc/a/copyright",
    "app/node_modules/a/package.json",
    "usr/lib/python3/a.dist-info/METADATA",
    "opt/conda/conda-meta/a.json",
    "app/lib/a-1.jar",
    "app/specifications/a-1.gemspec",
    "app/vendor/composer/installed.json",
    "app/App.deps.json",
    "usr/local/go/VERSION",
    "opt/java/release",
    "usr/bin/program",
    "usr/bin/python3.11",
    "usr/bin/node",
    "usr/lib/libssl.so.3",
    "var/lib/pacman/local/a-1-1/desc",
    "var/db/pkg/net-misc/curl-8.6.0/CONTENTS",
    "usr/lib/opkg/status",
    "var/lib/chisel/manifest.wall",
    "usr/lib/R/library/a/DESCRIPTION",
    "lib/luarocks/rocks-5.1/a/1-1/a-1-1.rockspec",
    "lib/a-1/ebin/a.app",
    "plugins/a-1.ez",
    "php/.registry/a.reg",
    "wp-content/plugins/a/a.php",
    "opt/bitnami/.bitnami_components.json",
    "opt/bitnami/a/.spdx-a.spdx",
    "s/a-1.dist-info/sboms/a.cdx.json",
    "lib/a-1.module",
    "Cellar/a/1/INSTALL_RECEIPT.json",
    "w/a-1-py3-none-any.whl",
    "w/a-1.tar.gz",
    ".yarn/cache/a.zip",
    "m/a.gguf",
    "m/a.safetensors",
    "boot/vmlinuz",
    "lib/modules/1/a.ko",
    "package-lock.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "Cargo.lock",
    "go.mod",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, contents)) = bytes.split_first() else { return };
    let path = PATHS[usize::from(choice.wrapping_sub(b'A')) % PATHS.len()];
    let mut collected = CollectedPackages { files: true, ..CollectedPackages::default() };
    let mut open = || Ok(Box::new(Cursor::new(contents.to_vec())) as Box<dyn FileContents>);
    let file = SourceFile {
        path,
        size: contents.len() as u64,
        modified: 0,
        open: &mut open,
        scanned: None,
    };
    if collected.file(file).is_err() {
        return;
    }
    let catalog = Catalog::from_collected(collected);
    let about = spdx::DocumentSubject { name: "fuzz".into(), ..spdx::DocumentSubject::default() };
    let document = spdx::document(&catalog, &about);
    assert_eq!(document, spdx::document(&catalog, &about));
    assert_eq!(foreign::check(document.as_bytes()), Ok(ForeignFormat::Spdx));
    let document = cyclonedx::document(&catalog, &about);
    assert_eq!(foreign::check(document.as_bytes()), Ok(ForeignFormat::CycloneDx));
    let _ = table::table(&catalog, 60);
});
