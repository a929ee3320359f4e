//! Layers of an image as anybody could push them → packages: the first byte says how they are
//! compressed, the rest is tar archives, one layer after another. Headers get their checksums here,
//! or none but the first would be read. It never looks at what was found, only that every way to it
//! finds the same, and that the document holds together.
#![no_main]

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Result, Write as _};

use libfuzzer_sys::fuzz_target;
use supply_action::image::Digest;
use supply_action::sbom::catalog::Catalog;
use supply_action::sbom::foreign::{self, ForeignFormat};
use supply_action::sbom::layers::{Blob, Cache, LayerBlobs, LayerReading, Unwatched, collect};
use supply_action::sbom::spdx;

const BLOCK: usize = 512;
const MOST_LAYERS: usize = 4;

#[derive(Default)]
struct Memory(BTreeMap<String, Vec<u8>>);

impl LayerBlobs for Memory {
    fn open(&self, blob: &Blob) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(Cursor::new(self.0[&blob.diff_id].clone())))
    }
}

impl Memory {
    fn add(&mut self, plain: &[u8], compressed: Vec<u8>) -> Blob {
        let size = Some(compressed.len() as u64);
        let blob = Blob {
            digest: Some(Digest::of(&compressed).to_string()),
            size,
            diff_id: Digest::of(plain).to_string(),
            is_foreign: false,
            is_encrypted: false,
        };
        self.0.insert(blob.diff_id.clone(), compressed);
        blob
    }

    /// The document, or why there is none.
    fn document(
        &self,
        image: &[Blob],
        threads: usize,
        cache: Option<&Cache>,
    ) -> std::result::Result<String, String> {
        let images = [image.to_vec(), image.to_vec()];
        let found = collect(
            &images,
            &LayerReading {
                blobs: self,
                threads,
                cache,
                watcher: &Unwatched,
                watch: None,
                files: true,
                exclude: supply_action::sbom::exclude::Exclude::default(),
                diff_ids: true,
            },
        )
        .map_err(|error| error.to_string())?;
        let mut documents = found.into_iter().map(|collected| {
            let about =
                spdx::DocumentSubject { name: "fuzz".into(), ..spdx::DocumentSubject::default() };
            spdx::document(&Catalog::from_collected(collected), &about)
        });
        let (one, two) = (documents.next().unwrap(), documents.next().unwrap());
        assert_eq!(one, two, "the same layers are two images");
        Ok(one)
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let mut memory = Memory::default();
    if *choice == b'R' {
        // Compressed by whoever made it up; hardly ever does it inflate to nothing, as is said of
        // it.
        let blob = memory.add(b"", bytes.to_vec());
        let _ = memory.document(&[blob], 1, None);
        return;
    }
    let image: Vec<Blob> =
        layers(bytes).iter().map(|layer| memory.add(layer, compressed(*choice, layer))).collect();
    let plain = memory.document(&image, 1, None);
    if let Ok(plain) = &plain {
        assert_eq!(foreign::check(plain.as_bytes()), Ok(ForeignFormat::Spdx));
    }
    if choice % 4 == 3 {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        for way in ["cold", "warm"] {
            // Of several bad layers, either may be told first.
            assert_eq!(
                memory.document(&image, 2, Some(&cache)).ok(),
                plain.clone().ok(),
                "with a {way} cache"
            );
        }
    }
});

/// The archives, cut behind the first block of zeros of each.
fn layers(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut layers = vec![Vec::new()];
    for block in bytes.chunks(BLOCK) {
        let count = layers.len();
        let layer = layers.last_mut().unwrap();
        match <[u8; BLOCK]>::try_from(block) {
            Ok(zeros) if zeros == [0; BLOCK] && count < MOST_LAYERS => {
                if !layer.is_empty() {
                    layer.extend([0; 2 * BLOCK]);
                    layers.push(Vec::new());
                }
            }
            Ok(mut header) if header[257..].starts_with(b"ustar") => {
                header[148..156].fill(b' ');
                let sum: u64 = header.iter().copied().map(u64::from).sum();
                header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
                layer.extend(header);
            }
            _ => layer.extend(block),
        }
    }
    layers
}

fn compressed(choice: u8, layer: &[u8]) -> Vec<u8> {
    if choice % 2 == 0 {
        return layer.to_vec();
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(layer).unwrap();
    gzip.finish().unwrap()
}
