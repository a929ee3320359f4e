//! Layers that are compressed in every way, hostile, damaged or kept. It compares nothing with a
//! root file system.

use super::*;

#[test]
fn every_compression_gives_the_same() {
    let plain = tar_of(&[file("app/package.json", npm("a"))]);
    let (front, back) = plain.split_at(600);
    let frames = [zstd::encode_all(front, 1).unwrap(), zstd::encode_all(back, 1).unwrap()].concat();
    for compressed in [plain.clone(), gzip(&plain), [gzip(front), gzip(back)].concat(), frames] {
        let mut memory = LayersInMemory::default();
        let blob = memory.add(&plain, compressed);
        assert_eq!(memory.collect(&[blob], 1, None).unwrap().facts.len(), 1);
    }
}

#[test]
fn what_inflates_without_end_is_refused() {
    let zeros = vec![0; 40 << 20];
    for small in [zstd::encode_all(zeros.as_slice(), 1).unwrap(), tightest(&zeros)] {
        let length = small.len();
        let told = refused(&zeros, small, |_| {});
        assert!(told.contains("which is not plausible for an image"), "{length}: {told}");
    }
}

#[test]
fn hostile_layers_are_refused_or_harmless() {
    let hostile = |bytes: Vec<u8>| refused(&bytes, bytes.clone(), |_| {});
    let named = |name: &[u8]| tar::tests::entry(b'0', name, b"0", b"");
    assert!(
        hostile(named(b"../../etc/passwd"))
            .ends_with("`../../etc/passwd` lies outside of the image")
    );
    assert!(
        hostile(tar_of(&[
            Link("a".into(), "b".into()),
            Link("b".into(), "a".into()),
            file("a/x", "")
        ]))
        .ends_with("passes through links that never end")
    );
    assert!(hostile(tar_of(&[file(".wh...", "")])).contains("removes nothing"));
    // 100 GB of holes, of which nothing is read.
    let sparse =
        "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n36 GNU.sparse.realsize=107374182400\n";
    let sparse = [
        tar::tests::entry(
            b'x',
            b"p",
            format!("{:011o}", sparse.len()).as_bytes(),
            sparse.as_bytes(),
        ),
        tar::tests::entry(b'0', b"bin/node", b"00000001000", b"0\n"),
    ]
    .concat();
    let mut memory = LayersInMemory::default();
    let blob = memory.add(&sparse, sparse.clone());
    let collected = memory.collect(&[blob], 1, None).unwrap();
    assert_eq!(
        collected.facts["bin/node"].warnings,
        ["`bin/node` is a sparse file of `107374182400` bytes and was not read"]
    );
}

#[test]
fn what_was_read_once_is_kept_and_a_damaged_cache_is_read_past() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path().join("cache"));
    let base = tar_of(&[
        file("etc/os-release", "ID=debian\n"),
        file("bin/tool", auditable()),
        Link("lib".into(), "usr/lib".into()),
    ]);
    let upper = tar_of(&[
        file("opt/r/METADATA", ""),
        file(
            "conda-meta/x.json",
            r#"{"name":"x","version":"1","channel":"pkgs/main","build":"b","subdir":"s"}"#,
        ),
    ]);
    let mut memory = LayersInMemory::default();
    let image = [
        memory.add(&base, gzip(&base)),
        memory.add(&upper, gzip(&upper)),
        memory.add(&base, gzip(&base)),
    ];
    let document = |memory: &LayersInMemory, threads, cache| {
        Catalog::from_collected(memory.collect(&image, threads, cache).unwrap())
    };
    let plain = document(&memory, 1, None);
    assert_eq!(memory.opened.lock().unwrap().len(), 2, "a layer that is there twice is read once");
    assert_eq!(document(&memory, 8, None), plain);
    assert_eq!(document(&memory, 8, Some(&cache)), plain);
    memory.opened.lock().unwrap().clear();
    assert_eq!(document(&memory, 8, Some(&cache)), plain);
    assert!(memory.opened.lock().unwrap().is_empty(), "nothing is fetched that is known");
    for entry in fs::read_dir(cache.folder()).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("rand", "rang").replace("main", "mine")).unwrap();
    }
    assert_eq!(document(&memory, 2, Some(&cache)), plain);
    assert_eq!(memory.opened.lock().unwrap().len(), 2, "what is damaged is read again");
    memory.opened.lock().unwrap().clear();
    assert_eq!(document(&memory, 2, Some(&cache)), plain);
    assert!(memory.opened.lock().unwrap().is_empty(), "and kept again");
}

#[test]
fn a_failing_source_is_no_damaged_layer() {
    struct FailingBlobs;
    impl LayerBlobs for FailingBlobs {
        fn open(&self, _blob: &Blob) -> io::Result<Box<dyn Read + Send>> {
            Ok(Box::new(gzip(&[0; 4096])[..20].to_vec().chain_error()))
        }
    }
    trait ChainError {
        fn chain_error(self) -> Box<dyn Read + Send>;
    }
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _bytes: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("cable cut"))
        }
    }
    impl ChainError for Vec<u8> {
        fn chain_error(self) -> Box<dyn Read + Send> {
            Box::new(io::Cursor::new(self).chain(Broken))
        }
    }
    let blob = Blob {
        digest: None,
        size: None,
        diff_id: "sha256:x".into(),
        is_foreign: false,
        is_encrypted: false,
    };
    let reading = LayerReading { diff_ids: false, ..LayerReading::of(&FailingBlobs, 1) };
    let error = collect(&[vec![blob]], &reading).unwrap_err();
    assert!(
        matches!(&error, SbomError::UnreadableLayer { source, .. } if source.to_string() == "cable cut"),
        "{error:?}"
    );
}

#[test]
fn a_foreign_layer_that_is_not_with_the_image_is_called_so() {
    struct BlobsNowhere;
    impl LayerBlobs for BlobsNowhere {
        fn open(&self, _blob: &Blob) -> io::Result<Box<dyn Read + Send>> {
            Err(io::Error::other("it is not there"))
        }
    }
    let blob = |is_foreign| Blob {
        digest: None,
        size: None,
        diff_id: "sha256:x".into(),
        is_foreign,
        is_encrypted: false,
    };
    let reading = LayerReading { diff_ids: false, ..LayerReading::of(&BlobsNowhere, 1) };
    let error = |is_foreign| collect(&[vec![blob(is_foreign)]], &reading).unwrap_err();
    assert!(error(true).to_string().contains("is a foreign layer"), "{:?}", error(true));
    assert!(matches!(error(false), SbomError::UnreadableLayer { .. }), "{:?}", error(false));
}
