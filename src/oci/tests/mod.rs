//! Documents that everybody reads alike, and those that they do not.

mod entries;

use super::entries::{Objection, account, attestations, image, other};
use super::*;

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

fn digest(letter: char) -> String {
    format!("sha256:{}", letter.to_string().repeat(64))
}

fn pointer(kind: &str, letter: char) -> String {
    format!(r#""mediaType":"{kind}","digest":"{}","size":7"#, digest(letter))
}

/// An entry of an index for a platform.
fn entry(letter: char, platform: &str) -> String {
    let (os, architecture) = platform.split_once('/').unwrap();
    format!(
        r#"{{{},"platform":{{"os":"{os}","architecture":"{architecture}"}}}}"#,
        pointer(IMAGE, letter)
    )
}

fn attesting(letter: char, of: char) -> String {
    format!(
        r#"{{{},"platform":{{"architecture":"unknown","os":"unknown"}},"annotations":{{"vnd.docker.reference.digest":"{}","vnd.docker.reference.type":"attestation-manifest"}}}}"#,
        pointer(IMAGE, letter),
        digest(of)
    )
}

fn index(entries: &[String]) -> String {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{}]}}"#,
        entries.join(",")
    )
}

fn manifest() -> String {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{IMAGE}","config":{{{}}},"layers":[{{{}}}]}}"#,
        pointer(OCI_CONFIG, 'c'),
        pointer(LAYER, 'd')
    )
}

fn configured(more: &str) -> String {
    format!(
        r#"{{"os":"linux","architecture":"amd64",{more}"rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
        digest('e')
    )
}

fn why(text: &str, said: &str) -> String {
    OciDocument::read(text.as_bytes(), said)
        .map_or_else(|why| why.to_string(), |read| panic!("`{text}` was read: {read:?}"))
}

