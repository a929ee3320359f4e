//! A deflate stream of anybody's making, as the second member of a gzip layer: ours must inflate it
//! to the bytes that zlib-rs makes of it, or refuse it where zlib-rs does. It never compares
//! reasons.
#![no_main]

use std::io::{Cursor, Read, Result, Write as _};

use flate2::{Crc, Decompress, FlushDecompress, Status};
use libfuzzer_sys::fuzz_target;
use supply_action::image::Digest;
use supply_action::sbom::layers::{Blob, LayerBlobs, LayerReading, Unwatched, collect};

/// An archive that is at its end, so that nobody looks at what follows; it is hashed all the same.
const NOTHING: [u8; 1024] = [0; 1024];
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
const MOST: usize = 4 << 20;

struct One(Vec<u8>);

impl LayerBlobs for One {
    fn open(&self, _: &Blob) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(Cursor::new(self.0.clone())))
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((threads, bytes)) = bytes.split_first() else { return };
    let mut text = Vec::with_capacity(MOST);
    let mut inflater = Decompress::new(false);
    let status = inflater.decompress_vec(bytes, &mut text, FlushDecompress::Finish);
    if text.len() == MOST {
        return;
    }
    let is_whole = matches!(status, Ok(Status::StreamEnd));
    let used = if is_whole { inflater.total_in() as usize } else { bytes.len() };
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&NOTHING).unwrap();
    let mut sum = Crc::new();
    sum.update(&text);
    let layer = [
        &gzip.finish().unwrap()[..],
        &HEADER,
        &bytes[..used],
        &sum.sum().to_le_bytes(),
        &(text.len() as u32).to_le_bytes(),
    ]
    .concat();
    let blob = Blob {
        digest: Some(Digest::of(&layer).to_string()),
        size: Some(layer.len() as u64),
        diff_id: Digest::of(&[&NOTHING[..], &text].concat()).to_string(),
        is_foreign: false,
        is_encrypted: false,
    };
    let reading = LayerReading {
        blobs: &One(layer),
        threads: usize::from(threads & 1) + 1,
        cache: None,
        watcher: &Unwatched,
        watch: None,
        files: false,
        exclude: supply_action::sbom::exclude::Exclude::default(),
        diff_ids: true,
    };
    let outcome = collect(&[vec![blob]], &reading).map(drop).map_err(|error| error.to_string());
    assert_eq!(outcome.is_ok(), is_whole, "{outcome:?}, and zlib-rs says {status:?}");
});
