use std::sync::Arc;

use jiff::civil::date;

use super::refused::{SearchRules, judge, sentence};
use super::summary::SearchSummary;
use super::*;
use crate::assess::bases::sample::{debian, image, layer};
use crate::sbom::layers::{LayerWatch as _, WatchedEntry, WatchedKind};
use crate::secrets::leak::{Confidence, LeakPlace};
use crate::secrets::verdict::{SecretsTerms, Waiver};
use crate::secrets::weakness::{Gravity, is_rule};

/// A token as GitHub makes them, which nobody has.
fn token() -> String {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let letters = "aZ3kQ9xB7mW2pL5vR8tY1cN6dF4gHj";
    let mut sum = crc32fast::hash(letters.as_bytes());
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(sum % 62) as usize];
        sum /= 62;
    }
    format!("{}_{letters}{}", "ghp", std::str::from_utf8(&digits).unwrap())
}

/// What is found in a layer of these files, in pieces of an odd length.
fn seen(layers: &SearchedLayers, name: &str, files: &[(&str, u32, &str)]) {
    let mut watch = layers.begin(&layer(name)).unwrap();
    for (path, mode, text) in files {
        let kind = if path.ends_with('/') { WatchedKind::Directory } else { WatchedKind::File };
        watch.entry(&WatchedEntry { path: path.trim_end_matches('/'), kind, mode: *mode, uid: 0 });
        text.as_bytes().chunks(7).for_each(|piece| watch.bytes(piece));
    }
    watch.done();
}

struct NoBlobs;

impl LayerBlobs for NoBlobs {
    fn open(&self, layer: &Blob) -> std::io::Result<Box<dyn std::io::Read + Send>> {
        Err(std::io::Error::other(format!("no disk for {}", layer.name())))
    }
}

fn found(layers: &SearchedLayers, image: CatalogedImage, base: BaseLayers) -> PlatformSearch {
    let exclude = Exclude::default();
    let how = LayerSearch {
        blobs: &NoBlobs,
        threads: 1,
        watcher: &crate::sbom::layers::Unwatched,
        layers,
        exclude: &exclude,
    };
    let image =
        BasedImage { platform: "linux/amd64".to_owned(), image, base, lines: Default::default() };
    search(&[image], &how).unwrap().pop().unwrap()
}

fn of_base(count: usize) -> BaseLayers {
    BaseLayers { count, named: Some(debian()), ..BaseLayers::default() }
}

