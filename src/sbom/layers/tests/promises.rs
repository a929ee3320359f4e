//! What an image says of its layers, held against what they are. It never looks at what is in them.

use super::*;

/// Why a layer of these bytes gives no SBOM.
pub(super) fn refused(plain: &[u8], compressed: Vec<u8>, change: impl Fn(&mut Blob)) -> String {
    let (memory, blob) = changed(plain, compressed, change);
    LayersInMemory { diff_ids: true, ..memory }.collect(&[blob], 1, None).unwrap_err().to_string()
}

/// A layer that is described otherwise than it is.
fn changed(
    plain: &[u8],
    compressed: Vec<u8>,
    change: impl Fn(&mut Blob),
) -> (LayersInMemory, Blob) {
    let mut memory = LayersInMemory::default();
    let mut blob = memory.add(plain, compressed);
    let id = blob.diff_id.clone();
    change(&mut blob);
    let bytes = memory.layers.remove(&id).unwrap();
    memory.layers.insert(blob.diff_id.clone(), bytes);
    (memory, blob)
}

#[test]
fn a_diff_id_is_checked_where_it_is_asked_for_and_wherever_something_rests_on_it() {
    let plain = tar_of(&[file("app/package.json", npm("a"))]);
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path().join("cache"));
    let wrong = |blob: &mut Blob| blob.diff_id = sum(b"other");
    let is_refused = |memory: &LayersInMemory, blob: &Blob, cache: Option<&Cache>| match memory
        .collect(std::slice::from_ref(blob), 2, cache)
    {
        Ok(_) => false,
        Err(error) => error.to_string().contains("inflates to other bytes than the image says"),
    };
    let (memory, blob) = changed(&plain, gzip(&plain), wrong);
    assert!(!is_refused(&memory, &blob, None), "the digest binds the bytes");
    assert!(is_refused(&memory, &blob, Some(&cache)), "its name in the cache is the diffID");
    assert!(!cache.folder().exists(), "nothing is kept under a name that is not its own");
    assert!(is_refused(&LayersInMemory { diff_ids: true, ..memory }, &blob, None));
    let (memory, blob) = changed(&plain, gzip(&plain), |blob| {
        wrong(blob);
        blob.digest = None;
    });
    assert!(is_refused(&memory, &blob, None), "nothing else binds it");
    let (memory, blob) = changed(&plain, plain.clone(), wrong);
    assert!(is_refused(&memory, &blob, None), "a layer that is not compressed has one hash");
}

#[test]
fn layers_that_claim_the_same_diff_id_are_each_read() {
    let mut memory = LayersInMemory::default();
    let honest = memory.add(
        &tar_of(&[file("app/package.json", npm("a"))]),
        gzip(&tar_of(&[file("app/package.json", npm("a"))])),
    );
    let other = gzip(&tar_of(&[file("app/package.json", npm("b"))]));
    let liar = Blob { digest: Some(sum(&other)), size: Some(other.len() as u64), ..honest.clone() };
    memory.by_digest.insert(sum(&other), other);
    let reading = LayerReading { diff_ids: false, ..LayerReading::of(&memory, 1) };
    let found = collect(&[vec![honest], vec![liar]], &reading).unwrap();
    let names: Vec<_> = found
        .iter()
        .map(|one| one.facts["app/package.json"].packages[0].package.name.as_str())
        .collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn a_layer_that_is_not_what_was_promised_gives_no_sbom() {
    let plain = tar_of(&[file("app/package.json", npm("a"))]);
    let zeros = format!("sha256:{}", "0".repeat(64));
    let check = |told: String, expected: &str| assert!(told.contains(expected), "{told}");
    check(
        refused(&plain, gzip(&plain), |blob| blob.digest = Some(zeros.clone())),
        "does not hash to its digest",
    );
    check(
        refused(&plain, gzip(&plain), |blob| blob.diff_id = zeros.clone()),
        "inflates to other bytes than the image says",
    );
    check(
        refused(&plain, gzip(&plain), |blob| blob.size = Some(9999)),
        "does not have the `9999` bytes that the image says, but only",
    );
    check(
        refused(&plain, gzip(&plain), |blob| blob.size = Some(20)),
        "does not have the `20` bytes that the image says, but more",
    );
    let short = gzip(&plain);
    check(refused(&plain, short[..short.len() - 9].to_vec(), |_| {}), "ends too early");
    let mut damaged = gzip(&plain);
    damaged[30] ^= 0xff;
    check(refused(&plain, damaged, |_| {}), "is damaged");
    check(refused(&plain, plain[..520].to_vec(), |_| {}), "ends too early");
    check(refused(b"no tar", b"no tar".to_vec(), |_| {}), "ends too early");
    let malformed = tar_of(&[file("var/lib/dpkg/status", "?")]);
    check(refused(&malformed, malformed.clone(), |_| {}), "`var/lib/dpkg/status` is malformed");
    check(
        refused(&malformed, malformed.clone(), |blob| blob.digest = Some(zeros.clone())),
        "does not hash to its digest",
    );
    let mut cut = zstd::encode_all(plain.as_slice(), 1).unwrap();
    cut.truncate(cut.len() - 4);
    check(refused(&plain, cut, |_| {}), "ends too early");
}
