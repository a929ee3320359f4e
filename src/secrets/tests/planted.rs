//! Each planted secret is found wherever it lies, and never told.

use std::collections::BTreeSet;
use std::io::Read as _;

use super::{Plant, ids, plants, token};
use crate::secrets::config::RunConfig;
use crate::secrets::detector::{Detector, read, read_bytes};
use crate::secrets::leak::{LeakPlace, LeakSpot};
use crate::secrets::rules;

fn found_in(plant: &Plant, bytes: &[u8]) {
    let found = read_bytes(plant.path, bytes);
    assert!(ids(&found.leaks).contains(&plant.rule), "{}: {:?}", plant.rule, ids(&found.leaks));
    let told = format!("{found:?} {}", serde_json::to_string(&found.leaks).unwrap());
    assert!(!told.contains(&plant.secret) || plant.secret == "AccountKey", "{}", plant.rule);
}

#[test]
fn every_rule_has_a_plant_and_a_shape_that_compiles() {
    let plants = plants();
    let planted: BTreeSet<&str> = plants.iter().map(|plant| plant.rule).collect();
    let rows: BTreeSet<&str> = rules::all().map(|rule| rule.id).collect();
    assert_eq!(planted, rows);
    assert_eq!(rows.len(), rules::all().count(), "an id stands twice");
    assert!(plants.len() >= 100, "{}", plants.len());
    for ready in rules::ready() {
        let is_read = matches!(ready.rule.form, rules::Form::Read(_));
        assert!(is_read || ready.shape().is_some(), "{}", ready.rule.id);
        assert!(ready.rule.anchors.iter().all(|it| it.len() >= 3), "{}", ready.rule.id);
    }
}

#[test]
fn all_are_found_in_a_text() {
    for plant in plants() {
        found_in(&plant, format!("# settings\n\n{}\nlast = 1\n", plant.text).as_bytes());
        found_in(&plant, plant.text.as_bytes());
    }
}

#[test]
fn all_are_found_in_json_without_line_ends() {
    for plant in plants() {
        let text = serde_json::to_string(&plant.text).unwrap();
        found_in(&plant, format!("{{\"a\":[1,2,{{\"note\":{text}}}],\"b\":null}}").as_bytes());
    }
}

#[test]
fn all_are_found_among_foreign_bytes() {
    for plant in plants() {
        let bytes =
            [&[0, 159, 146, 150, 0xff, 0][..], plant.text.as_bytes(), &[0, 0xfe, 0x80]].concat();
        found_in(&plant, &bytes);
    }
}

#[test]
fn all_are_found_across_the_borders_of_what_is_held() {
    let window = 256 << 10;
    for plant in plants() {
        let whole = read_bytes(plant.path, plant.text.as_bytes()).leaks;
        for before in [window - 20, window - (32 << 10) - 5, 2 * window - (36 << 10) - 3, 700_001] {
            let text = format!(
                "{}\n{}\n{}",
                "word \n".repeat(before / 6),
                plant.text,
                "end ".repeat(20_000)
            );
            let mut detector = Detector::new(plant.path);
            for piece in text.as_bytes().chunks(65_537) {
                detector.feed(piece);
            }
            let leaks = detector.finish().leaks;
            assert_eq!(ids(&leaks), ids(&whole), "{} at {before}", plant.rule);
            let prints = |leaks: &[crate::secrets::leak::Leak]| {
                leaks
                    .iter()
                    .filter(|it| !it.rule.is_guessable)
                    .map(|it| it.fingerprint)
                    .collect::<Vec<_>>()
            };
            assert_eq!(prints(&leaks), prints(&whole), "{} at {before}", plant.rule);
        }
    }
}

#[test]
fn all_are_found_byte_by_byte() {
    for plant in plants() {
        let mut detector = Detector::new(plant.path);
        plant.text.as_bytes().chunks(1).for_each(|byte| detector.feed(byte));
        assert_eq!(detector.finish(), read_bytes(plant.path, plant.text.as_bytes()));
    }
}

#[test]
fn all_are_found_in_the_environment() {
    for plant in plants().into_iter().filter(|plant| plant.path.starts_with("app/")) {
        let variables = [
            plant.text.clone(),
            format!("VALUE={}", plant.text),
            format!("VALUE={}", plant.text.replace('\n', "\\n")),
        ];
        for text in variables {
            let config = serde_json::json!({ "config": { "Env": ["PATH=/bin", text] } });
            let leaks = RunConfig::read(config.to_string().as_bytes()).unwrap().leaks();
            assert!(ids(&leaks).contains(&plant.rule), "{}: {leaks:?}", plant.rule);
            assert!(
                leaks.iter().all(
                    |it| matches!(&it.place, LeakPlace::Environment { name } if name != "PATH")
                )
            );
        }
    }
}