#[test]
fn honest_documents_are_read() {
    let read = OciDocument::read(
        index(&[entry('a', "linux/amd64"), attesting('b', 'a')]).as_bytes(),
        OCI_INDEX,
    )
    .unwrap()
    .index()
    .unwrap();
    let accounted = account(&read, &Allowed::default()).unwrap();
    assert_eq!((accounted.images.len(), accounted.images[0].attestations.is_some()), (1, true));
    for text in [
        manifest(),
        manifest().replace(&format!(r#""mediaType":"{IMAGE}","config""#), r#""config""#),
        manifest().replace(LAYER, "application/vnd.docker.image.rootfs.diff.tar.gzip"),
        manifest().replace(
            r#""layers":["#,
            r#""annotations":{"a":"1","A":"2"},"unknown":{"x":[1.5,null]},"layers":["#,
        ),
        manifest().replace(
            r#""layers":["#,
            &format!(
                r#""artifactType":"a/b","subject":{{{}}},"layers":["#,
                pointer(OCI_INDEX, 'f')
            ),
        ),
    ] {
        let read = OciDocument::read(text.as_bytes(), IMAGE)
            .unwrap_or_else(|why| panic!("{text}: {why}"))
            .image()
            .unwrap();
        assert_eq!(read.layers.len(), 1);
    }
    let data = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"{EMPTY_JSON}","digest":"{}","size":2,"data":"e30="}},"layers":[]}}"#,
        Digest::of(b"{}")
    );
    OciDocument::read(data.as_bytes(), IMAGE).unwrap();
    let docker = index(&[entry('a', "linux/amd64").replace(IMAGE, DOCKER_MANIFEST)])
        .replace(OCI_INDEX, DOCKER_LIST);
    assert!(
        account(
            &OciDocument::read(docker.as_bytes(), DOCKER_LIST).unwrap().index().unwrap(),
            &Allowed::default()
        )
        .is_ok()
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn what_two_programs_read_as_two_things_is_refused() {
    let good = index(&[entry('a', "linux/amd64")]);
    let of_index = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        (good.replacen(from, to, 1), OCI_INDEX)
    };
    let of_image = |from: &str, to: &str| {
        assert!(manifest().contains(from), "{from}");
        (manifest().replacen(from, to, 1), IMAGE)
    };
    let evil = entry('f', "linux/amd64");
    let cases = [
        (
            of_index(r#""manifests""#, &format!(r#""Manifests":[{evil}],"manifests""#)),
            "`Manifests` is read as `manifests`",
        ),
        (
            of_index(r#""manifests""#, &format!(r#""manifest\u017f":[{evil}],"manifests""#)),
            "is read as `manifests`",
        ),
        (
            of_index(r#""manifests""#, &format!(r#""manifestſ":[{evil}],"manifests""#)),
            "`manifestſ` is read as `manifests`",
        ),
        (of_index(r#""manifests""#, r#""Manifests""#), "`Manifests` is read as `manifests`"),
        (
            of_index(r#""manifests""#, &format!(r#""manifests":[{evil}],"manifests""#)),
            "`manifests` stands in it twice",
        ),
        (
            of_index(r#""manifests""#, &format!(r#""m\u0061nifests":[{evil}],"manifests""#)),
            "`manifests` stands in it twice",
        ),
        (
            of_index(r#""manifests""#, r#""config":{},"manifests""#),
            "`config` belongs to a document of another kind",
        ),
        (
            of_index(r#""manifests""#, r#""Layers":[],"manifests""#),
            "`Layers` belongs to a document of another kind",
        ),
        (of_index(r#""manifests""#, r#""fsLayers":[],"manifests""#), "another kind"),
        (of_index(r#""schemaVersion":2"#, r#""schemaVersion":1"#), "`schemaVersion` is `1`"),
        (
            of_index(r#""schemaVersion":2"#, r#""schemaVersion":2.0"#),
            "`schemaVersion` is a number where a whole number",
        ),
        (of_index(r#""schemaVersion":2"#, r#""schemaVersion":"2""#), "`schemaVersion` is a text"),
        (of_index(r#""schemaVersion":2,"#, ""), "it has no `schemaVersion`"),
        (
            of_index(r#""schemaVersion":2"#, r#""schemaVersion":2,"SchemaVersion":1"#),
            "is read as `schemaVersion`",
        ),
        (of_index(OCI_INDEX, IMAGE), "says itself that it is"),
        (
            of_index(&format!(r#""mediaType":"{OCI_INDEX}""#), r#""mediaType":null"#),
            "`mediaType` is null",
        ),
        (of_index(&digest('a'), &digest('A')), "manifests[0].digest"),
        (of_index(r#""size":7"#, r#""size":7,"Size":8"#), "`manifests[0].Size` is read as `size`"),
        (of_index(r#""size":7"#, r#""ſize":8,"size":7"#), "is read as `size`"),
        (of_index(r#""size":7"#, r#""size":7.0"#), "`manifests[0].size` is a number"),
        (of_index(r#""size":7"#, r#""size":7e0"#), "`manifests[0].size` is a number"),
        (of_index(r#""size":7"#, r#""size":-7"#), "`manifests[0].size` is a number"),
        (
            of_index(r#""size":7"#, r#""size":18446744073709551615"#),
            "`manifests[0].size` is a number",
        ),
        (of_index(r#""size":7"#, r#""size":null"#), "`manifests[0].size` is null"),
        (of_index(r#""size":7"#, r#""size":"7""#), "`manifests[0].size` is a text"),
        (of_index(r#","size":7"#, ""), "it has no `manifests[0].size`"),
        (
            of_index(r#""size":7"#, r#""size":7,"data":"e30=""#),
            "`manifests[0].data` is not the bytes of",
        ),
        (of_index(r#""size":7"#, r#""size":7,"data":null"#), "`manifests[0].data` is null"),
        (of_index(r#""size":7"#, r#""size":7,"urls":null"#), "`manifests[0].urls` is null"),
        (of_index(r#""size":7"#, r#""size":7,"URLs":["x"]"#), "is read as `urls`"),
        (
            of_index(r#""size":7"#, r#""size":7,"annotations":{"a":"1","a":"2"}"#),
            "`manifests[0].annotations.a` stands in it twice",
        ),
        (
            of_index(r#""size":7"#, r#""size":7,"annotations":{"a":null}"#),
            "`manifests[0].annotations.a` is null",
        ),
        (
            of_index(r#""os":"linux""#, r#""os":"linux","OS":"windows""#),
            "`manifests[0].platform.OS` is read as `os`",
        ),
        (
            of_index(r#""os":"linux""#, r#""os":"linux","os.Version":"1""#),
            "is read as `os.version`",
        ),
        (of_index(r#""os":"linux""#, r#""os":"linux","o\u017f":"windows""#), "is read as `os`"),
        (
            of_index(r#""os":"linux""#, r#""os":"linux","os.features":"x""#),
            "`manifests[0].platform.os.features` is a text",
        ),
        (of_index("[{", "[null,{"), "`manifests[0]` is null"),
        (of_index("[{", "[[],{"), "`manifests[0]` is a list"),
        (
            of_index(r#"{"schemaVersion""#, "\u{feff}{\"schemaVersion\""),
            "no JSON that every program reads alike",
        ),
        (of_index("]}", "]}{}"), "no JSON that every program reads alike"),
        (of_index("]}", r#"],"x":"\ud800"}"#), "no JSON that every program reads alike"),
        (of_index("]}", r#"],"x":NaN}"#), "no JSON"),
        (of_index("]}", &format!(r#"],"x":{}1{}}}"#, "[".repeat(200), "]".repeat(200))), "no JSON"),
        (of_index("]}", r#"],"foo":1,"Foo":2}"#), "`Foo` is read as `foo`"),
        ((good.clone(), IMAGE), "another kind"),
        (
            (good.clone(), "application/vnd.docker.distribution.manifest.v1+prettyjws"),
            "neither that of an index nor",
        ),
        ((good.clone(), ""), "neither that of an index nor"),
        (of_image(r#""layers""#, r#""Layers":[],"layers""#), "`Layers` is read as `layers`"),
        (of_image(r#""layers""#, r#""Config":{},"layers""#), "`Config` is read as `config`"),
        (of_image(r#""layers""#, r#""manifests":[],"layers""#), "another kind"),
        (of_image(r#""layers""#, r#""history":[],"layers""#), "another kind"),
        (of_image(r#""layers""#, r#""signatures":[],"layers""#), "another kind"),
        (of_image(r#""layers""#, r#""subject":null,"layers""#), "`subject` is null"),
        (of_image(r#""layers":["#, r#""layers":null,"x":["#), "`layers` is null"),
        (of_image(r#""layers":["#, r#""x":["#), "it has no `layers`"),
        (of_image(r#""config":{"#, r#""x":{"#), "it has no `config`"),
        (
            of_image(r#""layers":[{"#, r#""layers":[{"Digest":"x","#),
            "`layers[0].Digest` is read as `digest`",
        ),
        (
            of_image(r#""config":{"#, r#""config":{"MediaType":"x","#),
            "`config.MediaType` is read as `mediaType`",
        ),
        ((manifest(), OCI_INDEX), "another kind"),
        (
            (
                manifest().replace(&format!(r#""mediaType":"{IMAGE}","config""#), r#""config""#),
                OCI_INDEX,
            ),
            "another kind",
        ),
    ];
    for ((text, said), reason) in cases {
        let told = why(&text, said);
        assert!(told.contains(reason), "{text}: {told}");
    }
    let mut latin = good.into_bytes();
    latin.extend(b"\xff");
    OciDocument::read(&latin, OCI_INDEX).unwrap_err();
}

#[test]
fn configs_that_two_programs_read_as_two_things_are_refused() {
    for more in [
        "",
        r#""config":null,"#,
        r#""config":{"Labels":null,"Cmd":null,"Env":["A=1"],"Volumes":{"/A":{},"/a":{}},"Labels2":{}},"#,
        r#""config":{"Labels":{"a":"1","A":"2"},"ExposedPorts":{"80/tcp":{}},"Healthcheck":{"Test":["x"]}},"#,
        r#""created":"2026-01-02T03:04:05.123456789Z","history":[{"created":"2026-01-02T03:04:05+01:00","empty_layer":true}],"#,
        r#""os.version":"10.0.1","os.features":["win32k"],"variant":"v2","docker_version":"","id":"x","#,
        r#""moby.buildkit.buildinfo.v1":"x","#,
    ] {
        let text = configured(more);
        let read = ImageConfig::read(text.as_bytes()).unwrap_or_else(|why| panic!("{text}: {why}"));
        assert_eq!(read.diff_ids.len(), 1);
    }
    for (more, reason) in [
        (r#""OS":"windows","#, "`OS` is read as `os`"),
        (r#""os":"windows","#, "`os` stands in it twice"),
        (r#""Architecture":"arm64","#, "is read as `architecture`"),
        (r#""RootFS":{},"#, "`RootFS` is read as `rootfs`"),
        (r#""rootfſ":{},"#, "is read as `rootfs`"),
        (r#""variant":null,"#, "`variant` is null"),
        (r#""os.features":null,"#, "`os.features` is null"),
        (r#""os.features":["a",1],"#, "`os.features[1]` is a number"),
        (r#""history":null,"#, "`history` is null"),
        (r#""history":[{"Empty_Layer":true}],"#, "is read as `empty_layer`"),
        (r#""history":[{"empty_layer":"yes"}],"#, "`history[0].empty_layer` is a text"),
        (r#""created":"yesterday","#, "`created` is `yesterday`"),
        (r#""created":"2026-01-02 03:04:05Z","#, "a date of RFC 3339"),
        (r#""config":{"labels":{}},"#, "`config.labels` is read as `Labels`"),
        (r#""config":{"Labels":{"a":"1","a":"2"}},"#, "`config.Labels.a` stands in it twice"),
        (r#""config":{"Labels":{"a":1}},"#, "`config.Labels.a` is a number"),
        (r#""config":{"entrypoint":[]},"#, "is read as `Entrypoint`"),
        (r#""config":{"Entrypoint":"sh"},"#, "`config.Entrypoint` is a text"),
        (r#""config":{"Volumes":{"/a":{},"/a":{}}},"#, "stands in it twice"),
        (r#""config":[],"#, "`config` is a list"),
        (r#""config":{"Cmd":null,"Cmd":["x"]},"#, "`config.Cmd` stands in it twice"),
        (r#""layers":[],"#, "another kind"),
    ] {
        let text = configured(more);
        let told = ImageConfig::read(text.as_bytes()).unwrap_err().to_string();
        assert!(told.contains(reason), "{text}: {told}");
    }
    for text in [r#"{"os":"linux"}"#, r#"{"architecture":"amd64"}"#, "[]", "null", ""] {
        ImageConfig::read(text.as_bytes()).unwrap_err();
    }
    for text in [
        r#"{"os":"linux","architecture":"amd64","rootfs":{"type":"layers+base"}}"#,
        r#"{"os":"a","architecture":"b","rootfs":{"diff_ids":null}}"#,
    ] {
        ImageConfig::read(text.as_bytes()).unwrap_err();
    }
}
