use super::*;

#[test]
fn what_others_wrote_into_the_fallback_index_stays_as_it_is() {
    let theirs = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","annotations":{"a":"b"},"manifests":[{"digest":"sha512:00","x":1.0}]}"#;
    let (before, entry, repository) = (
        RegistryManifest::new(theirs.into(), OCI_INDEX),
        Descriptor::of(b"x", OCI_MANIFEST),
        "r.io/a".parse().unwrap(),
    );
    let index =
        with_entries(Some(&before), std::slice::from_ref(&entry), &repository).unwrap().unwrap();
    assert_eq!(
        (
            &index["annotations"]["a"],
            &index["manifests"][0]["x"],
            index["manifests"].as_array().unwrap().len()
        ),
        (&"b".into(), &1.0.into(), 2)
    );
    let again = RegistryManifest::new(index.to_string().into_bytes(), OCI_INDEX);
    assert!(
        with_entries(Some(&again), std::slice::from_ref(&entry), &repository).unwrap().is_none()
    );
    with_entries(Some(&RegistryManifest::new(b"[]".to_vec(), OCI_INDEX)), &[entry], &repository)
        .unwrap_err();
}

#[test]
fn a_fallback_tag_names_a_list_the_subject_or_something_else() {
    let (subject, repository) = (Digest::of(b"{\"manifests\":[]}"), "r.io/a".parse().unwrap());
    let named = |bytes: &[u8], kind: &str| {
        FallbackList::of(&RegistryManifest::new(bytes.to_vec(), kind), &subject, &repository)
    };
    assert_eq!(named(b"{\"manifests\":[]}", OCI_INDEX).unwrap(), FallbackList::Subject);
    assert_eq!(named(b"{\"manifests\":[ ]}", OCI_INDEX).unwrap(), FallbackList::List);
    for other in [
        r#"{"config":{},"layers":[]}"#,
        r#"{"mediaType":"m"}"#,
        r#"{"schemaVersion":1,"fsLayers":[]}"#,
    ] {
        assert_eq!(named(other.as_bytes(), OCI_MANIFEST).unwrap(), FallbackList::Other, "{other}");
    }
    for unclear in [
        "",
        "{",
        "[]",
        "{}",
        "<html>",
        r#"{"manifests":[{"#,
        r#"{"Manifests":[],"config":{}}"#,
        r#"{"manifests":[],"layers":[]}"#,
    ] {
        named(unclear.as_bytes(), OCI_INDEX).unwrap_err();
    }
}

#[test]
fn a_referrer_that_cannot_be_read_hides_no_other() {
    let good = Descriptor::of(b"x", OCI_MANIFEST);
    let list = serde_json::json!({ "manifests": [{ "digest": "sha512:00", "mediaType": "m", "size": 1 }, good, 7, null] });
    let repository = "r.io/a".parse().unwrap();
    assert_eq!(listed(list.to_string().as_bytes(), &repository).unwrap(), [good]);
    for nonsense in [
        "",
        "[]",
        "{}",
        "{\"manifests\":1}",
        r#"{"manifests":[],"Manifests":[]}"#,
        r#"{"manifests":[],"layers":[]}"#,
    ] {
        listed(nonsense.as_bytes(), &repository).unwrap_err();
    }
}
