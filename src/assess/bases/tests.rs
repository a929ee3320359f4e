use std::collections::BTreeMap;

use super::sample::image;
use super::*;

#[test]
fn a_base_image_is_what_lies_lowest() {
    let base = |name: &str, layers: &[&str]| {
        let image_ref = format!("r.io/{name}@sha256:{}", "0".repeat(64)).parse().unwrap();
        (NamedBase { image: image_ref, name: name.to_owned(), tag: None }, image(layers))
    };
    let own = image(&["a", "b", "c"]);
    let told = |candidates: &[(NamedBase, CatalogedImage)], unread: &[String]| {
        let base = base_of(&own, candidates, unread);
        (base.count, base.name().map(str::to_owned), base.unknown)
    };
    let named = |name: &str| Some(name.to_owned());
    let all = [base("one", &["a"]), base("two", &["a", "b"]), base("other", &["b"])];
    assert_eq!(told(&all, &["late".to_owned()]), (2, named("two"), None));
    assert_eq!(told(&[base("whole", &["a", "b", "c"])], &[]), (3, named("whole"), None));
    assert_eq!(told(&[base("larger", &["a", "b", "c", "d"])], &[]), (0, None, None));
    assert_eq!(told(&[base("empty", &[])], &["why".to_owned()]), (0, None, named("why")));
}

#[test]
fn a_release_of_this_machine_asks_nobody_elsewhere() {
    for (home, base, may) in [
        ("127.0.0.1:5000/app", "docker.io/library/busybox", false),
        ("localhost:5000/app", "ghcr.io/o/base", false),
        ("127.0.0.1:5000/app", "[::1]:5001/base", true),
        ("ghcr.io/o/app", "docker.io/library/busybox", true),
        ("ghcr.io/o/app", "127.0.0.1:5000/base", true),
    ] {
        let (home, base) = (home.parse().unwrap(), base.parse().unwrap());
        assert_eq!(may_ask(&home, &base), may, "{home} {base}");
    }
}

#[test]
fn materials_are_read_as_buildkit_writes_them() {
    let hex = "1".repeat(64);
    let of = |uri: &str| {
        let digest = BTreeMap::from([("sha256".to_owned(), hex.clone())]);
        let material = Resource { uri: uri.to_owned(), digest };
        let named = named(&[material], &"linux/amd64".parse().unwrap());
        named.into_iter().map(|it| (it.image.repository.to_string(), it.name)).collect::<Vec<_>>()
    };
    for (uri, repository, name) in [
        (
            "pkg:docker/alpine@3.19?platform=linux%2Famd64",
            "docker.io/library/alpine",
            "alpine:3.19",
        ),
        ("pkg:docker/ghcr.io/o/base@1", "ghcr.io/o/base", "ghcr.io/o/base:1"),
        ("pkg:docker/127.0.0.1:5000/base@1", "127.0.0.1:5000/base", "127.0.0.1:5000/base:1"),
        (
            "pkg:docker/o/base?digest=sha256:11&platform=linux%2Famd64",
            "docker.io/o/base",
            "o/base@sha256:11",
        ),
    ] {
        assert_eq!(of(uri), [(repository.to_owned(), name.to_owned())], "{uri}");
    }
    for uri in [
        "pkg:docker/alpine@3.19?platform=linux%2Farm64",
        "https://github.com/o/a#0123",
        "pkg:docker/%20",
        "pkg:docker",
    ] {
        assert_eq!(of(uri), [], "{uri}");
    }
}