#[test]
fn layers_that_are_the_base_images_excuse_and_config_of_it_too() {
    let layers = SearchedLayers::default();
    seen(&layers, "a", &[("srv/base.pem", 0o600, &token())]);
    seen(&layers, "b", &[("etc/own.pem", 0o600, "nothing")]);
    let it = found(&layers, image(&["a", "b"]), of_base(1));
    assert_eq!((it.own, it.of_base, it.passed), (1, 1, 0));
    let excuses: Vec<_> = it.leaks.iter().map(|leak| leak.excuse.clone()).collect();
    assert_eq!(excuses, [Some(Excuse::BaseLayer)]);
    assert_eq!(it.leaks[0].layer.as_deref(), Some("sha256:a"));
    // Nobody reads a layer of the base image, and nobody says that there is nothing in it.
    let it = found(&layers, image(&["z", "b"]), of_base(1));
    assert_eq!((it.own, it.passed), (1, 1));
    let told = sentence(&[it]);
    assert_eq!(told, "1 own layer and the config searched, 1 layer of the base image not read");

    let env = format!(r#"{{"config":{{"Env":["K={}"]}}}}"#, token());
    let with_env = CatalogedImage { config: env.clone().into_bytes(), ..image(&["b"]) };
    let own = found(&layers, with_env.clone(), BaseLayers::default());
    assert_eq!(own.leaks[0].confidence, Confidence::Verifiable, "{:?}", own.leaks);
    let base = BaseLayers { config: Some(env.into_bytes()), ..of_base(1) };
    assert_eq!(found(&layers, with_env, base).leaks[0].excuse, Some(Excuse::BaseLayer));
}

#[test]
fn what_nobody_can_read_is_said_and_what_cannot_be_fetched_is_an_error() {
    let layers = SearchedLayers::default();
    let mut unread = image(&["x", "y"]);
    unread.layers[0].is_foreign = true;
    unread.layers[1].is_encrypted = true;
    let it = found(&layers, unread, BaseLayers::default());
    assert_eq!((it.own, it.unread.len()), (0, 2), "{:?}", it.unread);
    assert!(sentence(&[it]).ends_with("2 layers could not be read"));
    let exclude = Exclude::default();
    let how = LayerSearch {
        blobs: &NoBlobs,
        threads: 1,
        watcher: &crate::sbom::layers::Unwatched,
        layers: &layers,
        exclude: &exclude,
    };
    let image = image(&["gone"]);
    let searched = BasedImage {
        platform: String::new(),
        image,
        base: BaseLayers::default(),
        lines: Default::default(),
    };
    let error = search(&[searched], &how).unwrap_err();
    assert_eq!(
        crate::error::message(&error),
        "layer `sha256:gone` cannot be read: no disk for sha256:gone"
    );
}

#[test]
fn what_was_not_what_its_digest_says_counts_for_nothing() {
    let layers = SearchedLayers::default();
    let mut watch = layers.begin(&layer("a")).unwrap();
    watch.entry(&WatchedEntry { path: "k.pem", kind: WatchedKind::File, mode: 0o600, uid: 0 });
    watch.bytes(token().as_bytes());
    drop(watch);
    assert!(layers.of(&layer("a")).is_none());
    assert!(layers.begin(&layer("a")).is_some(), "so that it is read again");
}

#[test]
fn modes_count_as_a_container_sees_them() {
    let check = |upper: &[(&str, u32, &str)], expected: &[&str]| {
        let layers = SearchedLayers::default();
        seen(&layers, "low", &[("opt/tool", 0o4755, "x"), ("data/", 0o777, "")]);
        seen(&layers, "up", upper);
        let it = found(&layers, image(&["low", "up"]), BaseLayers::default());
        let places = it.weaknesses.iter().filter_map(|weak| match &weak.place {
            WeakPlace::Entry(path) => Some(path.as_str()),
            _ => None,
        });
        assert_eq!(places.collect::<Vec<_>>(), expected, "{upper:?}");
    };
    check(&[("else", 0o644, "x")], &["opt/tool", "data"]);
    check(&[("opt/tool", 0o755, "x")], &["data"]);
    check(&[("opt/.wh.tool", 0, "")], &["data"]);
    check(&[(".wh.opt", 0, ""), ("data/", 0o755, "")], &[]);
    check(&[("opt/.wh..wh..opq", 0, "")], &["data"]);
    let layers = SearchedLayers::default();
    seen(&layers, "low", &[("opt/tool", 0o4755, "x")]);
    let it = found(&layers, image(&["low"]), of_base(1));
    assert!(!it.weaknesses.iter().any(|it| matches!(it.place, WeakPlace::Entry(_))));
}

fn waiver(id: &str, expires: Option<jiff::civil::Date>) -> Waiver {
    let (reason, place) = ("of the tests".to_owned(), "f:1".to_owned());
    Waiver { id: id.to_owned(), path: None, reason, expires, place }
}

#[test]
fn one_secret_of_two_platforms_is_one_reason_and_a_rule_lets_it_stay() {
    let layers = SearchedLayers::default();
    seen(&layers, "a", &[("srv/key.pem", 0o600, &token()), ("srv/copy.pem", 0o600, &token())]);
    // The layer is not there to be read again: no package brings it, as nobody can tell.
    let leaks = |platform: &str| {
        let known: Arc<LayerLeaks> = layers.of(&layer("a")).unwrap();
        let leaks = known.leaks.iter().map(|leak| leak.clone().in_layer("sha256:a", false));
        PlatformSearch {
            platform: platform.to_owned(),
            leaks: leaks.collect(),
            own: 1,
            ..PlatformSearch::default()
        }
    };
    let both = [leaks("linux/amd64"), leaks("linux/arm64")];
    let today = date(2026, 11, 30);
    let judged = |rules: &SearchRules| judge(&both.iter().collect::<Vec<_>>(), rules, today);
    let rules = SearchRules::default();
    let refusal = judged(&rules).refusal().unwrap();
    assert_eq!(refusal.sentence, "1 secret in the image's own layers");
    let [line] = refusal.lines.as_slice() else { panic!("{:?}", refusal.lines) };
    assert!(
        line.contains("srv/key.pem:1 (") && line.contains("linux/amd64 and linux/arm64"),
        "{line}"
    );
    assert!(line.contains(") and in 1 other place: sha256:"), "{line}");
    assert!(!line.contains(&token()[8..]), "{line}");
    let never = SearchRules { terms: SecretsTerms::Never, ..SearchRules::default() };
    assert_eq!(judged(&never).refusal(), None);

    let fingerprint = both[0].leaks[0].fingerprint.to_string();
    let gone = date(2020, 1, 1);
    let waivers = vec![waiver(&fingerprint, None), waiver("npm-token", None)];
    let rules = SearchRules { waivers, ..SearchRules::default() };
    let verdict = judged(&rules);
    assert_eq!(verdict.refusal(), None);
    assert_eq!(verdict.remarks(&rules).len(), 1, "{:?}", verdict.remarks(&rules));
    let summary = SearchSummary::of(&both, &verdict);
    assert_eq!((summary.secrets.accepted, summary.secrets.told), (2, 0));
    let rules =
        SearchRules { waivers: vec![waiver(&fingerprint, Some(gone))], ..SearchRules::default() };
    assert!(judged(&rules).refusal().is_some());
    assert!(judged(&rules).remarks(&rules)[0].ends_with("it has expired"));
}

#[test]
fn misconfiguration_refuses_from_the_level_that_is_asked_for() {
    let layers = SearchedLayers::default();
    seen(&layers, "a", &[("x", 0o644, "x")]);
    let it = found(&layers, image(&["a"]), BaseLayers::default());
    let today = date(2026, 11, 30);
    let refused = |misconfig, waivers: Vec<Waiver>| {
        let rules = SearchRules { misconfig, waivers, ..SearchRules::default() };
        judge(&[&it], &rules, today).refusal().map(|refusal| refusal.sentence)
    };
    assert_eq!(refused(None, Vec::new()), None);
    assert_eq!(refused(Some(Gravity::Error), Vec::new()), None);
    let one = Some("1 misconfiguration".to_owned());
    assert_eq!(refused(Some(Gravity::Warning), Vec::new()), one);
    let both = Some("2 misconfigurations".to_owned());
    assert_eq!(refused(Some(Gravity::Note), Vec::new()), both);
    assert_eq!(refused(Some(Gravity::Warning), vec![waiver("root-user", None)]), None);
    let expired = waiver("root-user", Some(date(2020, 1, 1)));
    assert_eq!(refused(Some(Gravity::Warning), vec![expired]), one);
    assert!(it.weaknesses.iter().all(|weak| is_rule(&weak.rule)));
    assert!(it.leaks.iter().all(|leak| !matches!(leak.place, LeakPlace::File { .. })));
}