#[test]
fn a_line_is_counted_and_one_secret_is_one() {
    let text = format!(
        "{}\nkey: {}\n\n{} {}",
        "a\n".repeat(200_000),
        token(),
        token(),
        "b ".repeat(200_000)
    );
    let found = read("x", text.as_bytes().take(u64::MAX)).unwrap();
    let [leak] = &found.leaks[..] else { panic!("{found:?}") };
    assert_eq!(leak.place, LeakPlace::File { path: "x".to_owned(), spot: LeakSpot::Line(200_002) });
    assert_eq!((leak.times, leak.shown.as_str()), (2, "ghp_… (40 bytes)"));
    let other = read_bytes("y", format!("\0{}", token()).as_bytes()).leaks.remove(0);
    assert_eq!(other.fingerprint, leak.fingerprint);
    assert_eq!(other.place, LeakPlace::File { path: "y".to_owned(), spot: LeakSpot::Byte(1) });
}

/// A key has the same fingerprint whatever a text makes of its line ends.
#[test]
fn one_key_in_two_spellings_is_one() {
    let plant = plants().into_iter().find(|plant| plant.rule == "private-key").unwrap();
    let spellings = [
        plant.text.clone(),
        plant.text.replace('\n', "\r\n"),
        plant.text.replace('\n', "\\n"),
        plant.text.replace('\n', "\\n\" +\n    \""),
        plant.text.replace('\n', " "),
        plant.text.replace('\n', "\n        "),
    ];
    let prints = spellings.map(|text| {
        let leaks = read_bytes("x", format!("k = \"{text}\"").as_bytes()).leaks;
        assert_eq!(ids(&leaks), ["private-key"], "{text}");
        leaks[0].fingerprint
    });
    assert!(prints.iter().all(|print| *print == prints[0]));
}

#[test]
fn what_people_choose_is_not_hashed() {
    let netrc = |password: &str| {
        let text = format!("machine h login n password {password}");
        read_bytes("/root/.netrc", text.as_bytes()).leaks.remove(0)
    };
    let (one, other) = (netrc("correct-horse"), netrc("battery-staple"));
    assert_eq!(one.fingerprint, other.fingerprint);
    assert_eq!(one.shown, "…");
}

#[test]
fn nothing_is_a_secret_that_is_broken_or_made_to_be_replaced() {
    let mut broken = token();
    broken.replace_range(10..11, if &broken[10..11] == "a" { "b" } else { "a" });
    let all_equal = format!("dop_v1_{}", "a".repeat(64));
    let repeated = format!("shpat_{}", "12ab34cd".repeat(4));
    let words = ["AKIAIOSFODNN7", "EXAMPLE"].concat();
    let stripe = format!("sk_{}_{}", "live", "xxxxxxxxXXXXXXXX1234abcd");
    let cut = plants().remove(0).text.replace("END RSA", "");
    let dashes = "-".repeat(5);
    let no_der = format!(
        "{dashes}BEGIN PRIVATE KEY{dashes}\n{}\n{dashes}END PRIVATE KEY{dashes}",
        "Zm9v".repeat(60)
    );
    let public = no_der.replace("PRIVATE", "PUBLIC");
    let within_word = format!("notghp{}", super::Numbers(7).hex(40));
    let reference = ":_authToken=${NPM_TOKEN_OF_THE_ORGANISATION}";
    for text in [
        broken,
        all_equal,
        repeated,
        words,
        stripe,
        cut,
        no_der,
        public,
        within_word,
        reference.to_owned(),
    ] {
        let found = read_bytes("x", text.as_bytes());
        assert_eq!(found.leaks, [], "{text}");
    }
}

#[test]
fn a_detector_shows_no_byte_that_it_holds() {
    let mut detector = Detector::new("x");
    detector.feed(token().as_bytes());
    let shown = format!("{detector:?} {detector:#?}");
    assert!(!shown.contains(&token()[4..]) && shown.contains("Detector"), "{shown}");
    assert!(!shown.contains(&format!("{:?}", token().as_bytes()[5..9].to_vec())[1..8]), "{shown}");
}
