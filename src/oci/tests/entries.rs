//! Entries of an index, and what they name: each is accounted for.

use super::*;

fn accounted(
    entries: &[String],
    allowed: &Allowed,
) -> Result<crate::oci::entries::Accounted, Objection> {
    let text = index(entries);
    account(
        &OciDocument::read(text.as_bytes(), OCI_INDEX)
            .unwrap_or_else(|why| panic!("{text}: {why}"))
            .index()
            .unwrap(),
        allowed,
    )
}

fn with(entry: String, from: &str, to: &str) -> String {
    assert!(entry.contains(from), "{from} in {entry}");
    entry.replacen(from, to, 1)
}

fn objected(entries: &[String], reason: &str) {
    let objection = accounted(entries, &Allowed::default())
        .map_or_else(|why| why, |read| panic!("{entries:?}: {read:?}"));
    assert!(objection.to_string().contains(reason), "{entries:?}: {objection}");
}

#[test]
fn a_platform_is_spelled_as_everybody_spells_it_and_has_one_image() {
    let amd = || entry('a', "linux/amd64");
    for (entries, reason) in [
        (vec![amd(), amd()], "two images of `linux/amd64`"),
        (vec![amd(), entry('b', "linux/amd64")], "two images of `linux/amd64`"),
        (
            vec![
                amd(),
                with(
                    entry('b', "linux/amd64"),
                    r#""os":"linux""#,
                    r#""os":"linux","variant":"v1""#,
                ),
            ],
            "two images of `linux/amd64`",
        ),
        (
            vec![
                entry('a', "linux/arm64"),
                with(
                    entry('b', "linux/arm64"),
                    r#""os":"linux""#,
                    r#""os":"linux","variant":"v8""#,
                ),
            ],
            "two images of `linux/arm64`",
        ),
        (
            vec![
                entry('a', "linux/arm"),
                with(entry('b', "linux/arm"), r#""os":"linux""#, r#""os":"linux","variant":"7""#),
            ],
            "two images of `linux/arm/v7`",
        ),
        (vec![amd(), entry('a', "linux/arm64")], "two entries of"),
        (vec![amd(), entry('b', "linux/x86_64")], "whose platform is not known"),
        (vec![amd(), entry('b', "Linux/arm64")], "whose platform is not known"),
        (vec![amd(), entry('b', "linux/armhf")], "whose platform is not known"),
        (vec![amd(), entry('b', "linux/")], "whose platform is not known"),
        (vec![amd(), entry('b', "/arm64")], "whose platform is not known"),
        (vec![amd(), entry('b', "linux/arm64|x")], "whose platform is not known"),
        (vec![amd(), entry('b', "linux/arm64/v8")], "whose platform is not known"),
        (vec![amd(), entry('b', "linux/arm64\\n::error::x")], "whose platform is not known"),
        (vec![amd(), entry('b', "linux/arm64\\u202e")], "whose platform is not known"),
        (
            vec![
                amd(),
                with(
                    entry('b', "linux/arm64"),
                    r#""os":"linux""#,
                    r#""os":"linux","variant":"V8""#,
                ),
            ],
            "whose platform is not known",
        ),
        (
            vec![
                amd(),
                with(
                    entry('b', "windows/amd64"),
                    r#""os":"windows""#,
                    r#""os":"windows","os.version":"1 0""#,
                ),
            ],
            "whose platform is not known",
        ),
    ] {
        objected(&entries, reason);
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn every_entry_of_an_index_is_accounted_for() {
    let amd = || entry('a', "linux/amd64");
    let of_type = |letter: char, kind: &str| {
        format!(r#"{{{},"artifactType":"{kind}"}}"#, pointer(IMAGE, letter))
    };
    let unknown = r#""platform":{"architecture":"unknown","os":"unknown"}"#;
    for (entries, reason) in [
        (vec![], "holds no image"),
        (vec![attesting('b', 'a')], "which is not one of its images"),
        (vec![amd(), attesting('b', 'c')], "which is not one of its images"),
        (
            vec![amd(), attesting('b', 'a'), attesting('c', 'a')],
            "several manifests of attestations about",
        ),
        (vec![amd(), attesting('b', 'a'), attesting('c', 'b')], "which is not one of its images"),
        (
            vec![
                amd(),
                with(
                    attesting('b', 'a'),
                    unknown,
                    r#""platform":{"os":"linux","architecture":"arm64"}"#,
                ),
            ],
            "not of platform `unknown/unknown`, but `linux/arm64`",
        ),
        (
            vec![
                with(
                    attesting('b', 'a'),
                    unknown,
                    r#""platform":{"os":"linux","architecture":"amd64"}"#,
                ),
                amd(),
            ],
            "not of platform `unknown/unknown`",
        ),
        (vec![with(attesting('b', 'a'), &format!("{unknown},"), ""), amd()], "but `none`"),
        (
            vec![
                with(attesting('b', 'a'), r#""os":"unknown""#, r#""os":"unknown","variant":"v1""#),
                amd(),
            ],
            "but `unknown/unknown/v1`",
        ),
        (
            vec![
                with(
                    attesting('b', 'a'),
                    r#""os":"unknown""#,
                    r#""os":"unknown","os.version":"1""#,
                ),
                amd(),
            ],
            "not of platform `unknown/unknown`",
        ),
        (
            vec![with(attesting('b', 'a'), r#""os":"unknown""#, r#""os":"linux""#), amd()],
            "but `linux/unknown`",
        ),
        (
            vec![with(attesting('b', 'a'), "attestation-manifest", "Attestation-Manifest"), amd()],
            "neither an image nor attestations",
        ),
        (
            vec![
                with(attesting('b', 'a'), r#""size":7"#, r#""size":7,"artifactType":"a/b""#),
                amd(),
            ],
            "of artifact type `a/b`",
        ),
        (vec![with(attesting('b', 'a'), IMAGE, OCI_INDEX), amd()], "another index"),
        (vec![amd(), entry('b', "unknown/unknown")], "neither an image nor attestations"),
        (vec![amd(), entry('b', "Unknown/amd64")], "neither an image nor attestations"),
        (vec![amd(), format!("{{{}}}", pointer(IMAGE, 'b'))], "an entry without a platform"),
        (vec![amd(), with(entry('b', "linux/arm64"), IMAGE, OCI_INDEX)], "another index"),
        (
            vec![
                amd(),
                with(
                    entry('b', "linux/arm64"),
                    IMAGE,
                    "application/vnd.docker.distribution.manifest.v1+prettyjws",
                ),
            ],
            "media type `application/vnd.docker.distribution.manifest.v1+prettyjws`",
        ),
        (
            vec![amd(), with(entry('b', "linux/arm64"), IMAGE, LAYER)],
            "media type `application/vnd.oci.image.layer",
        ),
        (
            vec![
                amd(),
                with(entry('b', "linux/arm64"), r#""size":7"#, r#""size":7,"urls":["http://x"]"#),
            ],
            "which is stored elsewhere",
        ),
        (
            vec![amd(), of_type('b', "application/vnd.amazon.soci.index.v2+json")],
            "of artifact type `application/vnd.amazon.soci.index.v2+json`",
        ),
        (
            vec![
                amd(),
                with(entry('b', "linux/arm64"), r#""size":7"#, r#""size":7,"artifactType":"a/b""#),
            ],
            "of artifact type `a/b`",
        ),
    ] {
        objected(&entries, reason);
    }
    objected(&vec![amd(); 1001], "has 1001 entries");
    let allowed = Allowed { index_entries: vec!["a/b".to_owned()], ..Allowed::default() };
    let read = accounted(&[amd(), of_type('b', "a/b"), attesting('c', 'a')], &allowed).unwrap();
    assert_eq!((read.images.len(), read.others.len()), (1, 1));
    // SOCI's index is for the platform of the image that it helps to pull, and stands behind it.
    let of = |platform: &str| {
        with(entry('b', platform), r#""size":7"#, r#""size":7,"artifactType":"a/b""#)
    };
    let nowhere = of("unknown/unknown");
    assert!(
        accounted(&[amd(), of("linux/amd64")], &allowed).is_ok()
            && accounted(&[nowhere, amd()], &allowed).is_ok()
    );
    for (entries, platform) in [
        ([amd(), of("linux/arm64")], "linux/arm64"),
        ([of("linux/amd64"), amd()], "linux/amd64"),
        ([of_type('b', "a/b"), amd()], "linux/amd64"),
        ([entry('a', "linux/arm64"), of_type('b', "a/b")], "linux/amd64"),
    ] {
        let told = accounted(&entries, &allowed).unwrap_err().to_string();
        assert!(told.contains(&format!("use as the image of `{platform}`")), "{told}");
    }
    assert!(accounted(&[amd(), of_type('b', "a/b+json")], &allowed).is_err());
}

#[test]
fn images_are_told_apart_by_variant_version_and_features() {
    let windows = |letter: char, version: &str, features: &str| {
        entry(letter, "windows/amd64").replacen(
            r#""os":"windows""#,
            &format!(r#""os":"windows","os.version":"{version}","os.features":[{features}]"#),
            1,
        )
    };
    let v3 =
        entry('e', "linux/amd64").replacen(r#""os":"linux""#, r#""os":"linux","variant":"v3""#, 1);
    let image = entry('d', "linux/amd64").replacen(
        r#""size":7"#,
        &format!(r#""size":7,"artifactType":"{OCI_CONFIG}""#),
        1,
    );
    let entries = [
        windows('a', "10.0.1", ""),
        windows('b', "10.0.2", ""),
        windows('c', "10.0.2", r#""win32k""#),
        image,
        v3,
    ];
    let told: Vec<String> = accounted(&entries, &Allowed::default())
        .unwrap()
        .images
        .iter()
        .map(|image| image.target.to_string())
        .collect();
    assert_eq!(
        told,
        [
            "windows/amd64 (10.0.1)",
            "windows/amd64 (10.0.2)",
            "windows/amd64 (10.0.2, win32k)",
            "linux/amd64",
            "linux/amd64/v3"
        ]
    );
    let twice = [windows('a', "10.0.1", r#""x","y""#), windows('b', "10.0.1", r#""y","x","x""#)];
    assert!(matches!(accounted(&twice, &Allowed::default()), Err(Objection::SameTarget { .. })));
}

fn parsed(text: &str) -> ImageManifest {
    OciDocument::read(text.as_bytes(), IMAGE)
        .unwrap_or_else(|why| panic!("{text}: {why}"))
        .image()
        .unwrap()
}

fn listed(text: &str) -> Descriptor {
    Descriptor::read(&Json::parse(text.as_bytes()).unwrap(), "").unwrap()
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn attestations_are_statements_about_one_image_and_nothing_else() {
    let statement =
        |letter: char| format!("{{{}}}", pointer("application/vnd.in-toto+json", letter));
    let empty =
        format!(r#"{{"mediaType":"{EMPTY_JSON}","digest":"{}","size":2}}"#, Digest::of(b"{}"));
    let made = |config: &str, layers: &[String], more: &str| {
        parsed(&format!(
            r#"{{"schemaVersion":2,{more}"config":{config},"layers":[{}]}}"#,
            layers.join(",")
        ))
    };
    let (listed, about) = (listed(&attesting('b', 'a')), listed(&entry('a', "linux/amd64")));
    let older = |os: &str, ids: &[char]| {
        let ids: Vec<String> =
            ids.iter().map(|letter| format!("\"{}\"", digest(*letter))).collect();
        format!(
            r#"{{"architecture":"unknown","os":"{os}","config":{{}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
            ids.join(",")
        )
    };
    let of = |bytes: &str, kind: &str| {
        format!(
            r#"{{"mediaType":"{kind}","digest":"{}","size":{}}}"#,
            Digest::of(bytes.as_bytes()),
            bytes.len()
        )
    };
    let artifact = format!(r#""artifactType":"{}","#, crate::oci::entries::BUILDKIT_STATEMENTS);
    let subject = |letter: char, size: u64| {
        format!(
            r#""subject":{{"mediaType":"{IMAGE}","digest":"{}","size":{size}}},"#,
            digest(letter)
        )
    };
    // As BuildKit writes it since 0.32, and as it did before.
    attestations(
        &listed,
        &made(&empty, &[statement('c'), statement('d')], &format!("{artifact}{}", subject('a', 7))),
        None,
        &about,
    )
    .unwrap();
    let config = older("unknown", &['c', 'd']);
    let image = made(&of(&config, OCI_CONFIG), &[statement('c'), statement('d')], "");
    attestations(&listed, &image, Some(config.as_bytes()), &about).unwrap();

    let layer = format!("{{{}}}", pointer(LAYER, 'e'));
    let elsewhere = statement('c').replacen(r#""size":7"#, r#""size":7,"urls":["http://x"]"#, 1);
    for (image, config, reason) in [
        (
            made(&empty, &[statement('c'), layer.clone()], ""),
            "{}".to_owned(),
            "not only statements",
        ),
        (made(&empty, &[layer], ""), "{}".to_owned(), "not only statements"),
        (made(&empty, &[elsewhere], ""), "{}".to_owned(), "not only statements"),
        (made(&empty, &[], ""), "{}".to_owned(), "without any statement"),
        (
            made(&empty, &[statement('c')], r#""artifactType":"a/b","#),
            "{}".to_owned(),
            "of artifact type `a/b`",
        ),
        (made(&empty, &[statement('c')], &subject('f', 7)), "{}".to_owned(), "by their subject"),
        (made(&empty, &[statement('c')], &subject('a', 8)), "{}".to_owned(), "by their subject"),
        (
            made(&of("{}", OCI_CONFIG), &[statement('c')], ""),
            "{}".to_owned(),
            "it has no `architecture`",
        ),
        (
            made(&of("{ }", EMPTY_JSON), &[statement('c')], ""),
            "{ }".to_owned(),
            "a config of media type",
        ),
        (
            made(&of("{}", "a/b"), &[statement('c')], ""),
            "{}".to_owned(),
            "a config of media type `a/b`",
        ),
        (
            made(&of(&older("linux", &['c']), OCI_CONFIG), &[statement('c')], ""),
            older("linux", &['c']),
            "an image of `linux/unknown` by their config",
        ),
        (
            made(&of(&older("unknown", &['c', 'd']), OCI_CONFIG), &[statement('c')], ""),
            older("unknown", &['c', 'd']),
            "1 statements by their manifest, and 2",
        ),
        (
            made(&of(&older("unknown", &[]), OCI_CONFIG), &[statement('c')], ""),
            older("unknown", &[]),
            "1 statements by their manifest, and 0",
        ),
        (
            made(&of("[]", OCI_CONFIG), &[statement('c')], ""),
            older("unknown", &['c']),
            "their manifest says 2",
        ),
    ] {
        let objection =
            attestations(&listed, &image, Some(config.as_bytes()), &about).unwrap_err().to_string();
        assert!(
            objection.contains(reason) && objection.contains(&digest('b')),
            "{image:?}: {objection}"
        );
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn an_image_is_what_its_entry_its_manifest_and_its_config_say() {
    let target = |platform: &str| PlatformTarget {
        platform: platform.parse().unwrap(),
        os_version: None,
        os_features: Vec::new(),
    };
    let of = |config: &str| {
        let pointer = format!(
            r#"{{"mediaType":"{OCI_CONFIG}","digest":"{}","size":{}}}"#,
            Digest::of(config.as_bytes()),
            config.len()
        );
        parsed(&manifest().replace(&format!("{{{}}}", pointer_of_config()), &pointer))
    };
    let check = |image_of: &ImageManifest,
                 config: &str,
                 said: Option<&PlatformTarget>,
                 allowed: &Allowed| {
        image(&Digest::of(b"x"), image_of, config.as_bytes(), said, allowed)
            .map_err(|why| why.to_string())
    };
    let none = Allowed::default();
    let plain = configured("");
    assert_eq!(
        check(&of(&plain), &plain, Some(&target("linux/amd64")), &none).unwrap().0,
        target("linux/amd64")
    );
    assert_eq!(
        check(&of(&plain), &plain, Some(&target("linux/amd64/v3")), &none).unwrap().0,
        target("linux/amd64/v3"),
        "no variant contradicts none"
    );
    let windows = configured(r#""os.version":"10.0.1","#).replace("linux", "windows");
    let said = PlatformTarget { os_version: Some("10.0.1".to_owned()), ..target("windows/amd64") };
    assert_eq!(check(&of(&windows), &windows, Some(&said), &none).unwrap().0, said);
    assert_eq!(check(&of(&windows), &windows, None, &none).unwrap().0, said);
    let variant = configured(r#""variant":"v3","#);
    let empty = plain.replace(&format!("\"{}\"", digest('e')), "");
    let versioned = PlatformTarget { os_version: Some("10".to_owned()), ..target("linux/amd64") };
    let featured = PlatformTarget { os_features: vec!["x".to_owned()], ..target("linux/amd64") };
    let foreign = of(&plain);
    let with_layer = |kind: &str, urls: &[&str]| {
        let mut image = foreign.clone();
        kind.clone_into(&mut image.layers[0].media_type);
        image.layers[0].urls = urls.iter().map(|url| (*url).to_owned()).collect();
        image
    };
    let mut artifact = foreign.clone();
    EMPTY_JSON.clone_into(&mut artifact.config.media_type);
    for (image, config, said, reason) in [
        (
            of(&plain),
            &plain,
            Some(target("linux/arm64")),
            "is of `linux/arm64`, but its config says `linux/amd64`",
        ),
        (
            of(&plain),
            &plain,
            Some(versioned),
            "is of `linux/amd64 (10)`, but its config says `linux/amd64`",
        ),
        (
            of(&plain),
            &plain,
            Some(featured),
            "is of `linux/amd64 (x)`, but its config says `linux/amd64`",
        ),
        (
            of(&variant),
            &variant,
            Some(target("linux/amd64")),
            "is of `linux/amd64`, but its config says `linux/amd64/v3`",
        ),
        (of(&empty), &empty, None, "manifest lists 1 layers, and its config 0"),
        (of(&plain), &empty, None, "bytes; its manifest says"),
        (
            with_layer("application/vnd.in-toto+json", &[]),
            &plain,
            None,
            "which is not a file system",
        ),
        (with_layer("application/octet-stream", &[]), &plain, None, "which is not a file system"),
        (
            with_layer(LAYER, &["http://127.0.0.1:9/evil"]),
            &plain,
            None,
            "may be fetched from elsewhere: `http://127.0.0.1:9/evil`",
        ),
        (
            with_layer("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", &[]),
            &plain,
            None,
            "may be fetched from elsewhere",
        ),
        (
            with_layer("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", &[]),
            &plain,
            None,
            "may be fetched from elsewhere",
        ),
        (artifact, &plain, None, "config is of media type `application/vnd.oci.empty.v1+json`"),
    ] {
        let told = check(&image, config, said.as_ref(), &none).unwrap_err();
        assert!(told.contains(reason), "{image:?}: {told}");
    }
    let odd = plain.replace("amd64", "amd64|x");
    assert!(check(&of(&odd), &odd, None, &none).unwrap_err().contains("config names no platform"));
    let allowed = Allowed { foreign_layers: true, ..Allowed::default() };
    let told = check(&with_layer(LAYER, &["http://127.0.0.1:9/`evil`"]), &plain, None, &allowed)
        .unwrap()
        .1;
    assert!(
        told.len() == 1 && told[0].contains("`http://127.0.0.1:9/\\u{60}evil\\u{60}`"),
        "{told:?}"
    );
}

fn pointer_of_config() -> String {
    pointer(OCI_CONFIG, 'c')
}

#[test]
fn what_stands_beside_the_images_is_of_the_kind_that_was_allowed() {
    let entry = listed(&format!(r#"{{{},"artifactType":"a/b"}}"#, pointer(IMAGE, 'b')));
    let with = |config: &str, more: &str| {
        parsed(&format!(
            r#"{{"schemaVersion":2,{more}"config":{{{}}},"layers":[{{{}}}]}}"#,
            pointer(config, 'c'),
            pointer("x/y", 'd')
        ))
    };
    other(&entry, &with(EMPTY_JSON, r#""artifactType":"a/b","#)).unwrap();
    other(&entry, &with("a/b", "")).unwrap();
    for (manifest, reason) in [
        (with(EMPTY_JSON, r#""artifactType":"a/c","#), "that is `a/c`"),
        (with("a/c", ""), "that is `a/c`"),
        (with(OCI_CONFIG, r#""artifactType":"a/b","#), "that is `an image`"),
        (with(DOCKER_CONFIG, r#""artifactType":"a/b","#), "that is `an image`"),
    ] {
        let told = other(&entry, &manifest).unwrap_err().to_string();
        assert!(told.contains(reason), "{told}");
    }
}

#[test]
fn a_list_that_anybody_adds_to_hides_nothing_and_is_read_alike() {
    let list = format!(
        r#"{{"manifests":[{{"digest":"sha512:00","mediaType":"m","size":1}},{{{},"artifactType":null}},7,null]}}"#,
        pointer(IMAGE, 'a')
    );
    let read = super::listed(list.as_bytes(), "manifests").unwrap();
    assert_eq!(read.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, false, false]);
    for text in [
        r#"{"layers":[],"Layers":[]}"#,
        r#"{"layers":[],"layers":[]}"#,
        r#"{"layers":[],"manifests":[]}"#,
        "{}",
        "[]",
    ] {
        super::listed(text.as_bytes(), "layers").unwrap_err();
    }
}

#[test]
fn archives_of_docker_are_read_alike() {
    let read = |text: &str| SavedImage::read(text.as_bytes()).map_err(|why| why.to_string());
    assert_eq!(
        read(r#"[{"Config":"c","RepoTags":null,"Layers":["l"],"LayerSources":{}}]"#).unwrap()[0]
            .layers,
        ["l"]
    );
    for text in [
        r#"[{"Config":"c","config":"d","Layers":[]}]"#,
        r#"[{"Config":"c","Layers":[],"Layers":["x"]}]"#,
        r#"[{"Config":"c"}]"#,
        "{}",
    ] {
        read(text).unwrap_err();
    }
}
